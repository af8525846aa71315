"""The connection to Redis: an answer of the server can at most end the connection, and every call ends."""

import asyncio
from typing import Any, cast

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from eccmgr.redis.connect import Link
from eccmgr.redis.subscribe import Subscription
from eccmgr.redis.wire import Wire
from tests.fuzz.target import fuzzed
from tests.fuzz.targets.replies import ENDLESS

_WORDS = tuple(
    b"+OK\r\n|-ERR x\r\n|-MOVED 1 a:1\r\n|:1\r\n|$2\r\nab\r\n|*1\r\n|*-1\r\n|%1\r\n*0\r\n+x\r\n|~1\r\n*0\r\n|>0\r\n|"
    b">3\r\n$7\r\nmessage\r\n|"
    b"|1\r\n+a\r\n+b\r\n|(1\r\n|,nan\r\n|#t\r\n|=7\r\ntxt:abc\r\n|!3\r\nERR\r\n|_\r\n|*4294967295\r\n|$?\r\n|.\r\n".split(
        b"|"
    )
)
_loop = asyncio.new_event_loop()


class _Transport(asyncio.Transport):
    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Connection:
    def _close(self) -> None:
        pass


@fuzzed(RedisError, words=_WORDS)
def redis_wire(data: bytes) -> None:
    """Replies and pushed messages, in pieces, while calls wait for their answers."""
    if ENDLESS.search(data) is None:
        _loop.run_until_complete(_hear(data))


async def _hear(data: bytes) -> None:
    subscription = Subscription(cast("Link", None), ("c",), lambda _channel, _said: None)
    wire = Wire(cast("AbstractConnection", _Connection()), _Transport(), 60.0, subscription._heard)
    calls = [wire.send("PING") for _ in range(3)]
    size = 1 + (data[0] if data else 0)
    for at in range(1, len(data), size):
        wire.data_received(data[at : at + size])
        if wire.fault is not None:
            break
    wire.close()
    for answer in await asyncio.gather(*calls, return_exceptions=True):
        assert not isinstance(answer, BaseException) or isinstance(answer, RedisError), repr(answer)
