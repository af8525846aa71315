"""Finds our one server if it may change: looks for it at each new connection, and leaves it when it has moved."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakSet

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, ReadOnlyError

from eccmgr.redis.library import LedConnection, TlsConnection
from eccmgr.text.hostport import host_port

_ASK_TIMEOUT_S = 1.0


NOT_HERE = (ReadOnlyError, MovedError)
"""The replies of a server that is no longer the master or the owner of our slot."""


class NotFound(RedisConnectionError):
    """Raised if nobody can name the server."""


@dataclass(frozen=True)
class Spot:
    """A server's address, and the number of its reign in the count of the sentinels, or of the Redis Cluster."""

    host: str
    port: int
    epoch: int
    copies: int = field(default=1, compare=False)
    """The number of copies of the data, this one among them, as far as the sentinels know."""

    def __str__(self) -> str:
        return host_port(self.host, self.port)


class Seeker(Protocol):
    """Finds the server by asking the processes that know it."""

    async def seek(self) -> Spot:
        """The server's present address. Raises NotFound."""

    async def check(self, connection: AbstractConnection) -> None:
        """Check that a fresh connection reached the right server. Raises the library's ConnectionError."""

    async def aclose(self) -> None:
        """Close every connection."""


class Place:
    """The server's present spot, and all our connections to it.

    When the server turns up elsewhere, this closes the connections to the old spot, even those that wait for a message:
    they might wait for ever. `moves` counts these moves, and `on_move` is called before the first call to the new
    server.
    """

    def __init__(self, seeker: Seeker) -> None:
        self.spot: Spot | None = None
        self.moves = 0
        self.on_move: Callable[[Spot], None] = lambda _: None
        self._seeker = seeker
        self._connections: WeakSet[_Seeking] = WeakSet()

    def hold(self, pool: ConnectionPool) -> None:
        """Lead every connection of `pool` to the server."""
        tls = issubclass(pool.connection_class, TlsConnection)
        pool.connection_class = SeekingTlsConnection if tls else SeekingConnection
        pool.connection_kwargs["place"] = self

    async def find(self, connection: "_Seeking") -> Spot:
        """The spot to which `connection` should connect."""
        spot = await self._seek(connection)
        self._connections.add(connection)
        return spot

    async def look(self) -> None:
        """Look for the server anew, even if all connections are well. Raises NotFound."""
        await self._seek(None)

    async def _seek(self, seeking: "_Seeking | None") -> Spot:
        earlier = self.spot
        spot = await self._seeker.seek()
        if self.spot is not None and self.spot != earlier and self.spot.epoch > spot.epoch:
            # Another connection heard of a later reign while this one asked.
            return self.spot
        if self.spot is None or self.spot == spot:
            self.spot = spot
        else:
            self.spot = spot
            self.moves += 1
            self.on_move(spot)
            for other in list(self._connections):
                if other is not seeking and other.spot != spot:
                    await other.disconnect(nowait=True)
        return spot

    async def check(self, connection: "_Seeking") -> None:
        """Check that `connection` reached the right server. Raises the library's ConnectionError."""
        await self._seeker.check(connection)
        if connection.spot != self.spot:
            raise RedisConnectionError("it has moved meanwhile")

    async def leave(self) -> None:
        """Close the connections: the server said that it is no longer the right one."""
        for connection in list(self._connections):
            await connection.disconnect(nowait=True)

    async def aclose(self) -> None:
        """Close the connections that ask for the spot."""
        await self._seeker.aclose()


class _Seeking(LedConnection):
    """A connection that asks for its address whenever it connects."""

    def __init__(self, place: Place, **options: Any) -> None:
        super().__init__(**options)
        self.spot: Spot | None = None
        self._place = place

    async def lead(self) -> tuple[str, int]:
        """The present host and port of the server."""
        self.spot = await self._place.find(self)
        return self.spot.host, self.spot.port

    async def inspect(self) -> None:
        """Check that this is the right server."""
        await self._place.check(self)


class SeekingConnection(_Seeking):
    """A plain connection that asks for its address whenever it connects."""


class SeekingTlsConnection(_Seeking, TlsConnection):
    """A connection with TLS that asks for its address whenever it connects."""


async def ask_all(questions: "list[Awaitable[Any]]") -> list[Any]:
    """Put `questions` to several servers at once; answers results and exceptions, in order. This waits only a short
    time for each."""

    async def one(question: Awaitable[Any]) -> Any:
        async with asyncio.timeout(_ASK_TIMEOUT_S):
            return await question

    return await asyncio.gather(*(one(question) for question in questions), return_exceptions=True)
