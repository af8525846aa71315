"""The changes of one node's VIPs: it logs each change of an owner, and counts for the metrics."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from eccmgr.cluster.names import public_name
from eccmgr.duravip.records import Late, VipRecord
from worker.duravip.model.actions import Wish

log = structlog.get_logger()


class Kind(enum.StrEnum):
    """The kind of a VIP's change, as its node sees it."""

    ACQUIRED = "acquired"
    """The VIP was free."""
    TAKEN_OVER = "taken over"
    """The session of its owner had ended."""
    MOVED = "moved"
    """Its owner released it for us."""
    RELEASED = "released"
    """We gave it up."""
    LOST = "lost"
    """We could no longer prove that the VIP is ours."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of the metrics; durations in seconds, None if nothing was measured."""

    addresses: tuple[str, ...]
    """The VIPs that are plumbed here."""
    changes: dict[Kind, int]
    outage_s: float | None
    lease_age_s: float | None
    fence: str
    """The kind of the fence in force, "" if no guardian serves."""
    is_open: bool

    @property
    def owned(self) -> int:
        """The number of VIPs that are plumbed here."""
        return len(self.addresses)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A VIP that we have asked for. It has no live owner since `gone_since`; `giver` is the node that released it to
    us."""

    at: float
    kind: Kind
    reason: str
    gone_since: float
    giver: str = ""


@dataclass(frozen=True, slots=True)
class _Owned:
    epoch: int
    at: float


@dataclass(frozen=True, slots=True)
class _Lateness:
    counter: int
    since: float
    upto: float


class Changes:
    """The changes of the VIPs of `node`. Times are CLOCK_BOOTTIME in seconds. A session counts as late until `fresh_s`
    after a heartbeat's answer last listed it."""

    def __init__(self, node: str, fresh_s: float) -> None:
        self.node, self.fresh_s = node, fresh_s
        self.counts = dict.fromkeys(Kind, 0)
        self.outage_s: float | None = None
        """The outage of the last takeover. It begins when we first saw the owner's session late, and ends when the VIP
        is plumbed here. If the owner's session ended before it was late, the outage begins when we asked for the
        VIP."""
        self._owned: dict[str, _Owned] = {}
        self._asked: dict[str, _Asked] = {}
        self._owners: dict[str, str] = {}
        """Address → the node that last owned it, as far as we know."""
        self._late: dict[str, _Lateness] = {}

    @property
    def addresses(self) -> tuple[str, ...]:
        """The VIPs that are plumbed here."""
        return tuple(self._owned)

    def late(self, now: float, sessions: Iterable[Late]) -> None:
        """A heartbeat's answer listed these sessions as late."""
        self._late = {name: each for name, each in self._late.items() if now - each.upto <= self.fresh_s}
        for each in sessions:
            known = self._late.get(each.session)
            since = known.since if known is not None and known.counter == each.counter else now
            self._late[each.session] = _Lateness(each.counter, since, now)

    def read(self, address: str, record: VipRecord) -> None:
        """A record has changed: note its owner."""
        if record.owner:
            self._owners[address] = owner = public_name(record.owner)
            if owner.lower() != self.node.lower():
                self._asked.pop(address, None)

    def asked(self, now: float, wish: Wish, record: VipRecord) -> None:
        """We ask for a VIP whose record this is; later requests for it change nothing."""
        if wish.address in self._asked:
            return
        kind, how, gone_since = self._how(now, wish.address, record)
        reason = f"{how}; {wish.reason}" if wish.reason else how
        giver = self._owners.get(wish.address, "") if kind is Kind.MOVED else ""
        self._asked[wish.address] = _Asked(now, kind, reason, gone_since, giver)

    def giver(self, address: str) -> str:
        """The node that released this VIP to us, while we have not plumbed it yet; else ""."""
        asked = self._asked.get(address)
        return asked.giver if asked is not None else ""

    def _how(self, now: float, address: str, record: VipRecord) -> tuple[Kind, str, float]:
        owner = public_name(record.owner)
        if owner and owner.lower() == self.node.lower():
            return Kind.ACQUIRED, "regained", now
        if owner:
            late = self._late.get(record.owner)
            is_fresh = late is not None and now - late.upto <= self.fresh_s
            return Kind.TAKEN_OVER, f"takeover of {owner}", late.since if late is not None and is_fresh else now
        last_owner = self._owners.get(address)
        if record.to.lower() == self.node.lower():
            return Kind.MOVED, f"moved from {last_owner}" if last_owner else "moved", now
        return Kind.ACQUIRED, f"free, released by {last_owner}" if last_owner else "free", now

    def refused(self, address: str) -> None:
        """Redis refused us the VIP."""
        self._asked.pop(address, None)

    def owned(self, now: float, address: str, epoch: int) -> None:
        """The VIP is ours, and is plumbed here."""
        known = self._owned.get(address)
        if known is not None and known.epoch == epoch:
            return
        asked = self._asked.pop(address, None) or _Asked(now, Kind.ACQUIRED, "plumbed again", now)
        self._owned[address] = _Owned(epoch, now)
        self.counts[asked.kind] += 1
        if asked.kind is Kind.TAKEN_OVER:
            self.outage_s = now - asked.gone_since
        log.info("vip owned", vip=address, epoch=epoch, reason=asked.reason, ms=_ms(now - asked.at))

    def given_up(self, now: float, address: str, epoch: int, to: str, reason: str) -> None:
        """We give the VIP up for the node `to`; with "", placement chooses the node."""
        self._asked.pop(address, None)
        owned = self._owned.pop(address, None)
        if owned is None:
            return
        self.counts[Kind.RELEASED] += 1
        log.info("vip given up", vip=address, epoch=epoch, reason=reason, to=to, held_s=round(now - owned.at, 3))

    def lost(self, now: float, address: str, epoch: int, reason: str) -> None:
        """The VIP is no longer ours, or we cannot prove that it is."""
        self._asked.pop(address, None)
        owned = self._owned.pop(address, None)
        if owned is None:
            return
        self.counts[Kind.LOST] += 1
        log.warning("vip lost", vip=address, epoch=epoch, reason=reason, held_s=round(now - owned.at, 3))


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)
