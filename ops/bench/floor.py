"""The floor of a gather: PUBLISH, and one HSET by each node, counted by the publisher; bare asyncio and hiredis.

As a program it is one node: `python -m ops.bench.floor SOCKET NAME`.
"""

import asyncio
import sys
import time
from typing import Any

import hiredis

CHANNEL = "floor"


class Connection:
    """A bare connection to Redis."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._parser = hiredis.Reader()

    @classmethod
    async def open(cls, path: str) -> "Connection":
        """Connect to the Unix socket at `path`."""
        return cls(*await asyncio.open_unix_connection(path))

    def send(self, *words: str) -> None:
        """Send a command without waiting."""
        self._writer.write(hiredis.pack_command(words))

    async def read(self) -> Any:
        """The next reply or message."""
        while (reply := self._parser.gets()) is False:
            self._parser.feed(await self._reader.read(65536))
        return reply


async def node(path: str, name: str) -> None:
    """Answer each message with one HSET, for ever."""
    listening, writing = await Connection.open(path), await Connection.open(path)
    listening.send("SUBSCRIBE", CHANNEL)
    await listening.read()
    print("subscribed", flush=True)
    while True:
        message = await listening.read()
        writing.send("HSET", message[2].decode(), name, "ok")
        await writing.read()


async def rounds(path: str, nodes: int, number: int) -> list[float]:
    """The seconds of each of `number` rounds over `nodes` nodes."""
    connection = await Connection.open(path)
    seconds = []
    for each in range(number):
        key = f"floor:{each}"
        started = time.perf_counter()
        connection.send("PUBLISH", CHANNEL, key)
        await connection.read()
        answered = 0
        while answered < nodes:
            connection.send("HLEN", key)
            answered = await connection.read()
        connection.send("HGETALL", key)
        await connection.read()
        seconds.append(time.perf_counter() - started)
        connection.send("DEL", key)
        await connection.read()
    return seconds


if __name__ == "__main__":
    asyncio.run(node(sys.argv[1], sys.argv[2]))
