"""A client of the original control protocol: text frames only, over connections that it keeps and makes anew."""

import asyncio
import os
import socket
import time
from dataclasses import dataclass

from eccmgr.control import frames
from eccmgr.control.endpoint import Endpoint
from eccmgr.control.peer import credentials

_CONNECT_TIMEOUT_S = 5.0


class FarEndError(Exception):
    """Raised if no answer comes. The message says whether the command may have been carried out."""


@dataclass
class FarConnection:
    """One connection, and the time since which it has been idle."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether the connection is open, and the other side has sent nothing unasked."""
        return not self.reader.at_eof() and not self.writer.is_closing()


class FarEnd:
    """The program at `endpoint`. Each connection carries one command at a time, and no command is ever sent again.

    The program must not be the process `own_pid`, because every command would come back to it.
    """

    def __init__(
        self, endpoint: Endpoint, connections: int, timeout_s: float, keep_s: float, longest: int, own_pid: int
    ) -> None:
        self._own_pid = own_pid
        self._endpoint, self._timeout_s, self._keep_s, self._longest = endpoint, timeout_s, keep_s, longest
        self._slots = asyncio.Semaphore(connections)
        self._idle: list[FarConnection] = []

    async def ask(self, line: str) -> str:
        """Send a command; answers the answer. Raises FarEndError."""
        try:
            async with asyncio.timeout(self._timeout_s), self._slots:
                connection = await self._connected()
                try:
                    text = await self._exchange(connection, line)
                except BaseException:
                    # The rest of this answer may still come, so a later command must not use this connection.
                    connection.writer.transport.abort()
                    raise
        except TimeoutError:
            reason = f"no answer from {self._endpoint} within {self._timeout_s:g} s; a command that was sent goes on"
            raise FarEndError(reason) from None
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        asyncio.get_running_loop().call_later(self._keep_s, self._close_idle)
        return text

    def close(self) -> None:
        """Stop keeping connections: close idle ones now, and used ones after their answer."""
        self._keep_s = 0.0
        self._close_idle()

    def _close_idle(self) -> None:
        """Close the connections that have failed, or have been idle for too long."""
        kept, self._idle = self._idle, []
        for connection in kept:
            if connection.usable and time.monotonic() - connection.idle_since < self._keep_s:
                self._idle.append(connection)
            else:
                connection.writer.close()

    async def _connected(self) -> FarConnection:
        """The connection that was used last, if it is still good; else a new one."""
        self._close_idle()
        return self._idle.pop() if self._idle else await self._connect()

    async def _connect(self) -> FarConnection:
        endpoint = self._endpoint
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                if endpoint.path is None:
                    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
                else:
                    reader, writer = await asyncio.open_unix_connection(endpoint.path)
        except (OSError, TimeoutError) as error:
            # The text of asyncio's errors repeats the address; only the text for an unknown name is good.
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else error.strerror or "no answer in time"
            raise FarEndError(f"cannot reach {endpoint}: {reason}") from None
        if _pid_of(writer) == self._own_pid:
            writer.transport.abort()
            raise FarEndError(f"{endpoint} is this node's own listener; set control to that of the other program")
        return FarConnection(reader, writer)

    async def _exchange(self, connection: FarConnection, line: str) -> str:
        try:
            connection.writer.write(frames.encode_text(line))
            await connection.writer.drain()
            kind = int.from_bytes(await connection.reader.readexactly(2))
            if kind not in (frames.SHORT, frames.LONG):
                raise FarEndError(f"{self._endpoint} answered with an unknown frame type {kind}")
            length = int.from_bytes(await connection.reader.readexactly(2 if kind == frames.SHORT else 4))
            if length > self._longest:
                raise FarEndError(f"the answer of {self._endpoint} has {length} bytes, more than answer_limit")
            return (await connection.reader.readexactly(length)).decode("utf-8", "replace")
        except asyncio.IncompleteReadError:
            raise self._broken("it was closed by the other side") from None
        except OSError as error:
            raise self._broken(error.strerror or str(error)) from None

    def _broken(self, reason: str) -> FarEndError:
        text = f"the connection to {self._endpoint} broke before the answer: {reason}"
        return FarEndError(f"{text}; the command may have been carried out")


def _pid_of(writer: asyncio.StreamWriter) -> int | None:
    """The process at the other end; None if the kernel cannot tell."""
    connection = writer.get_extra_info("socket")
    return credentials(connection).pid if connection.family == socket.AF_UNIX else None
