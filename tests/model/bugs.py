"""The rules, switched off one at a time: the search must find the failure that each of them prevents."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from eccmgr.cluster.timing import Timing
from eccmgr.duravip.records import Beaten, Page
from tests.model.world import ORPHAN, UNLAW
from worker.duravip.model.actions import Action, Beat, Read
from worker.duravip.model.agent import Agent
from worker.guardian.guard import Guard, Steps
from worker.guardian.wire import Deadline, Unplumb


class NoMargin(Timing):
    """A watcher waits no longer than a holder holds."""

    @property
    def watch_s(self) -> float:
        return self.hold_s


class NoPatience(Timing):
    """An agent without a guardian gives up its session while the fence is still open."""

    @property
    def fence_late_s(self) -> float:
        return -self.hold_s


class NoEndOfReservation(Timing):
    """A VIP waits for ever for the target of a move."""

    @property
    def reserved_s(self) -> float:
        return float("inf")


class StampedAfter(Agent):
    """The deadline counts from the answer."""

    def beaten(self, now: float, asked: Beat, answer: Beaten) -> list[Action]:
        return super().beaten(now, replace(asked, sent=now), answer)


class RenewsUnacked(Agent):
    """A renewal counts without a majority."""

    def beaten(self, now: float, asked: Beat, answer: Beaten) -> list[Action]:
        return super().beaten(now, asked, replace(answer, acked=True))


class WatchesUnacked(Agent):
    """The watch of an era begins at an answer without a majority."""

    def _watch(self, now: float, answer: Beaten) -> list[Action]:
        return super()._watch(now, replace(answer, acked=True))


class ReleasesAtOnce(Agent):
    """A release does not wait for the guardian."""

    def give_up(self, addresses: Iterable[str], to: str, reason: str) -> list[Action]:
        actions = super().give_up(addresses, to, reason)
        for vip in self.vips.values():
            if vip.moving:
                vip.moving, vip.unplumbed, vip.asked_at = False, vip.released, float("-inf")
        return actions


class BelievesRecords(Agent):
    """An agent plumbs every address of its record, even addresses that it gave up."""

    def changed(self, now: float, asked: Read, page: Page) -> list[Action]:
        actions = super().changed(now, asked, page)
        for vip in self.vips.values():
            if self._is_ours(vip) and not vip.held and not vip.moving:
                vip.held, vip.released, vip.asked_at = vip.record.epoch, 0, float("-inf")
        return [*actions, *self.settle(now)]


class DropsSilently(Agent):
    """An agent leaves addresses plumbed that it no longer holds."""

    def _drop(self, addresses: Iterable[str], why: str) -> list[Action]:
        super()._drop(addresses, why)
        return []


class OpensOver(Guard):
    """A guard opens a lapsed fence over plumbed addresses."""

    def extend(self, message: Deadline) -> Steps:
        self.session, self._arguments = message.session, message.arguments
        yield from super().extend(message)

    def _has_lapsed(self, now: float) -> bool:
        return False


class PlumbsWhatWasReleased(Guard):
    """An agent forgets which addresses it gave up."""

    def unplumb(self, message: Unplumb) -> Steps:
        yield from super().unplumb(message)
        self._released.clear()


class KeepsItsName(Agent):
    """A new guardian serves the session of the old one."""

    def respawned(self, served: bool) -> list[Action]:
        session, joined, before = self.session, self.joined, self.before
        super().respawned(served)
        self.session, self.joined, self.before = session, joined, before
        return []

    def down(self, session: str, why: str = "") -> list[Action]:
        return []


class TrustsItsGuardian(Agent):
    """An agent keeps a guardian that confirms nothing."""

    def beat(self, now: float) -> list[Action]:
        self._unconfirmed_since = None
        return super().beat(now)


class MovesEarly(Agent):
    """A join moves the deadline before all holdings are stated."""

    def _state(self, now: float, asked: Beat, answer: Beaten) -> list[Action]:
        actions = super()._state(now, asked, answer)
        if self._joining is None:
            return actions
        early = self._renewed(now, asked.sent, answer)
        self.joined = False
        return [*early, *actions]


@dataclass(frozen=True)
class Bug:
    """A rule that is off: the failure that follows, the faults that expose it, and the first seed of the hunt."""

    breaks: str
    off: frozenset[str] = frozenset()
    kind: type[Agent] = Agent
    timing: type[Timing] = Timing
    guard: type[Guard] = Guard
    kinds: tuple[str, ...] | None = None
    first: int = 1


def _off(*names: str) -> frozenset[str]:
    return frozenset(names)


# Two rules are missing here. One is that a grant counts only if a majority has it: thousands of runs without that rule
# found nothing. The other is that a late call of an earlier era is void: the search finds its absence too seldom, so
# the scripts' own tests check it.
BUGS = {
    "T covers D, drift, token and kernel lateness": Bug(
        UNLAW, timing=NoMargin, kinds=("restart", "cut", "steps"), first=50801
    ),
    "the deadline counts from before the send": Bug(UNLAW, kind=StampedAfter, first=1701),
    "no grant in a new era until it is opened": Bug(UNLAW, _off("settle")),
    "the first script of any kind begins the era for all": Bug(UNLAW, _off("settle_global")),
    "in a new era only a join moves the deadline": Bug(UNLAW, _off("assert_first")),
    "a join moves it once all holdings are stated": Bug(UNLAW, kind=MovesEarly, kinds=("evict", "stop a"), first=501),
    "memory is run_id and replication id": Bug(UNLAW, _off("replid"), kinds=("failback",)),
    "a missing key is lost memory": Bug(UNLAW, _off("missing")),
    "a renewal counts when a majority has it": Bug(UNLAW, kind=RenewsUnacked, kinds=("failover",)),
    "an era is watched from what a majority has": Bug(UNLAW, kind=WatchesUnacked, kinds=("failover", "cut")),
    "a release follows the unplumbing": Bug(UNLAW, kind=ReleasesAtOnce),
    "a new process does not shorten the old session": Bug(UNLAW, _off("replace"), kinds=("kill", "cut"), first=401),
    "plumbing needs an answer above what was given up": Bug(UNLAW, kind=BelievesRecords, guard=PlumbsWhatWasReleased),
    "the fence is set while its token lives": Bug(UNLAW, _off("token")),
    "a fence that lapsed opens on nothing plumbed": Bug(UNLAW, kind=DropsSilently, guard=OpensOver, kinds=("stop",)),
    "a new guardian means a new session": Bug(UNLAW, kind=KeepsItsName),
    "an era is its number and its memory": Bug(UNLAW, _off("era_name"), kinds=("newcomer", "failover"), first=3501),
    "who saw a later era begins one above it": Bug(ORPHAN, _off("era_up")),
    "asking again answers the same epoch": Bug(ORPHAN, _off("idem")),
    "a silent guardian is replaced": Bug(ORPHAN, kind=TrustsItsGuardian),
    "a reservation ends": Bug(ORPHAN, timing=NoEndOfReservation),
    "who has no guardian gives up": Bug(ORPHAN, _off("give up"), kinds=("bar",)),
    "but not before the fence has closed": Bug(UNLAW, timing=NoPatience, kinds=("bar",)),
}
