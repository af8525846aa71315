"""`events` and `why`: what has happened to nodes, commands, schedules and configurations."""

import json
from typing import Any

import pytest

from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from tests.integration.fleet import Fleet, die
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]


async def told(fleet: Fleet, command: str = "events 100") -> list[dict[str, Any]]:
    answer = json.loads(await fleet.ask(f"json {command}"))
    assert answer["status"] == "ok", answer
    return list(answer["events"])


async def until_told(fleet: Fleet, what: str, command: str = "events 100") -> dict[str, Any]:
    """Wait until a change is told whose text holds `what`."""
    fitting: list[dict[str, Any]] = []

    async def is_told() -> bool:
        fitting[:] = [event for event in await told(fleet, command) if what in event["what"]]
        return bool(fitting)

    await wait_until(is_told, f"{command} tells {what}")
    return fitting[-1]


async def test_life_and_death_of_a_node_is_told(fleet: Fleet) -> None:
    await fleet.manager()
    east1 = await fleet.node("east1", "east")
    assert (await until_told(fleet, "node east1 joined"))["why"] == "subcluster east"
    await die(east1)
    assert (await until_told(fleet, "node east1 lost"))["why"] == "no heartbeat came within the lease"
    await fleet.node("east1", "east")
    assert (await until_told(fleet, "node east1 returned"))["took_ms"] is not None
    answer = json.loads(await fleet.ask("json why EAST1"))
    assert (answer["kind"], answer["name"]) == ("node", "east1")
    assert answer["now"].startswith("live, session #ec0-")
    assert [event["what"] for event in answer["events"]] == [
        "node east1 joined",
        "node east1 lost",
        "node east1 returned",
    ]


async def test_command_is_told_with_its_outcomes(fleet: Fleet) -> None:
    await fleet.manager()
    await fleet.node("east1")
    await fleet.node("east2")
    sent = await fleet.broadcast("fail")
    await fleet.shows("retrieve fail", "east1: failed: it cannot be done", "east2: failed: it cannot be done")
    event = await until_told(fleet, f"{sent} fail to @all: 2 of 2 answered")
    assert event["by"]
    why = await fleet.ask(f"why #{sent.lower()}")
    assert why.startswith(f"# {sent}  fail  ")
    assert "east1 failed: it cannot be done" in why
    assert await until_told(fleet, f"{sent} fail: failed: it cannot be done", "why east2")


async def test_schedules_and_configuration_are_told(fleet: Fleet) -> None:
    await fleet.manager()
    made = (await fleet.ask("sched in 1 version")).split()[1]
    assert (await until_told(fleet, f"schedule {made} added: version"))["by"]
    await until_told(fleet, f"schedule {made} ran on barca: version: ok")
    assert len(await told(fleet, f"why {made}")) == 2
    other = (await fleet.ask("sched in 3600 version")).split()[1]
    assert (await fleet.ask(f"why {other}")).startswith(f"# {other}: due at 20")
    await fleet.ask(f"sched delete {other}")
    await until_told(fleet, f"schedule {other} deleted")
    await fleet.ask("config set Blackhole true")
    assert (await until_told(fleet, "eccmgr barca changed: Blackhole"))["subject"] == "config"


async def test_address_is_told_with_its_holder(fleet: Fleet, link: Link, cluster_keys: Keys) -> None:
    await fleet.manager()
    keys, session = cluster_keys, "#ec0-1-aa#East1"
    entry = ("what", "vip", "change", "granted", "address", "10.0.0.1", "node", "East1", "epoch", "7")
    await link.pipeline(
        ("HSET", keys.vips, "10.0.0.1", f"{session}\t7\t3\t\tmove", session, "3\t1"),
        ("XADD", keys.audit, "*", *entry, "reason", "move", "from", "west1"),
    )
    answer = await fleet.ask("why 10.0.0.1")
    assert answer.splitlines()[0] == "# 10.0.0.1: held by East1, epoch 7"
    assert "10.0.0.1 taken by East1 from west1, epoch 7" in answer
    await link.call("HDEL", keys.vips, session)
    assert (await fleet.ask("why 10.0.0.1")).startswith("# 10.0.0.1: free, its last epoch was 7")
    await link.call("UNLINK", keys.vips)


async def test_number_bounds_the_events(fleet: Fleet) -> None:
    await fleet.manager()
    await fleet.node("east1")
    await until_told(fleet, "node east1 joined")
    assert len(await told(fleet, "events 1")) == 1
    for number in ("0", "-1", "1001", "x"):
        assert await fleet.ask(f"events {number}") == f"events takes a number from 1 to 1000, not '{number}'"


async def test_unknown_name_is_answered_with_the_known(fleet: Fleet) -> None:
    await fleet.manager()
    await fleet.node("east1")
    expected = "Nothing is known of 'nobody': no node, address or id is called so; known: east1"
    assert await fleet.ask("why nobody") == expected
    assert await fleet.ask("why 10.0.0.1") == "Nothing is known of '10.0.0.1': no node states such an address"
    assert await fleet.ask("why") == "Usage: why NAME|ADDRESS|ID"
