"""The forms for programs: fields with types beside the text of an answer, on managers and nodes."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.daemons import Process, Processes, ask_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")

CONFIGURATION = """
Timeout = 90
cluster { heartbeats_per_sec = 2  tags = [ role = mta ] }
Datasource "d" { uri = "pg:password=S3cr3t" }
Datasource "e" { uri = "pg:host=h" }
"""


def fields(process: Process, command: str) -> dict[str, object]:
    """The fields of the JSON form, whose body is the text form."""
    answer = json.loads(ask_sync(process.endpoint, f"json {command}"))
    assert answer["status"] == "ok", answer
    assert isinstance(answer["body"], str)
    return dict(answer)


@pytest.fixture
def manager(processes: Processes, folder: Path) -> Process:
    file = folder / "main.conf"
    file.write_text(CONFIGURATION)
    return processes.start("eccmgr", "barca", "-c", str(file))


def test_every_daemon_gives_its_facts_as_fields(manager: Process, processes: Processes) -> None:
    node = processes.node("east1", "east")
    for process, program in ((manager, "eccmgr"), (node, "ecnode")):
        assert fields(process, "pid")["pid"] == process.popen.pid
        assert fields(process, "version")["program"] == program
        assert isinstance(fields(process, "uptime")["seconds"], float)
        assert isinstance(fields(process, "memory")["resident_bytes"], int)
        assert isinstance(fields(process, "sysinfo")["load"], list)
        assert fields(process, "reopen logs")["files"] == 0
    assert fields(node, "cluster nodename")["node"] == "east1"
    assert fields(node, "cluster nodeaddr")["address"] == "127.0.0.1"
    info = fields(node, "cluster info")
    assert (info["node"], info["subcluster"], info["leader"] is None) == ("east1", "east", False)
    assert str(fields(node, "cluster reset")["private_name"]).endswith("#east1")


def test_info_has_its_lines_as_fields(manager: Process, processes: Processes) -> None:
    processes.node("east1", "east")
    processes.node("west1", "west")
    info = fields(manager, "info")
    counts = {"nodes": 2, "managers": 1, "other": 0, "subclusters": {"east": 1, "west": 1}}
    assert (info["members"], info["absent"], info["unknown"]) == (counts, [], {})
    assert info["redis"]["round_trip_ms"] > 0  # type: ignore[index]
    assert info["manager"]["private_name"] == info["leader"]  # type: ignore[index]
    assert info["cluster"] == processes.cluster


def test_preview_and_history_have_fields(manager: Process, processes: Processes) -> None:
    processes.node("east1", "east")
    preview = fields(manager, "preview @east")
    assert (preview["target"], preview["expected"], preview["names"], preview["absent"]) == ("@east", 1, ["east1"], [])
    sent = fields(manager, "broadcast pid")
    (past,) = fields(manager, "history")["commands"]  # type: ignore[misc, attr-defined]
    assert (past["id"], past["expected"]) == (sent["id"], 1)
    assert fields(manager, "flush control cache")["flushed"] == 1
    made = fields(manager, "sched in 600 pid")
    (schedule,) = fields(manager, "sched list")["schedules"]  # type: ignore[misc, attr-defined]
    assert (schedule["id"], schedule["recurs"], schedule["command"]) == (made["id"], False, "pid")
    assert fields(manager, f"sched delete {made['id']}")["id"] == made["id"]


def test_configuration_has_typed_values(manager: Process) -> None:
    shown = fields(manager, "config show")
    assert shown["options"] == {"Timeout": "90"}  # the schema has no such option here
    assert {"kind": "Datasource", "name": "d"} in shown["scopes"]  # type: ignore[operator]
    cluster = fields(manager, "config show cluster")
    assert cluster["options"] == {"heartbeats_per_sec": 2.0, "tags": {"role": "mta"}}
    assert "S3cr3t" not in json.dumps(fields(manager, "config showrecurse"))
    assert "S3cr3t" not in json.dumps(fields(manager, "config show Datasource d"))
    several = fields(manager, "config show Datasource")["scopes"]
    assert several == fields(manager, "config locate Datasource")["scopes"]
    assert several[1] == {"kind": "Datasource", "name": "e", "path": "Datasource:e:"}  # type: ignore[index]
    option = fields(manager, "config get cluster heartbeats_per_sec")
    assert (option["scope"], option["value"], option["type"]) == ("cluster::", 2.0, "number")
    assert fields(manager, "config eval cluster command_ttl")["type"] == "seconds"
    change = fields(manager, "config set cluster command_ttl = 2m")
    assert (change["option"], change["value"], change["dynamic"]) == ("command_ttl", 120.0, True)
    (file,) = fields(manager, "config writeback")["files"]  # type: ignore[misc, attr-defined]
    assert file["changes"] == 1
    assert fields(manager, "config unset cluster command_ttl")["option"] == "command_ttl"
    assert fields(manager, "config reload")["dropped"] == 1


def test_the_xml_of_answers_has_id_and_counts(manager: Process, processes: Processes) -> None:
    processes.node("east1", "east")
    sent = fields(manager, "broadcast pid")
    answer = ET.fromstring(ask_sync(manager.endpoint, "xml gather uptime"))
    assert (answer.get("Expected"), answer.get("Answered"), answer.get("Target")) == ("1", "1", "@all")
    retrieved = ET.fromstring(ask_sync(manager.endpoint, f"xml retrieve {sent['id']}"))
    assert list(retrieved.attrib)[:2] == ["Command", "Status"]
    assert (retrieved.get("Id"), [each.tag for each in retrieved]) == (sent["id"], ["Response"])
