"""The agent's end of the guardian: starts it, writes and reads lines, kills it where it is silent."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from eccmgr.errors import EccmgrError
from worker.guardian.wire import Lines, Message, WireError, encode

log = structlog.get_logger()

_ROOT = Path(__file__).resolve().parent.parent.parent
_READ_BYTES = 1 << 16
_END_WAIT_S = 5.0


class GuardianGone(EccmgrError):
    """Raised when there is nobody at the other end of the pipe."""


class Guardian(Protocol):
    """A running guardian, as the agent sees it."""

    def write(self, *messages: Message) -> None:
        """Send; what is written first is read first. Raises GuardianGone."""

    async def flushed(self) -> None:
        """Wait until all that was written is in the pipe. Raises GuardianGone."""

    def messages(self) -> AsyncIterator[Message]:
        """What it says, until it is gone."""

    async def kill(self) -> None:
        """End it and wait for its end."""

    async def close(self) -> None:
        """Let it end in good order: it closes the fence, unplumbs, and ends the session."""


Start = Callable[[], "asyncio.Future[Guardian] | AsyncIterator[Guardian]"]


class GuardianProcess:
    """A guardian in a child process of ours."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process, self._reader, self._writer = process, reader, writer

    @classmethod
    async def start(cls, options: Sequence[str] = ()) -> "GuardianProcess":
        """Start one; it serves once it has been sent Configure and has answered Ready."""
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "worker.guardian", "--agent", str(theirs.fileno()), *options),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                cwd=_ROOT,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.transport.set_write_buffer_limits(high=0)
        return cls(process, reader, writer)

    def write(self, *messages: Message) -> None:
        """Send; what is written first is read first. Raises GuardianGone."""
        if self._writer.is_closing():
            raise GuardianGone("The guardian is gone")
        self._writer.write(b"".join(encode(message) for message in messages))

    async def flushed(self) -> None:
        """Wait until all that was written is in the pipe. Raises GuardianGone."""
        try:
            await self._writer.drain()
        except OSError as error:
            raise GuardianGone("The guardian is gone") from error

    async def messages(self) -> AsyncIterator[Message]:
        """What it says, until it is gone."""
        lines = Lines()
        with contextlib.suppress(OSError):
            while data := await self._reader.read(_READ_BYTES):
                try:
                    found = lines.feed(data)
                except WireError as error:
                    log.error("guardian not understood", reason=str(error))
                    return
                for message in found:
                    yield message

    async def kill(self) -> None:
        """End it and wait for its end."""
        self._writer.close()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()

    async def close(self) -> None:
        """Let it end in good order: it closes the fence, unplumbs, and ends the session."""
        self._writer.close()
        try:
            async with asyncio.timeout(_END_WAIT_S):
                await self._process.wait()
        except TimeoutError:
            await self.kill()
