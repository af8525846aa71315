"""Carries out the guard's steps: fence, plumber, announcements, the end of a session."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from worker.guardian import guard
from worker.guardian.announce import Announcer, Rivals
from worker.guardian.ending import EndingFailed
from worker.guardian.fence import Fence, NftablesFence, Refused
from worker.guardian.interfaces import DELETE_LINK, EVENT_GROUPS, NEW_LINK, Interface
from worker.guardian.lesser_fences import LifetimeFence, NoFence
from worker.guardian.netlink import ROUTE, Events
from worker.guardian.plumber import Failures, MemoryPlumber, Plumber
from worker.guardian.plumber_exec import ExecPlumber, check_program
from worker.guardian.plumber_netlink import NetlinkPlumber, check_rights
from worker.guardian.wire import Address, Configure, Ending, Message, boot_time

Log = Callable[..., None]
EndSession = Callable[[Ending, tuple[str, ...]], None]
"""Ends a session, in the way of an Ending and with these arguments of its script. Raises EndingFailed."""
_ENDING_STACK_BYTES = 512 * 1024


def check_plumber(plumber: str, program: str) -> None:
    """Raises OSError if this process cannot do the work of `plumber`."""
    if plumber == "netlink":
        check_rights()
    elif plumber == "exec":
        check_program(program)


class Hands:
    """Changes the host. `say` passes a message to the agent; `log` takes an event with its fields."""

    def __init__(
        self, wanted: Configure, program: str, end_session: EndSession, say: Callable[[Message], None], log: Log
    ) -> None:
        """Closes the fence at once. Raises OSError if the plumber cannot work here."""
        self._say, self._log, self._end_session = say, log, end_session
        self.ending: Ending | None = None
        self._endings: list[threading.Thread] = []
        self.netlink = NetlinkPlumber() if wanted.plumber == "netlink" else None
        self.plumber: Plumber = self.netlink or (ExecPlumber(program) if wanted.plumber == "exec" else MemoryPlumber())
        self.why = ""
        self._vips, self._plumbed = wanted.vips, dict[str, Address]()
        self.fence = self._choose(wanted.fence)
        self.announcer = Announcer(self.netlink.interfaces, self._links) if self.netlink else None
        self.rivals = Rivals() if self.netlink else None
        self.events = Events(ROUTE, EVENT_GROUPS) if self.netlink else None

    def close(self) -> None:
        """Wait until the sessions are ended, then release everything. The fence stays in the kernel."""
        for ending in self._endings:
            ending.join()
        for part in (self.plumber, self.announcer, self.rivals, self.events):
            if part is not None:
                part.close()
        self.fence.release()

    def sweep(self) -> Failures:
        """Remove the addresses that an earlier guardian left, behind the closed fence."""
        return self.plumber.sweep(self._vips)

    def reconfigure(self, vips: tuple[Address, ...]) -> None:
        """Put other addresses behind the fence. Raises Refused."""
        self._vips = vips
        self.fence.cover(vip.address for vip in vips)

    def look(self) -> tuple[dict[str, Interface], bool]:
        """The present interfaces, and whether the fence stands on all of them."""
        assert self.netlink is not None
        self.netlink.look()
        return self.netlink.links, self._tried(self.fence.hook, self._places())

    def heard(self) -> tuple[bool, set[str] | None]:
        """The news from netlink: whether links changed, and which of our addresses are gone or not well. None in place
        of the addresses: each of them may be."""
        assert self.events is not None
        assert self.netlink is not None
        events = self.events.read()
        if events is None:
            return True, None
        mine = {self.netlink.heard(event) for event in events}
        return any(event.kind in (NEW_LINK, DELETE_LINK) for event in events), mine - {""}

    def carry_out(self, steps: guard.Steps) -> None:
        """Take the steps one after another, and send back the result of each."""
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration:
                return
            answer = self._take(step)

    def _take(self, step: guard.Step) -> Any:
        match step:
            case guard.ReadClock():
                return boot_time()
            case guard.Arm():
                return self._tried(self.fence.arm)
            case guard.OpenFence(until):
                return self._open(until)
            case guard.Close():
                return self._tried(self.fence.close)
            case guard.Rebuild():
                return self._tried(self.fence.build, [vip.address for vip in self._vips], self._places())
            case guard.Add(addresses, epochs):
                return self._add(addresses, epochs)
            case guard.Remove(addresses):
                return self._remove(addresses)
            case guard.Check(addresses):
                return self.plumber.check(addresses)
            case guard.Announce(addresses):
                return self._announce(addresses)
            case guard.EndSession(session, arguments):
                return self._end(session, arguments)
            case guard.Say(message):
                return self._say(message)

    def _open(self, until: float) -> bool:
        left = until - boot_time()
        return left > 0 and self._tried(self.fence.open, left)

    def _add(self, addresses: tuple[Address, ...], epochs: tuple[int, ...]) -> list[str | None]:
        answers = self.plumber.plumb(addresses, epochs)
        carried = [vip for vip, answer in zip(addresses, answers, strict=True) if not answer]
        self._plumbed.update((vip.address, vip) for vip in carried)
        self._announce(carried)
        return answers

    def _remove(self, addresses: tuple[Address, ...]) -> Failures:
        names = [vip.address for vip in addresses]
        if self.announcer:
            self.announcer.forget(names)
        failures = self.plumber.unplumb(addresses)
        for name in names:
            self._plumbed.pop(name, None)
        for name, reason in failures:
            self._log("address not removed", address=name, reason=reason)
        return failures

    def _announce(self, addresses: Iterable[Address]) -> None:
        if self.announcer:
            self.announcer.begin(addresses, boot_time())

    def _end(self, session: str, arguments: tuple[str, ...]) -> None:
        """End the session in a thread: Redis may be away, and the next session's deadline must not wait for it."""
        if self.ending is None:
            self._log("session not ended", session=session, reason="it was never said how")
            return
        self._endings = [each for each in self._endings if each.is_alive()]
        threading.stack_size(_ENDING_STACK_BYTES)
        thread = threading.Thread(target=self._end_now, args=(self.ending, session, arguments), daemon=True)
        self._endings.append(thread)
        thread.start()

    def _end_now(self, ending: Ending, session: str, arguments: tuple[str, ...]) -> None:
        try:
            self._end_session(ending, arguments)
        except EndingFailed as error:
            self._log("session not ended", session=session, reason=str(error))
        else:
            self._log("session ended", session=session)

    def _tried(self, act: Callable[..., None], *arguments: Any) -> bool:
        try:
            act(*arguments)
        except Refused as error:
            self._log("fence refused", step=act.__name__, reason=str(error))
            return False
        return True

    def _choose(self, wanted: str) -> Fence:
        if self.netlink is None:
            self.why = "its addresses are not in this host's kernel"
            return NoFence()
        if wanted in ("", "nftables"):
            left = [each.address for each in self.netlink.look() if each.ours]
            try:
                fence = NftablesFence()
                fence.build([*(each.address for each in self._vips), *left], self._places())
            except OSError as error:
                if wanted:
                    raise
                self.why = f"nftables: {error}"
            else:
                return fence
        return NoFence() if wanted == "none" else LifetimeFence(self._renew, boot_time)

    def _renew(self, seconds: int) -> None:
        assert self.netlink is not None
        self.netlink.valid_s = seconds
        self.netlink.renew(list(self._plumbed.values()))

    def _links(self) -> dict[str, Interface]:
        return self.netlink.links if self.netlink else {}

    def _places(self) -> list[tuple[int, str]]:
        return [(interface.index, interface.name) for interface in self._links().values() if not interface.loopback]
