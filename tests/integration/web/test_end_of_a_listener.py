"""The end of an HTTP listener."""

import asyncio
import socket
from typing import Any, cast

import pytest

from eccmgr.web.door import Door
from eccmgr.web.serving import HttpServer


@pytest.mark.asyncio
async def test_end_of_a_listener_can_be_cancelled() -> None:
    asked = asyncio.Event()

    async def never(_scope: Any, _receive: Any, _send: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    server = HttpServer(cast(Door, never), socket.create_server(("127.0.0.1", 0)), None)
    host, port = server._bound.getsockname()
    server.begin()
    _, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await asked.wait()
    ending = asyncio.create_task(server.end())
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    await server.end()
    writer.close()
