"""Whoever fills a key of Redis with more than we ever write costs nobody time: readers say so, and go on."""

import pytest
import redis

from eccmgr.redis.bounds import FIELDS_MAX, MEMBERS_MAX
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.integration.fleet import Fleet
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left")]


async def test_a_roster_of_too_many_is_not_read(redis_server: EmbeddedServer, cluster_keys: Keys, fleet: Fleet) -> None:
    manager = await fleet.manager()
    await fleet.node("east1")
    key = cluster_keys.absent
    with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
        for first in range(0, FIELDS_MAX + 5000, 5000):
            client.hset(key, mapping={f"zz{number}": b"junk" for number in range(first, first + 5000)})
        client.hincrby(cluster_keys.state, "view", 1)
        manager.delivery.heard_event()
        answer = await fleet.ask("preview @all")
        assert answer.endswith(f"has more than {FIELDS_MAX} fields in Redis: remove those that are not ours"), answer
        assert "Internal error" not in await fleet.ask("info")
        client.delete(key)
        client.hincrby(cluster_keys.state, "view", 1)
        manager.delivery.heard_event()

    async def works() -> bool:
        return await fleet.ask("preview @all") == "east1  (1 node)"

    await wait_until(works, "the roster is read again")


async def test_members_beyond_a_cluster_are_not_read(
    redis_server: EmbeddedServer, cluster_keys: Keys, fleet: Fleet
) -> None:
    await fleet.manager()
    await fleet.node("east1")
    names = [f"zz{number}" for number in range(MEMBERS_MAX + 1)]
    with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
        client.hset(cluster_keys.members, mapping=dict.fromkeys(names, b"junk"))
        reason = f"has more than {MEMBERS_MAX} fields in Redis: remove those that are not ours"
        info = await fleet.ask("info")
        assert f"Members: unknown: {cluster_keys.members} {reason}" in info
        assert (await fleet.ask("show cluster membership")).endswith(reason)
        assert "1 of 1" in await fleet.ask("gather --timeout 5 pid")
        client.hdel(cluster_keys.members, *names)
    assert "unknown" not in next(line for line in (await fleet.ask("info")).splitlines() if "Members:" in line)


async def test_very_many_garbled_schedules_are_dropped_soon(
    redis_server: EmbeddedServer, cluster_keys: Keys, fleet: Fleet
) -> None:
    await fleet.manager()
    with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
        for first in range(0, 20_000, 5000):
            client.hset(cluster_keys.schedules(""), mapping={f"{n}": b"junk" for n in range(first, first + 5000)})
        await wait_until(lambda: not client.exists(cluster_keys.schedules("")), "they are gone")
    assert (await fleet.ask("sched in 9000 version")).startswith("Job ")
