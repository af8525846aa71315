"""Clients of the Redis library as we want them: short time limits, no silent retries, a faulty URL refused at once."""

from ssl import SSLError
from typing import Any

import redis.asyncio
from redis.asyncio.connection import BlockingConnectionPool, RedisSSLContext, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from eccmgr.errors import SettingsError
from eccmgr.redis.address import RedisAddress

COMMAND_TIMEOUT_S = 2.0
_POOL_WAIT_S = 5.0
_CONNECTIONS = 2


class TlsConnection(SSLConnection):
    """Shares the certificates, read once, with the others of its pool."""

    def __init__(self, shared: RedisSSLContext | None = None, **options: Any) -> None:
        super().__init__(**options)
        if shared is not None:
            self.ssl_context = shared


def make_client(address: RedisAddress, timeout_s: float) -> "redis.asyncio.Redis":
    """A client for `address`; a call waits `timeout_s` for its answer. Raises SettingsError."""
    return redis.asyncio.Redis.from_pool(make_pool(address, timeout_s))


def make_pool(address: RedisAddress, timeout_s: float) -> BlockingConnectionPool:
    """Makes connections to `address`, each of whose calls waits `timeout_s` for its answer. Raises SettingsError."""
    try:
        pool = BlockingConnectionPool.from_url(
            address.plain_url,
            timeout=_POOL_WAIT_S,
            max_connections=_CONNECTIONS,
            socket_timeout=timeout_s,
            socket_connect_timeout=COMMAND_TIMEOUT_S,
            protocol=3,
            retry=Retry(NoBackoff(), 0),
            # Each would cost every new connection a round trip, or a look at the disk, for nothing we use.
            driver_info=None,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
            **({} if address.path else {"socket_keepalive": True}),
        )
        if pool.connection_class is SSLConnection:
            pool.connection_class = TlsConnection
        # An option that the library does not know is only refused here.
        sample = pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, RedisError):
        raise SettingsError("The URL of Redis has an option that is not known, or of a wrong value") from None
    if isinstance(sample, TlsConnection):
        pool.connection_kwargs["shared"] = _certificates(sample.ssl_context)
    return pool


def _certificates(context: RedisSSLContext) -> RedisSSLContext:
    """`context` with its files read."""
    try:
        context.get()
    except (SSLError, ValueError):
        raise SettingsError(
            "The URL of Redis has an option for TLS of a wrong value: certificates and keys are files in PEM form "
            "that belong together"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"The URL of Redis names a certificate or key that cannot be read: {error.strerror}"
        ) from None
    return context
