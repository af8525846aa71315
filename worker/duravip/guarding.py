"""The agent's side of its guardian: the messages to the one that serves, and the time since which none serves."""

import asyncio
import math
from collections.abc import Callable, Iterable

import structlog

from eccmgr.redis.connect import Link
from worker.duravip.asking import VipCalls
from worker.duravip.model import actions as act
from worker.duravip.pipe import Pipe
from worker.guardian import wire
from worker.guardian.wire import boot_time

log = structlog.get_logger()

_START_S = 10.0
STARTING = "its guardian is starting"


class Guarding:
    """Passes messages to and from the guardian, while one serves. The guardian may take `longest_flush_s` to read
    them."""

    def __init__(self, link: Link, calls: VipCalls, longest_flush_s: Callable[[], float]) -> None:
        self.ready: wire.Ready | None = None
        """The ready message of the present guardian; None if no guardian serves."""
        self.served = ""
        """The session that a guardian last served."""
        self.missing = STARTING
        """While no guardian serves: the reason."""
        self.ending: Callable[[], wire.Ending] = lambda: wire.Ending("", ())
        """The message that tells a guardian how to end a session on the present server."""
        self.on_ready: Callable[[], None] = lambda: None
        """Called when another guardian begins to serve; nothing is plumbed then."""
        self.on_gone: Callable[[], None] = lambda: None
        self.on_message: Callable[[wire.Message], None] = lambda _message: None
        self._link, self._calls, self._longest_flush_s = link, calls, longest_flush_s
        self._pipe: Pipe | None = None
        """The pipe to the guardian, once it is ready."""
        self._gone_since, self._late_s = boot_time(), 0.0
        """The time since which no guardian serves, and the longest lateness of the last guardian's fence."""
        self._ends_at: object = None

    @property
    def serves(self) -> bool:
        """Whether a guardian serves."""
        return self._pipe is not None

    def is_over(self, usual_s: float) -> bool:
        """Whether no guardian serves and the fence of the last one has closed. A fence takes at least `usual_s` to
        close."""
        return self._pipe is None and boot_time() - self._gone_since >= usual_s + self._late_s

    def tell_ending(self) -> None:
        """Another server may have taken over: tell the guardian on which server to end a session."""
        if self._pipe is not None and self._link.server != self._ends_at:
            self._ends_at = self._link.server
            self._pipe.write(self.ending())

    def tell(self, action: act.Action) -> None:
        """Pass a decision on to the guardian. When this returns, the decision is in the guardian's pipe."""
        if self._pipe is None:
            return
        match action:
            case act.Extend():
                self.served = action.session
                args = self._calls.end(action.session, action.era, "lost").args
                self._pipe.write(wire.Deadline(action.session, action.at, tuple(map(str, args))))
            case act.TellPlumb():
                self._pipe.write(wire.Plumb(_grants(action.addresses), action.session, action.at))
            case act.TellUnplumb():
                self._pipe.write(wire.Unplumb(_grants(action.addresses), str(action.tag)))

    async def flush(self) -> None:
        """Wait until the pipe holds everything. A guardian that does not read counts as gone: it goes down by itself at
        the deadline."""
        if self._pipe is None:
            return
        try:
            async with asyncio.timeout(self._longest_flush_s()):
                await self._pipe.flushed()
        except TimeoutError:
            log.error("guardian does not read; another takes its place")
            self.let_go()

    def let_go(self) -> None:
        """Close our end of the pipe, so that the guardian goes down."""
        if self._pipe is not None:
            self._gone_since, self.missing = boot_time(), "the guardian is gone"
            self._pipe.abort()
            self._pipe = self.ready = None
            self.on_gone()

    def configure(self, configure: wire.Configure) -> None:
        """The configuration of VIPs has changed."""
        if self._pipe is not None:
            self._pipe.write(configure)

    async def serve(self, pipe: Pipe, configure: wire.Configure) -> tuple[float, str]:
        """Work with one guardian until it is gone; answers the seconds for which it served, and why it ended."""
        self._ends_at, since, why = self._link.server, None, ""
        pipe.write(configure, self.ending())
        start = asyncio.get_running_loop().call_later(_START_S, pipe.abort)
        try:
            async for message in pipe.messages():
                if isinstance(message, wire.Ready):
                    start.cancel()
                    since = boot_time()
                    self._begin_with(pipe, message)
                elif isinstance(message, wire.Unfit):
                    why = message.reason
                elif self._pipe is pipe:
                    self.on_message(message)
        finally:
            start.cancel()
            if self._pipe is pipe:
                self.let_go()
            pipe.abort()
        if since is None:
            return 0.0, why or "the guardian ended before it served"
        return boot_time() - since, why or "the guardian is gone"

    def _begin_with(self, pipe: Pipe, ready: wire.Ready) -> None:
        """A guardian begins to serve, and nothing is plumbed. Two guardians never serve one session."""
        self._pipe, self.ready = pipe, ready
        # A node without a fence is left out, because its fence never closes.
        self._late_s = ready.late_s if math.isfinite(ready.late_s) else 0.0
        log.info("guardian ready", fence=ready.fence, plumber=ready.plumber, why=ready.why)
        self.on_ready()


def _grants(addresses: Iterable[tuple[str, int]]) -> tuple[wire.Grant, ...]:
    return tuple(wire.Grant(address, epoch) for address, epoch in addresses)
