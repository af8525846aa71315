"""A proxy in front of a Redis server that plays the faults of networks: delay, stall, reset, swallow, go deaf.

It may also refuse in the server's place: a refused command does not reach the server. It may also garble the replies.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from eccmgr.redis.scripts import script
from tests.fault.frames import Cutter, is_push, word
from tests.fault.plan import Moment
from tests.fault.vetoes import ENDS_CONNECTIONS, SAID, Veto, said_to

_CHUNK = 64 * 1024
_LATER_S = 0.01
_TRANSACTION, _TRANSACTION_ENDS = b"MULTI", (b"EXEC", b"DISCARD")


@dataclass
class Trap:
    """A trap for one script's next call. It springs once: before the server gets the call, before its answer, or later.

    It then calls `action`, and awaits the result if that is awaitable. If it `resets`, it then resets the connection,
    so that the call or its answer is lost. Else both pass once the action is done.
    """

    script: str
    moment: Moment
    action: Callable[[], Awaitable[None] | None]
    resets: bool = True
    disarmed: bool = False
    """Whether the trap no longer acts."""
    sprung: bool = False

    @property
    def mark(self) -> bytes:
        """The bytes by which a call of the script is recognized."""
        return script(self.script).sha.encode()


@dataclass
class Owed:
    """An answer that a client waits for: the server's answer, or a refusal in its place."""

    trap: Trap | None = None
    instead: bytes = b""


@dataclass(eq=False)
class Line:
    """A client's connection, and its connection to the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    subscribes: bool = False
    """Whether the client has subscribed."""
    deaf: bool = False
    """Whether the server's data is swallowed."""
    half_open: bool = False
    """Whether the data of both sides is swallowed."""
    in_transaction: bool = False
    """Whether a transaction has begun and not yet ended."""
    owed: deque[Owed] = field(default_factory=deque)
    asked: Cutter = field(default_factory=Cutter)
    said: Cutter = field(default_factory=Cutter)

    def reset(self) -> None:
        """Reset the connection on both sides."""
        for writer in (self.client, self.server):
            side = writer.get_extra_info("socket")
            if side is not None and side.family != socket.AF_UNIX:
                with contextlib.suppress(OSError):
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def say_what_is_due(self) -> None:
        """Send the refusals that need not wait for an earlier answer."""
        while self.owed and self.owed[0].instead:
            self.client.write(self.owed.popleft().instead)


@dataclass
class FaultProxy:
    """Listens on the Unix socket `path`, or by default on a free TCP port, for a server on a Unix socket."""

    server: Path
    path: Path | None = None
    port: int = 0
    swallowed: int = 0
    """The number of pieces of data that deaf subscriptions missed."""
    refused: int = 0
    """The number of commands that the proxy refused."""
    delay_s: float = 0.0
    """The delay of each piece of data, in either direction."""
    lines: set[Line] = field(default_factory=set)
    traps: list[Trap] = field(default_factory=list)
    vetoes: list[Veto] = field(default_factory=list)
    """The present refusals; the latest one counts."""
    garbled: Callable[[bytes], bytes] = bytes
    """The reply that the client gets in place of each reply of the server."""
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)
    _closed: bool = False

    @property
    def url(self) -> str:
        """The URL of the server through the proxy."""
        return f"redis://127.0.0.1:{self.port}/0" if self.path is None else f"unix://{self.path}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["FaultProxy"]:
        """Listen until the block ends."""
        self._open.set()
        if self.path is not None:
            listener = await asyncio.start_unix_server(self._accept, self.path)
        else:
            listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
            self.port = listener.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listener.close()
            self._closed = True
            self.resume()
            self.reset()
            await asyncio.gather(*self._serving)
            await listener.wait_closed()

    def stall(self) -> None:
        """Hold all data back until `resume`, without loss."""
        self._open.clear()

    def resume(self) -> None:
        """Let the held data pass, without delay from now on."""
        self.delay_s = 0.0
        self._open.set()

    def reset(self) -> None:
        """Reset every connection."""
        for line in list(self.lines):
            line.reset()

    def half_open(self) -> None:
        """Silently swallow the data on the present connections."""
        for line in self.lines:
            line.half_open = True

    def deafen(self) -> None:
        """Make the present subscriptions deaf. All other connections go on."""
        for line in self.lines:
            line.deaf = line.subscribes

    def refuse(self, veto: Veto) -> None:
        """Refuse in the server's place until `allow`; subscriptions go on. A server that denies does so at once."""
        self.vetoes.append(veto)
        if veto is Veto.DENIED:
            self.reset()

    def allow(self, veto: Veto) -> None:
        """End the refusals."""
        with contextlib.suppress(ValueError):
            self.vetoes.remove(veto)

    def heal(self) -> None:
        """End every fault; reset the connections whose data was swallowed."""
        self.traps.clear()
        self.vetoes.clear()
        self.resume()
        for line in list(self.lines):
            if line.deaf or line.half_open:
                line.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            if Veto.DENIED in self.vetoes:
                writer.write(SAID[Veto.DENIED])
                with contextlib.suppress(OSError):
                    await writer.drain()
            else:
                await self._serve(reader, writer)
        finally:
            writer.transport.abort()
            self._serving.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_unix_connection(self.server)
        except OSError:
            return
        line = Line(writer, to_server)
        self.lines.add(line)
        if self._closed:
            line.reset()
        pumps = [
            asyncio.create_task(self._pump(line, reader, to_server, self._asked)),
            asyncio.create_task(self._pump(line, from_server, writer, self._answered)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            line.reset()
            self.lines.discard(line)
            for side in (writer, to_server):
                with contextlib.suppress(OSError):
                    await side.wait_closed()

    async def _pump(
        self,
        line: Line,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        passes: Callable[[Line, bytes, asyncio.StreamWriter], Awaitable[None]],
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._open.wait()
                await passes(line, data, writer)
                await writer.drain()

    async def _asked(self, line: Line, data: bytes, server: asyncio.StreamWriter) -> None:
        """Pass the client's data on to the server, unless a fault prevents it."""
        if line.half_open:
            return
        for frame in line.asked.feed(data):
            trap = next((trap for trap in self.traps if trap.mark in frame), None)
            if trap is not None:
                self.traps.remove(trap)
            if trap is not None and trap.moment is Moment.BEFORE:
                await self._spring(line, trap)
                if trap.resets and trap.sprung:
                    return
                trap = None
            if instead := self._refusal(line, frame):
                self._refuse(line, instead)
            else:
                if b"SUBSCRIBE" not in word(frame):  # Only pushed messages answer a subscription.
                    line.owed.append(Owed(trap))
                server.write(frame)

    def _refusal(self, line: Line, frame: bytes) -> bytes:
        """The refusal of a command; empty if it may run. A transaction is refused whole or not at all."""
        command = word(frame)
        line.subscribes = line.subscribes or b"SUBSCRIBE" in command
        inside, line.in_transaction = line.in_transaction, line.in_transaction and command not in _TRANSACTION_ENDS
        if not self.vetoes or inside or line.subscribes:
            line.in_transaction = line.in_transaction or command == _TRANSACTION
            return b""
        instead = said_to(self.vetoes[-1], command)
        line.in_transaction = command == _TRANSACTION and not instead
        return instead

    def _refuse(self, line: Line, instead: bytes) -> None:
        self.refused += 1
        line.owed.append(Owed(instead=instead))
        line.say_what_is_due()
        if self.vetoes[-1] in ENDS_CONNECTIONS:
            line.client.close()

    async def _answered(self, line: Line, data: bytes, client: asyncio.StreamWriter) -> None:
        """Pass the server's data on to the client, unless a fault prevents it."""
        if line.half_open or line.deaf:
            self.swallowed += line.deaf
            return
        for frame in line.said.feed(data):
            frame = self.garbled(frame)
            if is_push(frame) or not line.owed:
                client.write(frame)
                continue
            trap = line.owed.popleft().trap
            if trap is not None and frame.startswith(b"-") and not trap.disarmed:
                # The server has forgotten the script, or refuses: it did nothing.
                self.traps.append(trap)
                trap = None
            if trap is not None and trap.moment is Moment.LATER:
                asyncio.get_running_loop().call_later(_LATER_S, self._spring_later, line, trap)
            elif trap is not None:
                await self._spring(line, trap)
                if trap.resets and trap.sprung:
                    return
            client.write(frame)
            line.say_what_is_due()

    def _spring_later(self, line: Line, trap: Trap) -> None:
        task = asyncio.ensure_future(self._spring(line, trap))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _spring(self, line: Line, trap: Trap) -> None:
        if trap.disarmed:
            return
        trap.sprung = True
        begun = trap.action()
        if begun is not None:
            await begun
        if trap.resets:
            line.reset()
