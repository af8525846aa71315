"""Absent nodes: they stay in every report, by name, until they are back, leave, or are forgotten."""

import re
from pathlib import Path

import pytest

from eccmgr.manager import Manager
from tests.integration.fleet import Fleet, die
from tests.logged import LogOf
from tests.waiting import wait_until
from worker.node import EcNode

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]

BUS = "# Subcluster: east = m1\nSpread_Segment 10.0.0.255:4803 {\n  east1 10.0.0.1\n  east2 10.0.0.2\n}\n"
SINCE = r"since \d\d:\d\d"


async def lose(fleet: Fleet, node: EcNode) -> None:
    """Kill `node`, and wait until its session is over."""
    await die(node)
    key = node.session.identity.name.lower()

    async def gone() -> bool:
        return key in (await fleet.managers[0].delivery.view()).absent

    await wait_until(gone, "the death is noticed")


async def says(fleet: Fleet, line: str, manager: int = 0) -> None:
    """Wait until `info` has a line that matches."""

    async def said() -> bool:
        lines = (await fleet.ask("info", manager)).splitlines()
        return any(re.fullmatch(line, each) for each in lines)

    await wait_until(said, f"info says {line}")


def bus_file(manager: Manager, text: str) -> None:
    """Write the bus file beside a manager's main file, and have the manager read it again."""
    assert manager.store.loaded.main is not None
    (Path(manager.store.loaded.main).parent / "mbus.conf").write_text(text)
    manager.reload()


@pytest.mark.usefixtures("no_blocking")
class TestLost:
    async def test_info_names_an_absent_node_until_its_return(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1")
        await lose(fleet, await fleet.node("east2"))
        assert re.search(f"\nAbsent: east2 {SINCE}\n", await fleet.ask("info"))
        await fleet.node("east2")
        assert "Absent" not in await fleet.ask("info")

    async def test_forgotten_node_is_in_no_report(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1")
        await lose(fleet, await fleet.node("east2.example.com"))
        alive = "Node 'east1' is alive; only a node that is absent can be forgotten"
        assert await fleet.ask("forget east1") == alive
        assert re.fullmatch(f"Forgot east2.example.com, absent {SINCE}", await fleet.ask("forget East2"))
        assert await fleet.ask("forget east2") == "Unknown node 'east2'; known: east1"
        assert await fleet.lines("gather mark") == ["east1: marked"]

    async def test_each_membership_change_is_one_log_line(self, fleet: Fleet, log_of: LogOf) -> None:
        said = log_of("eccmgr.cluster.journal")
        await fleet.manager()
        node = await fleet.node("east1")
        await lose(fleet, node)
        back = await fleet.node("east1")
        back.stop()
        await wait_until(lambda: any(event["event"] == "node left" for event in said), "it leaves")
        told = [event["event"] for event in said if event.get("node") == "east1"]
        assert told == ["node joined", "node lost", "node returned", "node left"]
        assert all(event["reason"] for event in said if event["event"] in ("node lost", "node left"))


class TestNamed:
    async def test_all_managers_expect_one_managers_bus_file(self, fleet: Fleet) -> None:
        first = await fleet.manager("m1", configuration=" ")
        await fleet.manager("m2")
        await fleet.node("east1", "east")
        bus_file(first, BUS)
        await says(fleet, "Absent: east2 never seen", manager=1)
        header, *lines = (await fleet.ask("gather mark", manager=1)).splitlines()
        assert header.endswith("1 of 2 answered, 1 absent")
        assert lines == ["east1: marked", "east2: (absent, never seen)"]
        assert await fleet.ask("unicast east2 mark", 1) == "Node 'east2' is absent, never seen; nothing was sent"
        refusal = await fleet.ask("forget east2", 1)
        assert refusal.startswith("Node 'east2' is not forgotten: the bus file beside /")
        assert refusal.endswith(" of manager m1 names it; take it out of that file, and reload")

    async def test_node_no_longer_named_is_not_expected(self, fleet: Fleet) -> None:
        manager = await fleet.manager("m1", configuration=" ")
        await fleet.node("east1", "east")
        bus_file(manager, BUS)
        await says(fleet, "Absent: east2 never seen")
        bus_file(manager, BUS.replace("east2", "east3"))
        await says(fleet, "Absent: east3 never seen")
        bus_file(manager, "")
        await wait_until(lambda: _answers(fleet, "gather mark", 1), "nobody else is expected")

    async def test_faulty_bus_file_is_reported_and_not_applied(self, fleet: Fleet) -> None:
        manager = await fleet.manager("m1", configuration=" ")
        await fleet.node("east1", "east")
        bus_file(manager, BUS)
        await says(fleet, "Absent: east2 never seen")
        bus_file(manager, "}")
        await says(fleet, r"Bus files: .*mbus\.conf:1:1: '}' closes nothing, expected a Spread_Segment")
        await says(fleet, "Absent: east2 never seen")

    async def test_nodes_are_expected_again_after_redis_forgets(self, fleet: Fleet) -> None:
        manager = await fleet.manager("m1", configuration=" ")
        await fleet.node("east1", "east")
        bus_file(manager, BUS)
        await says(fleet, "Absent: east2 never seen")
        tag = manager.keys.tag
        names = await manager.link.call("KEYS", f"{tag}*")
        await manager.link.call("DEL", *names)
        await says(fleet, "Absent: east2 never seen")


async def _answers(fleet: Fleet, command: str, nodes: int) -> bool:
    return (await fleet.ask(command)).splitlines()[0].endswith(f"{nodes} of {nodes} answered")
