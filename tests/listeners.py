"""A listener with a few commands of its own and no daemon, and a client that sees every frame."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from eccmgr.commands.answer import Answer
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import COMMAND, Call, Command, Param, Table, help_command, prompt
from eccmgr.control import frames
from eccmgr.control.endpoint import Endpoint
from eccmgr.control.frames import Frame
from eccmgr.control.limits import Limits
from eccmgr.control.server import ControlServer
from eccmgr.control.server import Listener as Settings
from eccmgr.version import banner


class Listener:
    """A control server on a Unix socket. Its command `wait` ends when `release` is set."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.path = path
        self.release = asyncio.Event()
        self.waiting = 0
        """The number of `wait` commands under way."""
        self.echoed: list[str] = []
        """The arguments of the `echo` commands, in the order of their execution."""
        self.emitted = 0
        """The number of events that `flood` has sent."""
        table = Table()
        table.add(
            help_command(table),
            Command("version", "the banner", self._version),
            prompt("name", "an answer that is at hand", lambda: "listener"),
            Command("echo", "what it was given", self._echo, (COMMAND,)),
            Command("big", "an answer of so many bytes", self._big, (Param("BYTES"),)),
            Command("wait", "end when the test says so", self._wait),
            Command("heavy", "a heavy command that ends when the test says so", self._wait, heavy=True),
            Command("flood", "events without end", self._flood),
            Command("crash", "a fault in a handler", self._crash),
        )
        self.server = ControlServer(Gate(table))
        self.limits = limits or Limits()

    @property
    def connections(self) -> int:
        """The number of the server's connections."""
        return len(self.server.connections)

    async def _version(self, _call: Call) -> str:
        return banner("eccmgr")

    async def _echo(self, call: Call) -> str:
        self.echoed.append(call.args[0])
        return call.args[0]

    async def _big(self, call: Call) -> str:
        return "x" * int(call.args[0])

    async def _wait(self, call: Call) -> Answer:
        self.waiting += 1
        try:
            if call.caller.emit is not None:
                await call.caller.emit({"event": "text", "text": "waiting"})
            await self.release.wait()
        finally:
            self.waiting -= 1
        return Answer("waited", tail="the rest")

    async def _flood(self, call: Call) -> str:
        assert call.caller.emit is not None
        while True:
            await call.caller.emit({"event": "text", "text": "x" * 10_000})
            self.emitted += 1

    async def _crash(self, _call: Call) -> str:
        raise ZeroDivisionError("in a handler")


@contextlib.asynccontextmanager
async def listening(folder: Path, limits: Limits | None = None) -> AsyncIterator[Listener]:
    """A listener in `folder` until the block ends."""
    listener = Listener(folder / "listener", limits)
    await listener.server.follow({Endpoint(path=str(listener.path)): Settings(listener.limits)})
    try:
        yield listener
    finally:
        await listener.server.close(grace_s=0.1)


async def listen_too(server: ControlServer, endpoint: Endpoint, limits: Limits | None = None) -> None:
    """Also listen on another endpoint, or with other limits."""
    there = {each: opened.listener for each, opened in server.opened.items()}
    await server.follow({**there, endpoint: Settings(limits or Limits())})


class Client:
    """A client with one connection, which reads frame by frame."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, path: str | Path) -> "Client":
        """Connect to the Unix socket at `path`."""
        return cls(*await asyncio.open_unix_connection(str(path)))

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def send(self, *commands: str) -> None:
        """Send commands without waiting for answers."""
        self.writer.write(b"".join(frames.encode_text(command) for command in commands))

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    def request(self, command: str, **more: Any) -> None:
        """Send a REQUEST."""
        self.writer.write(frames.encode(frames.REQUEST, json.dumps({"command": command, **more}).encode()))

    async def frame(self) -> Frame:
        """The next frame."""
        kind = int.from_bytes(await self.reader.readexactly(2))
        length = int.from_bytes(await self.reader.readexactly(2 if kind == frames.SHORT else 4))
        return Frame(kind, await self.reader.readexactly(length))

    async def answer(self) -> str:
        """The next frame, which must be an answer to a plain command."""
        kind, payload = await self.frame()
        assert kind in (frames.SHORT, frames.LONG)
        return payload.decode()

    async def fields(self, kind: int) -> dict[str, Any]:
        """The next frame, which must be of type `kind`, and its JSON."""
        got, payload = await self.frame()
        assert got == kind
        decoded = json.loads(payload)
        assert isinstance(decoded, dict)
        return decoded

    async def ask(self, command: str) -> str:
        """One command and its answer."""
        self.send(command)
        return await self.answer()

    async def rest(self) -> bytes:
        """All bytes until the other side closes."""
        return await self.reader.read(-1)


async def ask(path: str | Path, command: str) -> str:
    """Send one command on a connection of its own, and return the answer."""
    async with await Client.open(path) as client:
        return await client.ask(command)
