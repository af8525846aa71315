"""The agent's end of the guardian's socket: messages go in and out in order. The guardian may be gone or stopped."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import structlog

from worker.guardian.launch import Guardians
from worker.guardian.wire import Lines, Message, WireError, encode

log = structlog.get_logger()

_READ_BYTES = 1 << 16


class Pipe:
    """The way to one guardian. Messages to a guardian that is gone are lost, but such a guardian has unplumbed
    everything."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to_another(cls, guardians: Guardians) -> "Pipe":
        """Kill the present guardian and connect to a fresh one. Raises NoGuardian."""
        made: socket.socket = await asyncio.to_thread(guardians.another)
        reader, writer = await asyncio.open_connection(sock=made)
        # No buffer of ours: a message has to be in the pipe before any call to Redis that relies on it.
        writer.transport.set_write_buffer_limits(high=0)
        return cls(reader, writer)

    def write(self, *messages: Message) -> None:
        """Send messages; the guardian reads them in this order."""
        if not self._writer.is_closing():
            self._writer.write(b"".join(encode(message) for message in messages))

    async def flushed(self) -> None:
        """Wait until everything written is in the pipe, or the guardian is gone."""
        with contextlib.suppress(OSError):
            await self._writer.drain()

    async def messages(self) -> AsyncIterator[Message]:
        """The guardian's messages, until it is gone."""
        lines = Lines()
        with contextlib.suppress(OSError):
            while data := await self._reader.read(_READ_BYTES):
                try:
                    received = lines.feed(data)
                except WireError as error:
                    log.error("guardian not understood", reason=str(error))
                    return
                for message in received:
                    yield message

    async def close(self) -> None:
        """Close our end: the guardian then closes the fence, unplumbs, and ends the session."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def abort(self) -> None:
        """Close our end at once, even if the guardian has not read everything."""
        self._writer.transport.abort()
