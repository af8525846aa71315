"""Which sessions are late: half of their lease is over, whether it is stretched or not."""

import time

import pytest

from eccmgr.cluster.options import ClusterOptions
from eccmgr.feed.session_leases import SessionLeases
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

pytestmark = pytest.mark.asyncio
CLOCK_MS = 1_000_000


async def written(link: Link, keys: Keys, left_ms: dict[str, int], carriers: tuple[str, ...] = ()) -> None:
    """Write sessions with the time that each has left, on a lease clock that stands still."""
    standing = str(time.time_ns() // 1_000_000 + 86_400_000)
    await link.call("HSET", keys.state, "clock", CLOCK_MS, "wall", standing)
    for name, left in left_ms.items():
        await link.call("ZADD", keys.sessions, CLOCK_MS + left, name)
    for name in carriers:
        await link.call("HSET", keys.vips, name, "1\t5")
    for key in (keys.state, keys.sessions, keys.vips):
        await link.call("EXPIRE", key, 100)


async def test_late_is_half_of_a_lease(link: Link, cluster_keys: Keys) -> None:
    await written(link, cluster_keys, {"a": 2400, "b": 1300, "c": 1200, "d": -300})
    leases = SessionLeases(link, cluster_keys, ClusterOptions(session_lease_s=2.5))
    assert await leases.late_ages() == {"c": 1300, "d": 2800}
    assert await leases.all_ages() == {"a": 100, "b": 1200, "c": 1300, "d": 2800}
    assert await leases.ages_of(["a", "nobody"]) == {"a": 100}


async def test_carriers_are_not_late_by_others_leases(link: Link, cluster_keys: Keys) -> None:
    left = {"a": 9900, "b": 4900, "c": 2400, "vip1": 2400, "vip2": 1000, "d": 1000}
    await written(link, cluster_keys, left, carriers=("vip1", "vip2"))
    # Six sessions that send two heartbeats a second each, of which three are borne: the lease is four times as long.
    leases = SessionLeases(link, cluster_keys, ClusterOptions(session_lease_s=2.5, heartbeats_borne_per_sec=3.0))
    assert await leases.late_ages() == {"b": 5100, "c": 7600, "vip2": 1500, "d": 9000}
    assert (await leases.all_ages())["vip1"] == 100
