"""The feed of a real manager: snapshots and changes, as a console reads them."""

import asyncio
from typing import Any

import pytest

from eccmgr.control import frames
from eccmgr.feed.topics import EVERY_TOPIC, FeedTopic
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.schedules.calls import ShelfKeys
from eccmgr.schedules.schedule import Fate, Firing
from tests.feeds import reading
from tests.integration.fleet import Fleet, die
from tests.listeners import Client
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]


async def test_feed_without_a_stream_answers_its_usage(fleet: Fleet) -> None:
    await fleet.manager()
    assert (await fleet.ask("feed members")).startswith("Usage: feed TOPIC…")
    assert await fleet.ask("feed") == "Usage: feed TOPIC…"
    assert (await fleet.ask("feed nodes")).startswith("No topic 'nodes'; the topics are cluster, members")


async def test_every_topic_begins_with_its_snapshot(fleet: Fleet) -> None:
    await fleet.manager()
    await fleet.node("east1", "east")
    await fleet.ask("sched every 3600 version")
    sent = await fleet.broadcast("version")
    async with reading(fleet, "all") as read:
        await wait_until(lambda: set(read.shown) == set(EVERY_TOPIC), "each topic has come")
    firsts = {chunk["topic"]: chunk for chunk in reversed(read.chunks)}
    assert all(chunk["full"] and chunk["id"] == 7 for chunk in firsts.values())
    (member,) = read.shown["members"].values()
    assert (member["name"], member["subcluster"], member["state"]) == ("east1", "east", "live")
    assert set(member) >= {"version", "address", "lease_age_ms", "vips", "tags"}
    assert read.shown["commands"][sent]["command"] == "version"
    (schedule,) = read.shown["schedules"].values()
    assert (schedule["command"], schedule["recurs"]) == ("version", True)
    (cluster,) = read.shown["cluster"].values()
    assert cluster["leader"] == "barca"
    assert [(sub["name"], sub["live"]) for sub in cluster["subclusters"]] == [("east", 1)]
    assert "command" in {entry["kind"] for entry in read.shown["audit"].values()}


async def test_members_change_as_nodes_come_and_die(fleet: Fleet) -> None:
    await fleet.manager()
    await fleet.node("east1")
    async with reading(fleet, "members") as read:
        await wait_until(lambda: "members" in read.shown, "the snapshot comes")
        east2 = await fleet.node("east2", "west")
        await wait_until(lambda: "east2" in read.shown["members"], "the new node comes")
        await die(east2)
        await wait_until(lambda: read.shown["members"]["east2"]["state"] == "absent", "the node is lost")
        assert read.shown["members"]["east2"]["since"] is not None
        await fleet.ask("forget east2")
        await wait_until(lambda: "east2" not in read.shown["members"], "the node is forgotten")
    serials = read.serials["members"]
    assert serials == sorted(set(serials))
    assert [chunk["full"] for chunk in read.chunks] == [True] + [False] * (len(read.chunks) - 1)


async def test_two_readers_see_the_same_under_a_serial(fleet: Fleet) -> None:
    await fleet.manager()
    await fleet.node("east1")
    async with reading(fleet, "members") as first:
        await wait_until(lambda: "members" in first.shown, "the snapshot comes")
        async with reading(fleet, "members") as second:
            await wait_until(lambda: "members" in second.shown, "the other snapshot comes")
            assert second.chunks[0]["serial"] == first.chunks[-1]["serial"]
            assert second.shown == first.shown


async def test_many_readers_cost_redis_what_one_does(fleet: Fleet) -> None:
    manager = await fleet.manager()
    await fleet.node("east1")
    looks = 0
    watcher = manager.feed.source._watchers[FeedTopic.MEMBERS]
    look = watcher.look

    async def counted(*args: Any) -> None:
        nonlocal looks
        looks += 1
        await look(*args)

    watcher.look = counted  # type: ignore[method-assign]
    async with reading(fleet, "members") as first:
        await wait_until(lambda: "members" in first.shown, "the snapshot comes")
        before = looks
        async with asyncio.TaskGroup() as tasks:

            async def snapshot() -> None:
                async with manager.feed.source.reader([FeedTopic.MEMBERS]) as changes:
                    assert (await anext(changes)).full  # type: ignore[union-attr]

            for _ in range(100):
                tasks.create_task(snapshot())
        assert looks <= before + 1
    await wait_until(lambda: not manager.feed.source._pictures, "nothing is kept without readers")
    assert watcher.seen == {}  # type: ignore[attr-defined]


async def test_reader_that_fell_behind_is_resynced(fleet: Fleet) -> None:
    manager = await fleet.manager()
    source = manager.feed.source
    async with source.reader([FeedTopic.JOBS]) as changes:
        first = await anext(changes)
        picture = source._pictures[FeedTopic.JOBS]
        for number in range(100):
            picture.amend({"a": {"id": "a", "number": number}}, (), 0)
        source._wake()
        assert type(await anext(changes)).__name__ == "Resync"
        again = await anext(changes)
    assert first.full  # type: ignore[union-attr]
    assert (again.full, again.items) == (True, ({"id": "a", "number": 99},))  # type: ignore[union-attr]


async def test_holders_of_addresses_are_told(fleet: Fleet, link: Link, cluster_keys: Keys) -> None:
    keys, session = cluster_keys, "#ec0-1-aa#East1"
    await fleet.manager()

    async def write(record: str, number: int) -> None:
        await link.pipeline(
            ("HSET", keys.vips, "10.0.0.1", record),
            ("ZADD", keys.vip_changes, number, "10.0.0.1"),
            ("HSET", keys.state, "change", number),
        )

    await link.pipeline(
        ("HSET", keys.state, "era", 3, "open", 1),
        ("HSET", keys.vips, session, "3\t1", "@east1", "no address"),
        ("HSET", keys.vip_holds, "10.0.0.1", "7\t1700000000000\tEast1\twest1"),
        ("ZADD", keys.vip_changes, 1, "@east1"),
    )
    await write(f"{session}\t7\t3\t\tthe fewest VIPs", 2)
    async with reading(fleet, "vips") as read:

        def vip(**expected: object) -> bool:
            item = read.shown.get("vips", {}).get("10.0.0.1", {})
            return item.items() >= expected.items()

        await wait_until(lambda: vip(state="held", owner="East1", before="west1", epoch=7), "it is held")
        await write("\t7\t3\twest2\tmove", 3)
        await wait_until(lambda: vip(state="reserved", owner=None, reserved_for="west2"), "it is reserved")
        await write(f"{session}\t8\t3\t\thome", 4)
        await wait_until(lambda: vip(state="held", epoch=8, reason="home"), "it is held again")
        await link.call("HDEL", keys.vips, session)
        await wait_until(lambda: vip(state="free", owner=None), "its holder has ended")
        await link.call("HSET", keys.state, "era", 4, "open", 0)
        await wait_until(lambda: vip(state="unsettled"), "another era begins")
    for key in (keys.vips, keys.vip_changes, keys.vip_holds):
        await link.call("UNLINK", key)


async def test_statement_of_a_node_is_a_change(fleet: Fleet, link: Link, cluster_keys: Keys) -> None:
    await fleet.manager()
    keys = cluster_keys
    await link.pipeline(("HSET", keys.state, "era", 1, "open", 1, "change", 1), ("ZADD", keys.vip_changes, 0, ""))
    async with reading(fleet, "vips") as read:
        await wait_until(lambda: "vips" in read.shown, "the snapshot comes")
        await link.pipeline(("ZADD", keys.vip_changes, 2, "!east1"), ("HSET", keys.state, "change", 2))
        await wait_until(lambda: len(read.chunks) == 2, "it is told that a node is drained")
    assert (read.chunks[1]["full"], read.chunks[1]["items"], read.chunks[1]["gone"]) == (False, [], [])
    await link.call("UNLINK", keys.vip_changes)


async def test_run_without_its_schedule_is_a_change(fleet: Fleet, link: Link, cluster_keys: Keys) -> None:
    await fleet.manager()
    async with reading(fleet, "schedules") as read:
        await wait_until(lambda: "schedules" in read.shown, "the snapshot comes")
        run = Firing("a1", "version", "root", 1, "barca", 2, Fate.OK)
        await link.call("LPUSH", ShelfKeys.of(cluster_keys, "").past, run.dump())
        await wait_until(lambda: len(read.chunks) == 2, "its end is told")
    assert (read.chunks[1]["items"], read.chunks[1]["gone"]) == ([], [])


async def test_client_that_does_not_read_fills_no_memory(fleet: Fleet) -> None:
    manager = await fleet.manager()
    source = manager.feed.source
    async with await Client.open(str(manager.endpoints[0].path)) as client:
        client.request("feed jobs", id=1, stream=True)
        await client.fields(frames.CHUNK)
        picture = source._pictures[FeedTopic.JOBS]
        for number in range(2000):
            picture.amend({"a": {"id": "a", "text": f"{number:>10000}"}}, (), 0)
            source._wake()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        (connection,) = manager.server.connections
        assert connection._transport.get_write_buffer_size() < 2 * 1024 * 1024
        events = []
        while "resync" not in events:
            events.append((await client.fields(frames.CHUNK))["event"])
        assert (await client.fields(frames.CHUNK))["full"]


async def test_feed_outlives_a_vandal_in_redis(fleet: Fleet, link: Link, cluster_keys: Keys) -> None:
    await fleet.manager()
    await fleet.node("east1")
    keys = cluster_keys
    for words in (
        ("HSET", keys.roster, "evil", "no\ttabs"),
        ("HSET", keys.absent, "worse", b"\xff"),
        ("HSET", keys.vips, "10.0.0.1", "garbage"),
        ("ZADD", keys.vip_changes, "inf", "10.0.0.1"),
        ("ZADD", keys.vip_changes, 5, "10.0.0.1"),
        ("HSET", keys.state, "change", "9"),
        ("XADD", keys.audit, "*", "what", "line\nbreak"),
        ("XADD", keys.audit, "*", "nothing", "said"),
        ("ZADD", keys.sessions, "-inf", "#ec0-1-1#nobody"),
    ):
        await link.call(*words)
    async with reading(fleet, "all") as read:
        await wait_until(lambda: set(read.shown) == set(EVERY_TOPIC), "each topic has come")
        assert set(read.shown["members"]) == {"east1"}
        assert read.shown["vips"] == {}
    for key in (keys.absent, keys.vips, keys.vip_changes):
        await link.call("UNLINK", key)


async def test_feed_ends_with_its_manager(fleet: Fleet) -> None:
    manager = await fleet.manager()
    async with await Client.open(str(manager.endpoints[0].path)) as client:
        client.request("feed jobs", id=1, stream=True)
        await client.fields(frames.CHUNK)
        manager.stop()
        result = await client.fields(frames.RESULT)
    assert result["body"] == "The feed has ended, because the manager ends"
