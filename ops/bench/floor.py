"""The floor of a gather: one PUBLISH, and one HSET by each node, which the publisher counts; bare asyncio and hiredis.

As a program this module is some of the nodes, with a connection each: `python -m ops.bench.floor SOCKET FIRST COUNT`.
"""

import asyncio
import sys
import time
from typing import Any

import hiredis

from ops.bench.thin import Connection, allow_connections, connect

CHANNEL = "floor"
_PAUSE_S = 0.002


class Node:
    """A node that answers each message with one HSET."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.connection: Connection

    def heard(self, _channel: bytes, data: bytes) -> None:
        """Answer a message."""
        self.connection.send(hiredis.pack_command(("HSET", data, self._name, "ok")), _ignore)


async def nodes(path: str, first: int, count: int) -> None:
    """Run `count` nodes for ever."""
    allow_connections()
    for number in range(first, first + count):
        node = Node(f"node{number}")
        node.connection = await connect(path, node.heard)
        node.connection.subscribe(CHANNEL)
    print("event=ready", flush=True)
    await asyncio.Event().wait()


async def rounds(path: str, count: int, number: int) -> list[float]:
    """The seconds of each of `number` rounds over `count` nodes."""
    connection = await connect(path)
    while (await connection.call("PUBSUB", "NUMSUB", CHANNEL))[1] < count:
        await asyncio.sleep(0.01)
    seconds = []
    for each in range(number):
        key = f"floor:{each}"
        started = time.perf_counter()
        await connection.call("PUBLISH", CHANNEL, key)
        while await connection.call("HLEN", key) < count:
            # With many nodes, constant polling would cost more time than it saves.
            if count > 100:
                await asyncio.sleep(_PAUSE_S)
        await connection.call("HGETALL", key)
        seconds.append(time.perf_counter() - started)
        await connection.call("UNLINK", key)
        await asyncio.sleep(0)
    connection.transport.close()
    return seconds


def _ignore(_reply: Any) -> None:
    pass


if __name__ == "__main__":
    asyncio.run(nodes(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
