"""Connections to Redis that cost a process little, so that it can hold thousands: one asyncio.Protocol each, hiredis
cuts the replies. One that speaks RESP3 listens and calls on the same connection.
"""

import asyncio
import resource
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis

Reply = Callable[[Any], None]


class Connection(asyncio.Protocol):
    """One connection. Each call names what is told of its reply, which is an error where the connection is lost.

    `heard` is told of what is published.
    """

    def __init__(
        self, heard: Callable[[bytes, bytes], None] | None = None, lost: Callable[[], None] | None = None
    ) -> None:
        self._reader = hiredis.Reader()
        self._replies: deque[Reply] = deque()
        self._heard = heard
        self._lost = lost
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, _reason: Exception | None) -> None:
        if self._lost is not None:
            self._lost()
        while self._replies:
            self._replies.popleft()(hiredis.ReplyError("the connection was lost"))

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if isinstance(reply, hiredis.PushNotification):
                if reply[0] == b"message" and self._heard is not None:
                    self._heard(reply[1], reply[2])
            else:
                self._replies.popleft()(reply)

    def send(self, packed: bytes, reply: Reply) -> None:
        """Send what `hiredis.pack_command` has written."""
        if self.transport.is_closing():
            reply(hiredis.ReplyError("the connection was lost"))
            return
        self._replies.append(reply)
        self.transport.write(packed)

    def subscribe(self, *channels: str) -> None:
        """Listen on `channels`; that they are heard is confirmed out of turn, and not waited for."""
        self.transport.write(hiredis.pack_command(("SUBSCRIBE", *channels)))

    async def call(self, *words: str | bytes | int) -> Any:
        """The reply to one command; an error is raised."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.send(hiredis.pack_command(words), done.set_result)
        reply = await done
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply


async def connect(
    path: str, heard: Callable[[bytes, bytes], None] | None = None, lost: Callable[[], None] | None = None
) -> Connection:
    """A connection that speaks RESP3 to the Unix socket at `path`. Raises OSError."""
    plug = socket.socket(socket.AF_UNIX)
    try:
        # A Unix socket whose queue is full refuses one that does not block, at once.
        plug.settimeout(5.0)
        plug.connect(path)
        plug.setblocking(False)
    except OSError:
        plug.close()
        raise
    _, made = await asyncio.get_running_loop().create_unix_connection(lambda: Connection(heard, lost), sock=plug)
    await made.call("HELLO", 3)
    return made


def allow_connections() -> None:
    """Let this process have as many descriptors as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
