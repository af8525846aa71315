"""A proxy in front of a Redis server that does what networks do: delay, stall, reset, swallow, go deaf."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from eccmgr.redis.scripts import script
from tests.fault.plan import Moment

_CHUNK = 64 * 1024
_LATER_S = 0.01


@dataclass
class Trap:
    """Springs once, at the next call of one script that passes: before the server sees it, before its answer, or later.

    The connection is reset then, so that the call, or its answer, is lost, and `action` called.
    """

    script: str
    moment: Moment
    action: Callable[[], None]

    @property
    def mark(self) -> bytes:
        """By what a call of the script is known."""
        return script(self.script).sha.encode()


@dataclass(eq=False)
class Line:
    """One connection of a client and the one to the server that belongs to it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    subscribes: bool = False
    """It has asked for a subscription."""
    deaf: bool = False
    """What the server says is swallowed."""
    half_open: bool = False
    """What either side says is swallowed."""
    trap: Trap | None = None
    """Springs with the next answer."""

    def reset(self) -> None:
        """Break the connection on both sides without a farewell."""
        for writer in (self.client, self.server):
            side = writer.get_extra_info("socket")
            if side is not None and side.family != socket.AF_UNIX:
                with contextlib.suppress(OSError):
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


@dataclass
class FaultProxy:
    """Listens on the Unix socket `path`, or on a free TCP port where there is none, for a server on a Unix socket."""

    server: Path
    path: Path | None = None
    port: int = 0
    swallowed: int = 0
    """Pieces of data that deaf subscriptions did not hear."""
    delay_s: float = 0.0
    """Each piece of data waits so long, in either direction."""
    lines: set[Line] = field(default_factory=set)
    traps: list[Trap] = field(default_factory=list)
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)
    _closed: bool = False

    @property
    def url(self) -> str:
        """How clients reach the server through it."""
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
        """Let nothing pass until `resume`; nothing is lost."""
        self._open.clear()

    def resume(self) -> None:
        """Let pass what waited, without delay from now on."""
        self.delay_s = 0.0
        self._open.set()

    def reset(self) -> None:
        """Break every connection."""
        for line in list(self.lines):
            line.reset()

    def half_open(self) -> None:
        """Swallow what is said on the connections that are there; nobody is told."""
        for line in self.lines:
            line.half_open = True

    def deafen(self) -> None:
        """Let the subscriptions that are there hear nothing more, while all else goes on."""
        for line in self.lines:
            line.deaf = line.subscribes

    def heal(self) -> None:
        """End every fault; connections from which something was swallowed are broken."""
        self.traps.clear()
        self.resume()
        for line in list(self.lines):
            if line.deaf or line.half_open:
                line.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
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
        passes: Callable[[Line, bytes], bool],
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._open.wait()
                if passes(line, data):
                    writer.write(data)
                    await writer.drain()

    def _asked(self, line: Line, data: bytes) -> bool:
        """Whether what the client says goes on to the server."""
        line.subscribes = line.subscribes or b"SUBSCRIBE" in data
        if line.half_open:
            return False
        trap = next((trap for trap in self.traps if trap.mark in data), None)
        if trap is None:
            return True
        self.traps.remove(trap)
        if trap.moment is Moment.BEFORE:
            self._spring(line, trap)
            return False
        line.trap = trap
        return True

    def _answered(self, line: Line, data: bytes) -> bool:
        """Whether what the server says goes on to the client."""
        if line.half_open or line.deaf:
            self.swallowed += line.deaf
            return False
        trap, line.trap = line.trap, None
        if trap is None:
            return True
        if data.startswith(b"-"):
            # The server has forgotten the script, and did nothing.
            self.traps.append(trap)
            return True
        if trap.moment is Moment.LATER:
            asyncio.get_running_loop().call_later(_LATER_S, self._spring, line, trap)
            return True
        self._spring(line, trap)
        return False

    def _spring(self, line: Line, trap: Trap) -> None:
        trap.action()
        line.reset()
