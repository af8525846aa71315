"""Unreadable records in Redis are dropped, and the cluster goes on."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.integration.fleet import Fleet
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")

GARBAGE = st.sampled_from(
    [b"", b"\xff", b"nan", b"inf", b"-1", b"1e999", b"0x1", b"9" * 30, b"0-0", b"9" * 20 + b"-0", b"\t\t\t\t", b"{}"]
) | st.binary(max_size=40)


class Vandal:
    """Changes one value of a cluster, in any key. Its text says which value."""

    def __init__(self, client: "redis.Redis", keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def garble(self, choose: int, garbage: bytes) -> str:
        """Replace the value that `choose` picks by `garbage`."""
        client: Any = self._client
        found = sorted(client.scan_iter(f"{self._keys.tag}*", count=1000))
        choose, key = choose // len(found), found[choose % len(found)]
        place: object = ""
        match client.type(key):
            case b"hash":
                place = _pick(sorted(client.hkeys(key)), choose)
                client.hset(key, place, garbage)
            case b"zset":
                place, score = _pick(client.zrange(key, 0, -1, withscores=True), choose)
                client.zrem(key, place)
                client.zadd(key, {garbage: score})
            case b"list":
                place = choose % client.llen(key)
                client.lset(key, place, garbage)
            case b"string":
                client.set(key, garbage, keepttl=True)
            case b"stream":
                place = choose % 3
                fields = {"id": garbage, "digest": garbage, "issued": garbage, "channel": self._keys.everyone}
                client.xadd(key, dict(list(fields.items())[: (1, 3, 4)[choose % 3]]))
        return f"{key!r} {place!r} became {garbage!r}"


def _pick(values: list[Any], choose: int) -> Any:
    return values[choose % len(values)]


@contextlib.contextmanager
def small_cluster(runner: asyncio.Runner, url: str, keys: Keys, folder: Path) -> Iterator[Fleet]:
    """A manager and two nodes in the loop of `runner`."""
    stack = contextlib.AsyncExitStack()
    fleet = Fleet(url, keys.cluster, folder, stack)

    async def start() -> None:
        await fleet.manager()
        for name in ("east1", "west1"):
            await fleet.node(name, name[:4])

    async def end() -> None:
        # Here the runner's own task ends, and so do the daemons.
        await stack.aclose()

    try:
        runner.run(start())
        yield fleet
    finally:
        runner.run(end())


async def work(fleet: Fleet) -> None:
    """Have a record of every kind in Redis."""
    sent = await fleet.broadcast("hold")
    for line in (
        "gather --batch 1 --timeout 5 mark",
        f"abort #{sent}",
        "gather --timeout 5 @east mark",
        "broadcast pid",
    ):
        await fleet.ask(line)


async def goes_on(fleet: Fleet, what: str) -> None:
    """Check that every command gets an answer, and that soon every node answers again."""
    for line in ("retrieve pid", "retrieve mark", "history", "show cluster membership", "info", "preview @all"):
        answer = await fleet.ask(line)
        assert "Internal error" not in answer, f"{what}: {line}: {answer}"

    async def all_answer() -> bool:
        report = json.loads(await fleet.ask("json gather --timeout 1 mark"))
        states = {node["node"]: node["state"] for node in report.get("nodes", ())}
        return states == {"east1": "ok", "west1": "ok"}

    await wait_until(all_answer, f"every node answers after {what}")
    assert len(json.loads(await fleet.ask("json gather --timeout 5 @west mark"))["nodes"]) == 1, what


def test_garbled_redis_kills_nothing_and_commands_work(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path
) -> None:
    with (
        redis.Redis(unix_socket_path=str(redis_server.socket)) as client,
        asyncio.Runner() as runner,
        small_cluster(runner, redis_server.url, cluster_keys, folder) as fleet,
    ):
        vandal = Vandal(client, cluster_keys)

        @settings(max_examples=25, deadline=None, database=None)
        @given(choose=st.integers(0, 10**9), garbage=GARBAGE)
        def example(choose: int, garbage: bytes) -> None:
            async def trial() -> None:
                await work(fleet)
                what = await asyncio.to_thread(vandal.garble, choose, garbage)
                await goes_on(fleet, what)

            runner.run(trial())

        example()
