"""Our uses of parts of the Redis library that it does not promise to keep: private names, and its way to connect.

A new release may change any of them. `tests/unit/test_redis_library.py` names each part, and fails with the name of a
missing one.
"""

import asyncio
from ssl import SSLError
from typing import Any

from redis._parsers.base import BaseParser
from redis.asyncio.connection import AbstractConnection, Connection, RedisSSLContext, SSLConnection
from redis.connection import Connection as BlockingConnection
from redis.connection import SSLConnection as BlockingTlsConnection
from redis.crc import key_slot
from redis.exceptions import InvalidResponse, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from eccmgr.errors import SettingsError
from eccmgr.redis.reading import WRONG_KIND

error_of = BaseParser.parse_error
"""Makes an exception of the library from a server's error reply."""

GARBLED = (*WRONG_KIND, InvalidResponse, AssertionError, RecursionError, MemoryError)
"""The errors of the library and its parser for answers that no Redis gives: TypeError for a map with a list as a key,
IndexError for a MOVED without an address, MemoryError for a list of billions."""
_WRONG_NUMBER = "Wrong number of response items"

PLAIN_CONNECTION: dict[str, Any] = {
    "driver_info": None,
    "maint_notifications_config": MaintNotificationsConfig(enabled=False),
}
"""Options of a connection. Each switches off a feature that we do not use, which would cost every new connection a
round trip or a read from the disk."""


def is_garbled(error: BaseException) -> bool:
    """Whether the library raised `error` because of an answer that no Redis gives."""
    return isinstance(error, GARBLED) or (isinstance(error, ResponseError) and str(error).startswith(_WRONG_NUMBER))


def slot_of(tag: str) -> int:
    """The slot of a Redis Cluster in which all keys with `tag` lie."""
    return int(key_slot(tag.encode()))


def transport_of(connection: AbstractConnection) -> asyncio.WriteTransport:
    """The transport of a connection that is connected."""
    assert connection._writer is not None, "it is connected"
    return connection._writer.transport


def drop(connection: AbstractConnection) -> None:
    """Close a connection at once. A farewell would wait for ever if the peer is gone."""
    connection._close()  # type: ignore[no-untyped-call]


class TlsConnection(SSLConnection):
    """A TLS connection. All connections of a pool share the certificates, which are read once."""

    def __init__(self, shared: RedisSSLContext | None = None, **options: Any) -> None:
        super().__init__(**options)
        if shared is not None:
            self.ssl_context = shared

    def read_certificates(self) -> RedisSSLContext:
        """Read the files of the certificates, for other connections to share. Raises SettingsError."""
        try:
            self.ssl_context.get()
        except (SSLError, ValueError):
            raise SettingsError(
                "The URL of Redis has an option for TLS of a wrong value: certificates and keys are files in PEM form "
                "that belong together"
            ) from None
        except OSError as error:
            raise SettingsError(
                f"The URL of Redis names a certificate or key that cannot be read: {error.strerror}"
            ) from None
        return self.ssl_context


class LedConnection(Connection):
    """A connection that asks for its address whenever it connects, and inspects the server once it is connected."""

    async def lead(self) -> tuple[str, int]:
        """The host and port to connect to now."""
        raise NotImplementedError

    async def inspect(self) -> None:
        """Refuse a wrong server by raising the library's ConnectionError."""

    async def _connect(self) -> None:
        self.host, self.port = await self.lead()
        await super()._connect()  # type: ignore[no-untyped-call]

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Run the library's steps after connecting, then `inspect`."""
        await super().on_connect_check_health(check_health=check_health)
        await self.inspect()


class LedBlockingConnection(BlockingConnection):
    """A blocking connection that asks for its address whenever it connects. If `lead` gives no address, it connects by
    its options."""

    def lead(self) -> tuple[str, int] | None:
        """The host and port to connect to now, if they are known."""
        raise NotImplementedError

    def _connect(self) -> Any:
        if (led := self.lead()) is not None:
            self.host, self.port = led
        return super()._connect()  # type: ignore[no-untyped-call]


class LedBlockingTlsConnection(LedBlockingConnection, BlockingTlsConnection):
    """A blocking connection with TLS that asks for its address whenever it connects."""
