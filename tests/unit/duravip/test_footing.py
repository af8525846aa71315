"""The conditions for VIPs: a Redis that evicts nothing, and that is still the right server."""

import asyncio
import contextlib
from typing import Any, cast

import pytest

from eccmgr.errors import EccmgrError, RedisUnreachable
from eccmgr.redis.connect import Link
from tests.waiting import wait_until
from worker.duravip.footing import Footing

pytestmark = pytest.mark.asyncio


class Server:
    """Answers CONFIG GET and INFO with the given answers. It raises an answer that is an exception."""

    def __init__(self, config: Any, info: Any = b"") -> None:
        self.config, self.info, self.looks = config, info, 0

    async def look_again(self) -> None:
        self.looks += 1

    async def call(self, *words: str) -> Any:
        answer = self.config if words[0] == "CONFIG" else self.info
        if isinstance(answer, Exception):
            raise answer
        return answer


FORBIDDEN = EccmgrError("Redis refused: no permissions")


@contextlib.asynccontextmanager
async def watched(server: Server) -> Any:
    footing = Footing(cast(Link, server))
    watching = asyncio.create_task(footing.watch())
    try:
        yield footing
    finally:
        watching.cancel()
        await asyncio.wait([watching])


@pytest.mark.parametrize(
    "server",
    [
        Server([b"maxmemory-policy", b"noeviction"]),
        Server({b"maxmemory-policy": b"noeviction"}),
        Server(FORBIDDEN, b"maxmemory:0\r\nmaxmemory_policy:noeviction\r\n"),
        Server(FORBIDDEN, FORBIDDEN),
    ],
)
async def test_server_without_eviction_or_answer_is_good_enough(server: Server) -> None:
    async with watched(server) as footing:
        assert footing.refusal, "nothing is carried before it was looked at"
        await wait_until(lambda: not footing.refusal, "it was looked at")


@pytest.mark.parametrize(
    "server",
    [Server([b"maxmemory-policy", b"allkeys-lru"]), Server(FORBIDDEN, b"maxmemory_policy:allkeys-lru\r\n")],
)
async def test_on_one_that_evicts_nothing_is_carried(server: Server) -> None:
    async with watched(server) as footing:
        await wait_until(lambda: "maxmemory-policy is allkeys-lru" in footing.refusal, "it was looked at")


async def test_findings_hold_while_redis_is_away() -> None:
    server = Server(RedisUnreachable("Redis is not reachable"))
    async with watched(server) as footing:
        await wait_until(lambda: server.looks > 1, "it is tried again")
        assert footing.refusal
        server.config = [b"maxmemory-policy", b"noeviction"]
        await wait_until(lambda: not footing.refusal, "it answers")
        server.config, looks = RedisUnreachable("Redis is not reachable"), server.looks
        footing.doubt()
        await wait_until(lambda: server.looks > looks, "it was looked at")
        assert not footing.refusal


async def test_answer_without_a_majority_is_sought_again_immediately() -> None:
    server = Server([b"maxmemory-policy", b"noeviction"])
    async with watched(server) as footing:
        await wait_until(lambda: not footing.refusal, "it was looked at")
        for doubts in range(1, 4):
            footing.doubt()
            await wait_until(lambda doubts=doubts: server.looks == 1 + doubts, "it is sought", 5.0)
