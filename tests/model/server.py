"""The scripts in plain Python: one server's data, and the answers to calls.

`off` names rules that are switched off, to show that the search finds the failures that they prevent.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from eccmgr.duravip.records import Beaten, Era, Granted, Late, Page, SessionAnswer, Stated, Verdict, VipRecord
from worker.duravip.model.actions import (
    Acquire,
    Beat,
    EndCarrying,
    OpenEra,
    Read,
    RedisCall,
    Release,
    StateHeld,
    TakeOver,
)

ANSWERS: dict[type[RedisCall], type[SessionAnswer]] = {Beat: Beaten, StateHeld: Stated, Acquire: Granted, Read: Page}
PAGE = 500
LATE = 16


@dataclass
class Data:
    """All data of VIPs in Redis."""

    state: dict[str, Any] = field(default_factory=dict)
    vips: dict[str, VipRecord] | None = None
    lives: dict[str, tuple[int, int]] | None = None
    """Private name → the era that it joined in, its renewal counter."""
    changes: dict[str, int] | None = None
    late: dict[str, float] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def copy(self) -> "Data":
        """A deep copy of the data."""
        return Data(
            dict(self.state),
            *(None if each is None else dict(each) for each in (self.vips, self.lives, self.changes)),
            late=dict(self.late),
            ended=set(self.ended),
        )


class Scripts:
    """The scripts over one server's `data`. `wall` is its present clock, `memory` its present life."""

    def __init__(
        self,
        wall: Callable[[], float],
        memory: Callable[[], str],
        max_step: float,
        late_after: float,
        off: frozenset[str] = frozenset(),
        floor: Callable[[], int] = lambda: 0,
    ) -> None:
        self.data = Data()
        self.wall, self.memory, self.max_step, self.late_after, self.off = wall, memory, max_step, late_after, off
        self.floor = floor
        """The server's time. The number of a new era is never below it."""

    def call(self, asked: RedisCall, node: str, fresh: bool = False) -> SessionAnswer | None:
        """The server's answer; None if it refuses. No script of ours refuses."""
        data, state = self.data, self.data.state
        if not self._begin_era(asked.era, fresh):
            return None
        if isinstance(asked, (Beat, TakeOver, EndCarrying)):
            wall = self.wall()
            state["clock"] = state.get("clock", wall) + max(0.0, min(wall - state.get("wall", wall), self.max_step))
            state["wall"] = wall
        era = Era(state["era"], self.memory() if "era_name" not in self.off else "")
        if isinstance(asked, EndCarrying):
            self._kill(asked.session)
            return SessionAnswer(Verdict.OK, era)
        if asked.session in data.ended:
            return ANSWERS.get(type(asked), SessionAnswer)(Verdict.ENDED, era)
        if isinstance(asked, Beat):
            return self._beat(asked, era, node)
        if not self._lives(asked.session) or asked.era != era:
            return ANSWERS.get(type(asked), SessionAnswer)(Verdict.REJOIN, era)
        answer: SessionAnswer = getattr(self, f"_{type(asked).__name__.lower()}")(asked, era, node)
        return answer

    def _begin_era(self, seen: Era, fresh: bool) -> bool:
        data, state = self.data, self.data.state
        whole = data.vips is not None and data.lives is not None and data.changes is not None
        if not whole and "missing" in self.off and state:
            data.vips, data.lives, data.changes = data.vips or {}, data.lives or {}, data.changes or {}
            whole = True
        behind = seen.number > state.get("era", 0)
        if state.get("mem") == self.memory() and behind and "era_up" in self.off:
            return False
        if state.get("mem") != self.memory() or not whole or behind:
            empty = not state
            opened = "settle" in self.off or ("settle_global" in self.off and (empty or fresh))
            number = max(state.get("era", 0), seen.number, self.floor()) + 1
            state.update(era=number, mem=self.memory(), open=opened)
            data.vips, data.changes = data.vips or {}, data.changes or {}
            data.lives, data.late = {}, {}
        return True

    def _lives(self, session: str) -> bool:
        return bool(session) and (self.data.lives or {}).get(session, (0, 0))[0] == self.data.state["era"]

    def _kill(self, session: str) -> None:
        assert self.data.lives is not None
        self.data.lives.pop(session, None)
        self.data.late.pop(session, None)
        self.data.ended.add(session)

    def _beat(self, asked: Beat, era: Era, node: str) -> Beaten:
        data, state = self.data, self.data.state
        assert data.lives is not None
        if asked.joins and "replace" in self.off:
            for each in [
                p for p in data.lives if p.split(".")[0] == asked.session.split(".")[0] and p != asked.session
            ]:
                self._kill(each)
        known = self._lives(asked.session) and asked.era == era
        if not asked.joins and not known and "assert_first" not in self.off:
            return Beaten(Verdict.REJOIN, era)
        counter = data.lives[asked.session][1] + 1 if self._lives(asked.session) else 1
        data.lives[asked.session] = (era.number, counter)
        data.late[asked.session] = state["clock"] + self.late_after
        late = sorted(
            (at, p) for p, at in data.late.items() if at <= state["clock"] and p != asked.session and p in data.lives
        )
        found = tuple(Late(p, data.lives[p][1]) for _, p in late[:LATE])
        return Beaten(Verdict.OK, era, True, state["open"], state.get("change", 0), found)

    def _keep(self, address: str, record: VipRecord) -> None:
        data = self.data
        assert data.vips is not None
        assert data.changes is not None
        data.state["change"] = data.state.get("change", 0) + 1
        data.vips[address], data.changes[address] = record, data.state["change"]

    def _record(self, address: str) -> VipRecord:
        assert self.data.vips is not None
        return self.data.vips.get(address, VipRecord())

    def _stateheld(self, asked: StateHeld, era: Era, node: str) -> Stated:
        kept = []
        for address, epoch in asked.holdings:
            record = self._record(address)
            free = record.era != era.number or record.owner in ("", asked.session)
            if (not self.data.state["open"] and free) or ("assert_closed" in self.off and epoch >= record.epoch):
                reason = record.reason if record.owner == asked.session else "stated"
                record = VipRecord(asked.session, max(record.epoch, epoch), era.number, "", reason)
                self._keep(address, record)
                kept.append(record.epoch == epoch)
            else:
                kept.append(False)
        return Stated(Verdict.OK, era, True, tuple(kept))

    def _openera(self, asked: OpenEra, era: Era, node: str) -> SessionAnswer:
        self.data.state["open"] = asked.era.number == era.number or self.data.state["open"]
        return SessionAnswer(Verdict.OK, era)

    def _takeover(self, asked: TakeOver, era: Era, node: str) -> SessionAnswer:
        life = (self.data.lives or {}).get(asked.watched)
        same = life == (era.number, asked.counter) or ("cas" in self.off and life is not None)
        if self.data.state["open"] and same:
            self._kill(asked.watched)
        return SessionAnswer(Verdict.OK, era)

    def _acquire(self, asked: Acquire, era: Era, node: str) -> Granted:
        epochs = []
        for wish in asked.wishes:
            record = self._record(wish.address)
            present = record.era == era.number or "era_void" in self.off
            ours = present and record.owner == asked.session
            free = not (present and self._lives(record.owner))
            reserved = present and record.to not in ("", node) and not wish.force
            if ours:
                if wish.reason and wish.reason != record.reason:
                    self._keep(wish.address, replace(record, reason=wish.reason))
                epochs.append(record.epoch if "idem" not in self.off else 0)
            elif self.data.state["open"] and free and not reserved:
                seen = wish.seen if "seen" not in self.off else 0
                record = VipRecord(asked.session, max(record.epoch, seen) + 1, era.number, "", wish.reason)
                self._keep(wish.address, record)
                epochs.append(record.epoch)
            else:
                epochs.append(0)
        return Granted(Verdict.OK, era, True, tuple(epochs))

    def _release(self, asked: Release, era: Era, node: str) -> SessionAnswer:
        for gift in asked.gifts:
            record = self._record(gift.address)
            if (record.owner, record.epoch, record.era) == (asked.session, gift.epoch, era.number):
                self._keep(gift.address, replace(record, owner="", to=gift.to, reason=gift.reason))
        return SessionAnswer(Verdict.OK, era)

    def _read(self, asked: Read, era: Era, node: str) -> Page:
        assert self.data.changes is not None
        found = sorted((n, a) for a, n in self.data.changes.items() if n > asked.since)
        page = found[:PAGE]
        more = len(found) > PAGE
        upto = page[-1][0] if more else self.data.state.get("change", 0)
        return Page(Verdict.OK, era, True, upto, more, tuple((a, self._record(a)) for _, a in page))
