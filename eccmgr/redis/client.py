"""Clients of the Redis library as we need them: short time limits, no silent retries, a faulty URL refused at once."""

import redis.asyncio
from redis.asyncio.connection import BlockingConnectionPool, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from eccmgr.errors import SettingsError
from eccmgr.redis.address import RedisAddress
from eccmgr.redis.library import PLAIN_CONNECTION, TlsConnection

COMMAND_TIMEOUT_S = 2.0
_POOL_WAIT_S = 5.0
_CONNECTIONS = 2


def make_client(address: RedisAddress, timeout_s: float) -> "redis.asyncio.Redis":
    """A client for `address`; a call waits `timeout_s` for its answer. Raises SettingsError."""
    return redis.asyncio.Redis.from_pool(make_pool(address, timeout_s))


def make_pool(address: RedisAddress, timeout_s: float) -> BlockingConnectionPool:
    """A pool of connections to `address`; a call on one waits `timeout_s` for its answer. Raises SettingsError."""
    try:
        pool = BlockingConnectionPool.from_url(
            address.plain_url,
            timeout=_POOL_WAIT_S,
            max_connections=_CONNECTIONS,
            socket_timeout=timeout_s,
            socket_connect_timeout=COMMAND_TIMEOUT_S,
            protocol=3,
            retry=Retry(NoBackoff(), 0),
            **PLAIN_CONNECTION,
            **({} if address.path else {"socket_keepalive": True}),
        )
        if pool.connection_class is SSLConnection:
            pool.connection_class = TlsConnection
        # The library checks options only when it makes a connection.
        sample = pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, RedisError):
        raise SettingsError("The URL of Redis has an option that is not known, or of a wrong value") from None
    if isinstance(sample, TlsConnection):
        pool.connection_kwargs["shared"] = sample.read_certificates()
    return pool
