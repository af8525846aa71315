"""Cheap connections to Redis, so that one process can hold thousands of them.

Each connection is one asyncio.Protocol, and hiredis parses the replies. With RESP3 it both subscribes and calls.
"""

import asyncio
import errno
import os
import resource
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis

Reply = Callable[[Any], None]
_CONNECT_S = 60.0


class Connection(asyncio.Protocol):
    """One connection. Each call has a callback for its reply, which is an error if the connection is lost.

    `heard` is called with each published message.
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
        """Send a command packed by `hiredis.pack_command`."""
        if self.transport.is_closing():
            reply(hiredis.ReplyError("the connection was lost"))
            return
        self._replies.append(reply)
        self.transport.write(packed)

    def subscribe(self, *channels: str) -> None:
        """Subscribe to `channels`, without waiting for the confirmation."""
        self.transport.write(hiredis.pack_command(("SUBSCRIBE", *channels)))

    async def call(self, *words: str | bytes | int) -> Any:
        """Send one command and return its reply. Raises the error that Redis replies."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.send(hiredis.pack_command(words), done.set_result)
        reply = await done
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply


async def connect(
    path: str, heard: Callable[[bytes, bytes], None] | None = None, lost: Callable[[], None] | None = None
) -> Connection:
    """Connect to the Unix socket at `path`, with RESP3. Raises OSError."""
    plug = socket.socket(socket.AF_UNIX)
    try:
        plug.setblocking(False)
        async with asyncio.timeout(_CONNECT_S):
            # Where the server's queue is full, a connect to a Unix socket fails at once.
            while (code := plug.connect_ex(path)) == errno.EAGAIN:
                await asyncio.sleep(0.01)
        if code:
            raise OSError(code, os.strerror(code))
    except OSError:
        plug.close()
        raise
    _, made = await asyncio.get_running_loop().create_unix_connection(lambda: Connection(heard, lost), sock=plug)
    await made.call("HELLO", 3)
    return made


def allow_connections() -> None:
    """Raise this process's limit of descriptors to the hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
