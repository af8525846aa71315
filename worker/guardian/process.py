"""The guardian's loop: it handles messages of the agent, events of the kernel, and the time."""

import contextlib
import selectors
import socket
import time

from eccmgr.host.log_lines import on_standard_error
from eccmgr.host.streams import Sink
from worker.guardian.absence import Absence
from worker.guardian.charter import Charter
from worker.guardian.guard import Guard, Steps
from worker.guardian.hands import EndSession, Hands, check_plumber
from worker.guardian.interfaces import Interface
from worker.guardian.rights import Alone, NotAlone
from worker.guardian.wire import (
    Configure,
    Deadline,
    Ending,
    Lines,
    LinkState,
    Message,
    Plumb,
    Ready,
    Unfit,
    Unplumb,
    WireError,
    boot_time,
    encode,
)

_LONGEST_WAIT_S = 1.0
_UNDER_WAY_S = 0.02
_READ_BYTES = 1024 * 1024
_MOST_LEAVING = 20_000
_LARGEST_BACKLOG = 64 * 1024 * 1024


def _line(level: str, event: str, **fields: object) -> str:
    """A line in the form of every daemon's log. The guardian does not load the library that makes those."""
    seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
    moment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanos // 1000:06}Z"
    named = {"time": moment, "level": level, "program": "guardian", "event": event, **fields}
    return on_standard_error(" ".join(f"{name}={_shown(value)}" for name, value in named.items()), named)


def _shown(value: object) -> str:
    """`value` as one word or in quotes, because an agent or a program may have said anything."""
    text = "".join(character if character.isprintable() and character != '"' else "?" for character in str(value))
    return f'"{text}"' if not text or " " in text or "=" in text else text


_standard_error = Sink(2, lambda lines, reason: _line("warning", "log lines dropped", lines=lines, reason=reason))


def log(event: str, level: str = "info", **fields: object) -> None:
    """Write one line to standard error; do without if that fails."""
    _standard_error.write(_line(level, event, **fields) + "\n")


class AgentGone(Exception):
    """Raised when the agent has closed its end."""


class Process:
    """One guardian, which serves one agent until that agent is gone."""

    def __init__(
        self, agent: socket.socket, charter: Charter, program: str, alone: Alone, end_session: EndSession
    ) -> None:
        """The plumber `exec` runs `program`; `alone` is the host's lock, which is not taken yet."""
        self._agent, self._charter, self._program = agent, charter, program
        self._alone, self._end_session = alone, end_session
        agent.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(agent, selectors.EVENT_READ)
        self._lines, self._backlog = Lines(), bytearray()
        self._guard = Guard()
        self._hands: Hands | None = None
        self._links: dict[str, tuple[bool, bool]] = {}
        """The state of each interface that the agent knows of: whether it is up, and whether it exists."""
        self._absence = Absence()
        self._check_s, self._check_at = 5.0, 0.0

    def run(self) -> None:
        """Serve until the agent is gone; then close the fence, unplumb, end the session, and return.

        Raises OSError and NotAlone if it cannot serve: then call `end_unfit`.
        """
        reason = "the agent is gone"
        try:
            while True:
                self._turn()
        except AgentGone:
            pass
        except WireError as error:
            reason = str(error)
            log("the agent's message is refused", level="error", reason=reason)
        except (OSError, NotAlone) as error:
            reason = str(error)
            raise
        finally:
            if self._hands:
                self._carry_out(self._guard.go_down(reason))
                self._hands.close()
            self._alone.close()

    def end_unfit(self, reason: str) -> None:
        """Tell the agent why this guardian cannot serve, after all earlier messages."""
        self._say(Unfit(reason))
        with contextlib.suppress(AgentGone):
            self._write()

    def _turn(self) -> None:
        wait = self._wait_s()
        self._absence.waits(wait)
        ready = {key.fileobj for key, _ in self._selector.select(wait)}
        resumed = self._absence.returned()
        if self._agent in ready:
            self._read()
        if self._hands:
            self._carry_out(self._guard.timer())
            self._listen(self._hands, resumed)
            if self._guard.has_work:
                self._carry_out(self._guard.work())
            for address, epoch, reason in self._hands.plumber.finished():
                self._carry_out(self._guard.finished(address, epoch, reason))
            if boot_time() >= self._check_at:
                self._check_at = boot_time() + self._check_s
                self._carry_out(self._guard.check())
            if self._hands.announcer:
                self._hands.announcer.send(boot_time())
        self._write()

    def _wait_s(self) -> float:
        if self._hands is None:
            return 3600.0
        if self._guard.has_work:
            return 0.0
        now, until = boot_time(), self._check_at
        if self._guard.session:
            until = min(until, self._guard.deadline)
        if self._hands.announcer:
            until = min(until, self._hands.announcer.next_at())
        longest = _UNDER_WAY_S if self._guard.has_under_way else _LONGEST_WAIT_S
        return min(longest, max(0.0, until - now))

    def _listen(self, hands: Hands, resumed: bool) -> None:
        """Hear the kernel and the links. After a stop this guardian believes a rival's announcement, and announces its
        other addresses again."""
        if hands.fence.touched():
            log("fence changed by another")
            self._carry_out(self._guard.touched())
        self._hear_kernel(hands)
        if hands.rivals and hands.netlink:
            own = {interface.mac for interface in hands.netlink.links.values()}
            for address, who in hands.rivals.heard(own):
                if address in self._guard.held:
                    log("another host announces an address of ours", address=address, mac=who)
                    self._carry_out(self._guard.rival(address, who, resumed=resumed))
        if resumed:
            self._carry_out(self._guard.resumed())

    def _hear_kernel(self, hands: Hands) -> None:
        if hands.events:
            links, gone = hands.heard()
            if links:
                self._look(hands)
            if gone is None or gone & self._guard.held.keys():
                self._check_at = 0.0

    def _look(self, hands: Hands) -> None:
        links, fenced = hands.look()
        if not fenced:
            self._carry_out(self._guard.touched())
        self._tell_links(links)

    def _tell_links(self, links: dict[str, Interface]) -> None:
        names = {each.interface for each in self._guard.vips.values()}
        for name in sorted(names):
            state = name in links and links[name].up, name in links
            if self._links.get(name) != state:
                self._links[name] = state
                up, _ = state
                self._carry_out(self._guard.link(name, up=up, there=name in links))

    def _read(self) -> None:
        try:
            data = self._agent.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            raise AgentGone from None
        if not data:
            raise AgentGone
        for message in self._lines.feed(data):
            self._take(message)

    def _take(self, message: Message) -> None:
        self._charter.check(message, boot_time())
        if isinstance(message, Configure):
            self._configure(message)
        elif self._hands is None:
            raise WireError("the first message must be Configure")
        elif isinstance(message, Ending):
            self._hands.ending = message
        elif isinstance(message, Deadline):
            self._carry_out(self._guard.extend(message))
        elif isinstance(message, Plumb):
            self._carry_out(self._guard.plumb(message))
        elif isinstance(message, Unplumb):
            # An operator may have given the address to the host itself a moment ago: then it stays.
            self._hear_kernel(self._hands)
            self._carry_out(self._guard.unplumb(message))
            if self._guard.leaving > _MOST_LEAVING:
                raise WireError("too many Unplumb messages")
        else:
            raise WireError(f"{type(message).__name__} is not for the guardian")

    def _configure(self, asked: Configure) -> None:
        first, message = self._hands is None, self._charter.permitted(asked)
        if len(message.vips) < len(asked.vips):
            log("addresses outside of the charter", level="warning", count=len(asked.vips) - len(message.vips))
        if self._hands is None:
            # First the checks: a guardian that cannot serve must not end one that does.
            check_plumber(message.plumber, self._program)
            if message.plumber != "memory":
                self._alone.take()
            self._hands = Hands(message, self._program, self._end_session, self._say, log)
            self._register(self._hands)
        hands = self._hands
        self._check_s = message.if_check_s
        if hands.announcer:
            hands.announcer.configure(message.announcing, boot_time())
        if first:
            for address, reason in hands.sweep():
                raise OSError(f"{address}, left by an earlier guardian, cannot be removed: {reason}")
        self._carry_out(self._guard.configure(message.vips))
        hands.reconfigure(tuple(self._guard.vips.values()))
        if first:
            self._say(Ready(hands.fence.name, hands.plumber.name, hands.fence.late_s, hands.why))
        if hands.netlink:
            self._tell_links(hands.netlink.links)
        else:
            for name in sorted({each.interface for each in message.vips} - self._links.keys()):
                self._links[name] = True, True
                self._say(LinkState(name, up=True))

    def _register(self, hands: Hands) -> None:
        descriptor = hands.fence.descriptor()
        if descriptor is not None:
            self._selector.register(descriptor, selectors.EVENT_READ)
        if hands.events:
            self._selector.register(hands.events.socket, selectors.EVENT_READ)
        for each in hands.rivals.sockets if hands.rivals else ():
            self._selector.register(each, selectors.EVENT_READ)

    def _carry_out(self, steps: Steps) -> None:
        assert self._hands is not None
        self._hands.carry_out(steps)

    def _say(self, message: Message) -> None:
        self._backlog += encode(message)

    def _write(self) -> None:
        """Write as much as the agent takes now: a guardian never waits for its agent."""
        if not self._backlog:
            return
        try:
            sent = self._agent.send(self._backlog)
            del self._backlog[:sent]
        except BlockingIOError:
            pass
        except OSError:
            raise AgentGone from None
        if len(self._backlog) > _LARGEST_BACKLOG:
            raise WireError("the agent does not read")
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._backlog else 0)
        self._selector.modify(self._agent, events)
