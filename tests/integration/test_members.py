"""`members` and `vips`: the cluster in a table, as a manager reads it from Redis."""

import json
import signal
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.daemons import Process, Processes, ask_sync
from tests.vips import ONE_VIP
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")


def rows(manager: Process, command: str) -> list[list[str]]:
    """The words of each line of a table, without its headings."""
    return [line.split() for line in ask_sync(manager.endpoint, command).splitlines()[1:]]


def items(manager: Process, command: str, field: str) -> dict[str, dict[str, object]]:
    """The items of a JSON answer, by their names or addresses."""
    listed = json.loads(ask_sync(manager.endpoint, f"json {command}"))[field]
    return {item.get("name") or item["address"]: item for item in listed}


def test_members_are_shown_with_their_facts(processes: Processes) -> None:
    manager = processes.manager()
    processes.node("east1", "east", "--tag", "role=mta")
    processes.node("west1", "west")
    table = ask_sync(manager.endpoint, "members").splitlines()
    assert table[0].split() == ["NODE", "SUBCLUSTER", "STATE", "VERSION", "ADDRESS", "LEASE", "AGE", "VIPS", "TAGS"]
    assert [line.split()[:3] for line in table[1:]] == [
        ["east1", "east", "live"],
        ["west1", "west", "live"],
        ["barca", "(manager)", "live"],
    ]
    assert "role=mta" in table[1]
    assert "127.0.0.1:0" in table[2]
    assert [line[0] for line in rows(manager, "members @west")] == ["west1"]
    members = items(manager, "members", "members")
    assert members["east1"]["tags"]["role"] == "mta"  # type: ignore[index]
    assert 0 <= members["east1"]["lease_age_ms"] < 60_000  # type: ignore[operator]
    answer = ET.fromstring(ask_sync(manager.endpoint, "xml members east1"))
    assert [(each.tag, each.get("Name"), each.get("State")) for each in answer] == [("Member", "east1", "live")]
    assert ask_sync(manager.endpoint, "members east9").startswith("Unknown node 'east9'")


def test_a_lost_node_is_shown_as_absent(processes: Processes) -> None:
    manager, node = processes.manager(), processes.node("east1")
    node.end(signal.SIGKILL)
    wait_until_sync(lambda: rows(manager, "members east1")[0][2:4] == ["absent", "since"], "it is absent")
    assert items(manager, "members", "members")["east1"]["since"]


def test_a_node_that_cannot_carry_says_why(processes: Processes, folder: Path) -> None:
    manager, file = processes.manager(), folder / "vips.conf"
    file.write_text(ONE_VIP.replace('plumber = "memory"', 'plumber = "netlink"').replace('"lo"', '"nowhere7"'))
    processes.start("ecnode", "a1", "-c", str(file))
    wait_until_sync(lambda: "nowhere7" in ask_sync(manager.endpoint, "members a1"), "the reason is shown")
    assert "(cannot carry 1: " in ask_sync(manager.endpoint, "members a1")
    assert list(items(manager, "members", "members")["a1"]["unable"]) == ["10.1.1.1"]  # type: ignore[call-overload]


def test_vips_say_who_held_them_before(processes: Processes, folder: Path) -> None:
    manager = processes.manager()
    file = folder / "vips.conf"
    file.write_text(ONE_VIP)
    nodes = {name: processes.start("ecnode", name, "-c", str(file)) for name in ("a1", "a2")}
    wait_until_sync(lambda: items(manager, "vips", "vips").get("10.1.1.1", {}).get("owner"), "the VIP is carried")
    first = items(manager, "vips", "vips")["10.1.1.1"]
    assert (first["names"], first["ownership"], first["agreement"]) == (["b"], "owned", "safe")
    owner = str(first["owner"])
    other = next(name for name in nodes if name != owner)
    nodes[owner].end(signal.SIGKILL)
    wait_until_sync(lambda: items(manager, "vips", "vips")["10.1.1.1"]["owner"] == other, "it is taken over")
    taken = items(manager, "vips", "vips")["10.1.1.1"]
    assert taken["before"] in nodes
    assert taken["epoch"] > first["epoch"]  # type: ignore[operator]
    assert items(manager, "members", "members")[other]["vips"] == ["10.1.1.1"]
    assert rows(manager, "vips")[0][:3] == ["10.1.1.1", "b", other]
    shown = ask_sync(manager.endpoint, "vips b")
    assert f"  * {other}" in shown
    assert f"granted {other} from {owner}, epoch {taken['epoch']}" in shown
    assert f"If {other} died:\n  10.1.1.1 to nobody" in shown
    answer = ET.fromstring(ask_sync(manager.endpoint, "xml vips 10.1.1.1"))
    assert {each.tag for each in answer} == {"Name", "Participant", "Takeover", "Change"}
    assert ask_sync(manager.endpoint, "vips 10.9.9.9") == "Unknown VIP '10.9.9.9'; known: 10.1.1.1,b"


def test_without_vips_their_table_says_so(processes: Processes) -> None:
    manager = processes.manager()
    assert ask_sync(manager.endpoint, "vips") == "No node states a VIP"
    assert json.loads(ask_sync(manager.endpoint, "json vips"))["vips"] == []
