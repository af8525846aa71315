"""The control listener: where every console, script and check connects."""

import asyncio
import dataclasses
import resource

import structlog

from eccmgr.commands.table import Table
from eccmgr.control.connection import Connection, Limits
from eccmgr.control.endpoint import Endpoint, Listening, bind

log = structlog.get_logger()

# Descriptors that clients must leave to the connections to Redis, logs and whatever a command opens.
_RESERVED_DESCRIPTORS = 128


class ControlServer:
    """Listens on any number of endpoints and answers commands out of one table."""

    def __init__(self, table: Table, limits: Limits | None = None) -> None:
        self.table = table
        limits = limits or Limits()
        self.limits = dataclasses.replace(
            limits, max_connections=min(limits.max_connections, _descriptors_for_clients())
        )
        self._connections: set[Connection] = set()
        self._listening: list[tuple[Listening, asyncio.Server]] = []

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where this server listens, with the port that the system chose where 0 was asked for."""
        return [listening.endpoint for listening, _ in self._listening]

    async def listen(self, endpoint: Endpoint) -> None:
        """Open one more endpoint. Raises ListenError where that cannot be."""
        listening = await asyncio.to_thread(bind, endpoint)
        loop = asyncio.get_running_loop()
        factory = self._accept
        if endpoint.path is None:
            server = await loop.create_server(factory, sock=listening.socket, backlog=1024)
        else:
            server = await loop.create_unix_server(factory, sock=listening.socket, backlog=1024)
        self._listening.append((listening, server))
        log.info("listening", endpoint=str(listening.endpoint))

    async def close(self, grace_s: float = 2.0) -> None:
        """Close the endpoints, let answers under way leave (at most `grace_s`), end every connection."""
        for listening, server in self._listening:
            await asyncio.to_thread(listening.unlink)
            server.close()
        self._listening.clear()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_s
        # Once more on every turn: a connection that was being taken when the endpoints closed comes in late.
        while self._connections and loop.time() < deadline:
            for connection in list(self._connections):
                connection.finish()
            tasks = [connection.task for connection in self._connections if connection.task is not None]
            await asyncio.wait(tasks, timeout=0.05) if tasks else await asyncio.sleep(0.01)
        while self._connections:
            aborted = [connection.abort() for connection in self._connections]
            await asyncio.gather(*(task for task in aborted if task is not None), return_exceptions=True)
            # The event loop tells of a lost connection, and closes its descriptor, on its next turn.
            await asyncio.sleep(0)

    def _accept(self) -> "Connection":
        return Connection(self.table, self.limits, self._connections)


def _descriptors_for_clients() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft == resource.RLIM_INFINITY else max(1, soft - _RESERVED_DESCRIPTORS)
