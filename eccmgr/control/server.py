"""The control listener, to which every console, script and check connects."""

import asyncio
import contextlib
import dataclasses
import functools
import resource
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from eccmgr.access.verifiers import Verifiers
from eccmgr.commands.gate import Gate
from eccmgr.config.live.options import Tls
from eccmgr.config.live.parts import opened_in_thread
from eccmgr.config.live.tls import TlsContext
from eccmgr.control.connection import Connection
from eccmgr.control.crowd import Crowd
from eccmgr.control.endpoint import Endpoint, Listening, bind
from eccmgr.control.limits import Limits, Terms
from eccmgr.control.users import UserNames
from eccmgr.errors import ListenError

log = structlog.get_logger()

# The number of descriptors that clients cannot take: they are for connections to Redis, logs, and files that commands
# open.
_RESERVED_DESCRIPTORS = 128
_ACCEPTED_AT_ONCE = 32
_HANDSHAKE_S = 10.0


@dataclasses.dataclass(frozen=True)
class Listener:
    """How to listen on one endpoint. `file_mode` is the mode of a Unix socket."""

    limits: Limits = dataclasses.field(default_factory=Limits)
    file_mode: int = 0o660
    backlog: int = 1024
    beyond_loopback: bool = False
    tls: Tls | None = None


@dataclasses.dataclass
class _Open:
    """An endpoint on which the server listens."""

    listener: Listener
    listening: Listening
    server: asyncio.Server
    terms: Terms
    tls: TlsContext | None = None


class ControlServer:
    """Listens on any number of endpoints, and answers the commands that pass one gate."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.crowd: Crowd[Connection] = Crowd()
        self.opened: dict[Endpoint, _Open] = {}
        self.lost: Callable[[Connection], None] = lambda _connection: None
        """Called with each connection that is lost."""
        self.keeps: Callable[[Connection], bool] = lambda _connection: False
        """Whether an idle connection should stay, because a transaction would be lost with it."""
        self.verifiers = Verifiers()
        """The verifiers of passwords in force."""
        self.users = UserNames()
        """The names of this host's users."""

    @property
    def connections(self) -> list[Connection]:
        """The connections that are not closed yet."""
        return self.crowd.guests

    @property
    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this server, with the system's choice of a port instead of port 0."""
        return [opened.listening.endpoint for opened in self.opened.values()]

    async def follow(self, wanted: Mapping[Endpoint, Listener]) -> None:
        """Listen on exactly these endpoints. Raises ListenError if that is not possible; then nothing changes.

        Connections stay: those of a closed endpoint go on, and those of an open one get the new limits.
        """
        await (await self.prepare(wanted)).carry_out()

    async def prepare(self, wanted: Mapping[Endpoint, Listener]) -> "ServerChange":
        """The first step of `follow`, which does everything that can fail; the result carries out the second step."""
        change = ServerChange(self, wanted, {}, {})
        async with contextlib.AsyncExitStack() as undoing:
            undoing.push_async_callback(change.undo)
            for endpoint, listener in wanted.items():
                if listener.tls is not None:
                    change.tls[endpoint] = await asyncio.to_thread(TlsContext, listener.tls)
                if (opened := self.opened.get(endpoint)) and (opened.tls is None) != (listener.tls is None):
                    raise ListenError(f"Listener {endpoint}: TLS begins or ends with a restart, not with a reload")
                if endpoint not in self.opened:
                    mode, beyond_loopback = listener.file_mode, listener.beyond_loopback
                    binding = functools.partial(bind, endpoint, mode, beyond_loopback=beyond_loopback)
                    change.fresh[endpoint] = await opened_in_thread(binding, Listening.close)
            undoing.pop_all()
        return change

    async def close(self, grace_s: float = 2.0) -> None:
        """Close the endpoints, let the answers under way leave (for at most `grace_s`), and end every connection."""
        await asyncio.gather(*map(_close, self.opened.values()))
        self.opened.clear()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_s
        # Do this on every turn: a connection that was just being accepted when the endpoints closed arrives late.
        while self.connections and loop.time() < deadline:
            for connection in self.connections:
                connection.finish()
            tasks = [connection.task for connection in self.connections if connection.task is not None]
            await asyncio.wait(tasks, timeout=0.05) if tasks else await asyncio.sleep(0.01)
        while self.connections:
            aborted = [connection.abort() for connection in self.connections]
            await asyncio.gather(*(task for task in aborted if task is not None), return_exceptions=True)
            # The event loop reports a lost connection, and closes its descriptor, on its next turn.
            await asyncio.sleep(0)

    async def serve(self, listening: Listening, listener: Listener, tls: TlsContext | None) -> _Open:
        """Begin to accept the connections of a bound endpoint."""
        endpoint, limits = str(listening.endpoint), _affordable(listener.limits)
        terms = Terms(limits, endpoint, verifiers=lambda: self.verifiers, users=self.users)
        secured: dict[str, Any] = {}
        if tls is not None:
            terms.binding = tls.binding
            secured = {"ssl": tls.context, "ssl_handshake_timeout": _HANDSHAKE_S}
        loop = asyncio.get_running_loop()

        def accept() -> Connection:
            return Connection(self.gate, terms, self.crowd, lambda each: self.keeps(each), lambda each: self.lost(each))

        make = loop.create_server if listening.endpoint.path is None else loop.create_unix_server
        # In one step, the loop accepts as many connections as the backlog names here. So that number is small, or for a
        # moment no descriptor would be left. More connections may wait afterwards.
        server = await make(accept, sock=listening.socket, backlog=min(listener.backlog, _ACCEPTED_AT_ONCE), **secured)
        listening.socket.listen(listener.backlog)
        led = {"place": listening.place} if listening.place not in ("", listening.endpoint.path) else {}
        log.info("listening", endpoint=str(listening.endpoint), **led)
        if listening.file is not None and listening.file.risk:
            log.warning("socket can be replaced", endpoint=str(listening.endpoint), reason=listening.file.risk)
        return _Open(listener, listening, server, terms, tls)


@dataclasses.dataclass
class ServerChange:
    """New and removed endpoints. The change can be carried out or undone, and neither fails."""

    server: ControlServer
    wanted: Mapping[Endpoint, Listener]
    fresh: dict[Endpoint, Listening]
    tls: dict[Endpoint, TlsContext]

    async def carry_out(self) -> None:
        """Put the new listeners in force. Until now no new connection was answered."""
        opened_before = self.server.opened
        fresh = {
            endpoint: await self.server.serve(listening, self.wanted[endpoint], self.tls.get(endpoint))
            for endpoint, listening in self.fresh.items()
        }
        self.server.opened = {each: fresh.get(each) or opened_before[each] for each in self.wanted}
        for endpoint, opened in opened_before.items():
            if endpoint in self.wanted:
                await self._adjust(opened, self.wanted[endpoint])
            else:
                await _close(opened)

    async def undo(self) -> None:
        """Close the new endpoints."""
        for listening in self.fresh.values():
            await asyncio.to_thread(listening.close)

    async def _adjust(self, opened: _Open, listener: Listener) -> None:
        """Put new settings in force on an endpoint that stays."""
        old, opened.listener = opened.listener, listener
        file = opened.listening.file
        if file is not None and listener.file_mode != old.file_mode:
            try:
                await asyncio.to_thread(file.set_mode, listener.file_mode)
            except OSError as error:
                self._say_not_changed(opened, "mode", error.strerror or str(error))
        if listener.backlog != old.backlog:
            opened.listening.socket.listen(listener.backlog)
        if opened.tls is not None and listener.tls is not None:
            try:
                # The files were read a moment ago, with another context.
                await asyncio.to_thread(opened.tls.load, listener.tls)
            except ListenError as error:
                self._say_not_changed(opened, "certificate", str(error))
            opened.terms.binding = opened.tls.binding
        opened.terms.limits = _affordable(listener.limits)
        for connection in self.server.connections:
            if connection.terms is opened.terms:
                connection.terms_changed()

    @staticmethod
    def _say_not_changed(opened: _Open, what: str, reason: str) -> None:
        """The change of the configuration is in force already, so this cannot refuse it."""
        log.error("listener not changed", endpoint=str(opened.listening.endpoint), lacks=what, reason=reason)


async def _close(opened: _Open) -> None:
    await asyncio.to_thread(opened.listening.unlink)
    opened.server.close()
    log.info("listening no longer", endpoint=str(opened.listening.endpoint))


def _affordable(limits: Limits) -> Limits:
    """`limits` with no more connections than there are descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return limits
    return dataclasses.replace(
        limits, max_connections=min(limits.max_connections, max(1, soft - _RESERVED_DESCRIPTORS))
    )
