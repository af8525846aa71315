"""The guardian's steps for each event: pure. Each method yields the steps to take, and is sent the result of each.

The order of the steps is the point: first the fence, then the addresses, then the session. If a fence was closed or has
lapsed, every address is unplumbed before it is opened. A stop or an end between any two steps leaves the host silent.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any

from worker.guardian.wire import (
    Address,
    Deadline,
    Down,
    Kept,
    LinkState,
    Message,
    NotPlumbed,
    Plumb,
    Plumbed,
    Unplumb,
    Unplumbed,
)

SESSION_OVER = "its session is over"
TOO_LATE = "its time has passed"
NOT_OURS = "it is in no configuration, or in no Topology with which this node was started"
ASK_AGAIN = frozenset({SESSION_OVER, TOO_LATE})
"""Reasons that do not concern the address itself: the agent may ask for it again once a deadline stands."""

_CHANGED_AT_ONCE = 64
_ENDED_KEPT = 1000


@dataclass(frozen=True)
class ReadClock:
    """Read the boot time. Result: seconds."""


@dataclass(frozen=True)
class Arm:
    """Make the first transaction of the fence. Result: whether the kernel took it."""


@dataclass(frozen=True)
class OpenFence:
    """Make the second transaction: read the clock and open the fence until the deadline. Result: whether the kernel
    took it."""

    until: float


@dataclass(frozen=True)
class Close:
    """Close the fence. Result: whether it is closed."""


@dataclass(frozen=True)
class Rebuild:
    """Build the fence anew, closed. Result: whether it stands."""


@dataclass(frozen=True)
class Add:
    """Plumb and announce. Result: for each address '' or the reason for its failure, or None while it is under way."""

    addresses: tuple[Address, ...]
    epochs: tuple[int, ...]


@dataclass(frozen=True)
class Remove:
    """Unplumb. Result: the addresses that are still there, each with the reason."""

    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class Check:
    """Compare the interfaces with the carried addresses, and mend. Result: the addresses that could not be mended, with
    reasons."""

    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class Announce:
    """Announce again that this host carries these addresses."""

    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class EndSession:
    """End the session in Redis."""

    session: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Say:
    """Send the agent a message."""

    message: Message


Step = ReadClock | Arm | OpenFence | Close | Rebuild | Add | Remove | Check | Announce | EndSession | Say
Steps = Generator[Step, Any, None]
Asking = Generator[Step, Any, bool]


@dataclass(frozen=True)
class WantedAddress:
    """An address that is plumbed, or is to be plumbed."""

    epoch: int
    session: str
    at: float
    asked: float


@dataclass
class Leaving:
    """An Unplumb that is not done yet: the addresses still to remove, and those that failed."""

    tag: str
    names: list[str]
    failures: tuple[tuple[str, str], ...] = ()


class Guard:
    """The guardian's state. `deadline` is -1 without a session."""

    def __init__(self) -> None:
        self.vips: dict[str, Address] = {}
        self.held: dict[str, WantedAddress] = {}
        self.waiting: dict[str, WantedAddress] = {}
        self.session = ""
        self.deadline = -1.0
        self.fence_until = -1.0
        self._arguments: tuple[str, ...] = ()
        self._released: dict[str, int] = {}
        self._leaving: list[Leaving] = []
        self._under_way: dict[str, WantedAddress] = {}
        self._ended: dict[str, None] = {}

    @property
    def has_work(self) -> bool:
        """Whether `work` has something to do."""
        return bool(self._leaving or self.waiting)

    @property
    def leaving(self) -> int:
        """The number of Unplumb messages that are not done yet."""
        return len(self._leaving)

    @property
    def has_under_way(self) -> bool:
        """Whether a plumbing is under way."""
        return bool(self._under_way)

    def configure(self, vips: Iterable[Address]) -> Steps:
        """From now on this node may carry these addresses. Give up each carried address that is not among them, or that
        has changed."""
        fresh = {each.address: each for each in vips}
        gone = [name for name in self.held if fresh.get(name) != self.vips[name]]
        if gone:
            yield from self._give_up(gone, "its configuration has changed")
        kept = {name: self.vips[name] for name in self.held}
        self.vips = {**fresh, **kept}
        self.waiting = {name: each for name, each in self.waiting.items() if name in fresh}
        self._released = {name: epoch for name, epoch in self._released.items() if name in fresh}

    def extend(self, message: Deadline) -> Steps:
        """The session stands until the message's time: extend the fence, or unplumb everything and open it."""
        now = yield ReadClock()
        if now >= message.at or message.session in self._ended:
            return
        again: dict[str, WantedAddress] = {}
        if self._has_lapsed(now) or message.session != self.session:
            again = self._wanted(message) if message.session == self.session else {}
            if not (yield from self._silence()):
                yield from self.go_down("an address cannot be removed, so the fence stays closed")
                return
        self.deadline = max(self.deadline, message.at) if message.session == self.session else message.at
        self.session, self._arguments = message.session, message.arguments
        if self.fence_until < self.deadline and not (yield from self._open()):
            again |= self._wanted(message)
            if not (yield from self._make_anew()):
                yield from self.go_down("the kernel refuses the fence")
                return
        self.waiting = {**again, **self.waiting}
        yield Say(Kept(message.session, message.at))

    def plumb(self, message: Plumb) -> Steps:
        """Take note of the addresses to plumb. `work` plumbs them: a deadline must not wait behind thousands of
        addresses."""
        now = yield ReadClock()
        for grant in message.grants:
            if grant.address not in self.vips:
                yield Say(NotPlumbed(grant.address, grant.epoch, NOT_OURS))
                continue
            self.waiting[grant.address] = WantedAddress(grant.epoch, message.session, message.at, now)

    def work(self) -> Steps:
        """Unplumb some of the leaving addresses. Once all of these are gone, plumb some of the waiting ones."""
        if self._leaving:
            yield from self._leave()
            return
        chunk = [(name, self.waiting.pop(name)) for name in list(self.waiting)[:_CHANGED_AT_ONCE]]
        now = yield ReadClock()
        taken: list[tuple[str, WantedAddress]] = []
        before = self.held.keys() & dict(chunk).keys()
        for name, wanted in chunk:
            reason = self._objection(name, wanted, now)
            if reason:
                yield Say(NotPlumbed(name, wanted.epoch, reason))
            else:
                taken.append((name, wanted))
                self.held[name] = wanted
        if not taken:
            return
        answers = yield Add(tuple(self.vips[name] for name, _ in taken), tuple(each.epoch for _, each in taken))
        for (name, wanted), answer in zip(taken, answers, strict=True):
            if answer is None:
                self._under_way[name] = wanted
            else:
                yield from self._settle(name, wanted, answer, is_there=name in before)

    def finished(self, address: str, epoch: int, reason: str) -> Steps:
        """A plumbing under way has ended: `reason` says why it failed, or is empty."""
        wanted = self._under_way.get(address)
        if wanted is not None and wanted.epoch == epoch:
            del self._under_way[address]
            # A failed plumbing may have done its work, or may still do it.
            yield from self._settle(address, wanted, reason, is_there=True)

    def unplumb(self, message: Unplumb) -> Steps:
        """Give up these addresses. None of them is plumbed again with its epoch or a lower one."""
        for grant in message.grants:
            if grant.address in self.vips:
                self._released[grant.address] = max(self._released.get(grant.address, 0), grant.epoch)
            self.waiting.pop(grant.address, None)
        self._leaving.append(Leaving(message.tag, [grant.address for grant in message.grants]))
        if len(self._leaving) == 1:
            yield from self._leave()

    def timer(self) -> Steps:
        """The deadline may have passed."""
        now = yield ReadClock()
        if self.session and now >= self.deadline:
            yield from self.go_down("the deadline has passed")

    def touched(self) -> Steps:
        """Somebody else has changed the fence, or a new interface cannot be fenced."""
        again = self._wanted(None)
        if not self.session:
            yield Rebuild()
        elif (yield from self._make_anew()):
            self.waiting = {**again, **self.waiting}
        else:
            yield from self.go_down("the fence was changed by another, and the kernel refuses a new one")

    def rival(self, address: str, who: str, *, resumed: bool) -> Steps:
        """Another host announces an address of ours. A guardian that was away gives the address up; any other announces
        it again."""
        if address in self.held and address in self.vips:
            if resumed:
                yield from self._give_up([address], f"another host announces it: {who}")
            else:
                yield Announce((self.vips[address],))

    def check(self) -> Steps:
        """Mend addresses that are not as they should be; give up those that cannot be mended."""
        now = yield ReadClock()
        if not self.session or now >= self.fence_until:
            return
        settled = [name for name in self.held if name not in self._under_way]
        broken = yield Check(tuple(self.vips[name] for name in settled))
        for name, reason in broken:
            yield from self._give_up([name], reason)

    def link(self, interface: str, *, up: bool, there: bool = True) -> Steps:
        """An interface came up or went down."""
        yield Say(LinkState(interface, up, there))
        if up:
            yield Announce(tuple(self.vips[name] for name in self.held if self.vips[name].interface == interface))

    def resumed(self) -> Steps:
        """This process was stopped for a while. Meanwhile the neighbours may have forgotten us, or heard another
        host."""
        yield Announce(tuple(self.vips[name] for name in self.held))

    def go_down(self, reason: str) -> Steps:
        """Close the fence, remove the addresses, end the session, in this order."""
        silent = yield from self._silence()
        session, arguments = self.session, self._arguments
        self.session, self.deadline, self._arguments, self.waiting = "", -1.0, (), {}
        if not session:
            return
        self._ended[session] = None
        if len(self._ended) > _ENDED_KEPT:
            del self._ended[next(iter(self._ended))]
        if silent:
            yield EndSession(session, arguments)
        yield Say(Down(session, reason if silent else f"{reason}; what is left of it ages out"))

    def _silence(self) -> Asking:
        """Close the fence and remove the addresses; answers whether they are gone."""
        self.fence_until = -1.0
        if not (yield Close()):
            yield Rebuild()
        failures = yield from self._remove(list(self.held))
        return not failures

    def _has_lapsed(self, now: float) -> bool:
        """Whether the fence has closed since it was opened, or is about to close."""
        return now >= self.fence_until or now >= self.deadline

    def _open(self) -> Asking:
        """Open the fence in two transactions: if the guardian was held up between them, the kernel refuses its token.

        Once the token stands, a long stop makes the kernel refuse. So the fence is checked for a lapse only after that.
        """
        for _ in range(2):
            if not (yield Arm()):
                continue
            now = yield ReadClock()
            if self.held and self._has_lapsed(now):
                return False
            if (yield OpenFence(self.deadline)):
                self.fence_until = self.deadline
                return True
        return False

    def _make_anew(self) -> Asking:
        self.fence_until = -1.0
        failures = yield from self._remove(list(self.held))
        if failures or not (yield Rebuild()):
            return False
        return (yield from self._open())

    def _wanted(self, message: Deadline | None) -> dict[str, WantedAddress]:
        """The addresses that are carried now and do not leave: they will be plumbed again."""
        at = message.at if message else self.deadline
        leaving = {name for each in self._leaving for name in each.names}
        return {name: replace(each, at=at) for name, each in self.held.items() if name not in leaving}

    def _leave(self) -> Steps:
        leaving = self._leaving[0]
        now, leaving.names = leaving.names[:_CHANGED_AT_ONCE], leaving.names[_CHANGED_AT_ONCE:]
        leaving.failures += yield from self._remove([name for name in now if name in self.held])
        if not leaving.names:
            self._leaving.remove(leaving)
            yield Say(Unplumbed(leaving.tag, leaving.failures))

    def _objection(self, name: str, wanted: WantedAddress, now: float) -> str:
        if name not in self.vips:
            return NOT_OURS
        if wanted.session != self.session:
            return SESSION_OVER
        if wanted.epoch <= self._released.get(name, 0):
            return "this epoch of it was released"
        if now >= min(wanted.at, self.deadline, self.fence_until):
            return TOO_LATE
        return ""

    def _settle(self, name: str, wanted: WantedAddress, reason: str, *, is_there: bool) -> Steps:
        """Record the result of plumbing an address. If it failed and the address may be there, the address is unplumbed
        first."""
        if reason:
            if is_there and (yield from self._remove([name])):
                return
            self.held.pop(name, None)
            yield Say(NotPlumbed(name, wanted.epoch, reason))
        elif name in self.held:
            now = yield ReadClock()
            yield Say(Plumbed(name, wanted.epoch, round((now - wanted.asked) * 1000, 2)))

    def _give_up(self, names: list[str], reason: str) -> Steps:
        epochs = {name: self.held[name].epoch for name in names if name in self.held}
        failures = dict((yield from self._remove(list(epochs))))
        for name, epoch in epochs.items():
            if name not in failures:
                yield Say(NotPlumbed(name, epoch, reason))

    def _remove(self, names: list[str]) -> Generator[Step, Any, tuple[tuple[str, str], ...]]:
        if not names:
            return ()
        failures: tuple[tuple[str, str], ...] = yield Remove(tuple(self.vips[name] for name in names))
        left = dict(failures)
        for name in names:
            self._under_way.pop(name, None)
            if name not in left:
                self.held.pop(name, None)
        return failures
