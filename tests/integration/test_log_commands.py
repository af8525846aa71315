"""What an operator sees of the collected logs: show logs, logs tail, logs forget, paniclog."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import ROOT, Processes, ask_sync
from tests.integration.test_log_collection import Collection
from tests.waiting import wait_until_sync


@pytest.fixture
def site(processes: Processes) -> Collection:
    made = Collection(processes)
    made.node()
    made.write("east1", 100)
    return made


def rows(endpoint: object, command: str) -> list[dict[str, object]]:
    return list(json.loads(ask_sync(str(endpoint), f"json {command}"))["logs"])


def test_each_log_is_shown_with_its_place(site: Collection) -> None:
    manager, node = site.manager(), site.processes.started[0]
    size = site.source("east1").stat().st_size
    for endpoint, command in ((manager.endpoint, "show logs"), (node.endpoint, "cluster show logs")):
        # The node tells its size now and then.
        expected = ("mainlog", "master", "barca", size, size, 0, 0)

        def is_shown(endpoint: Path = endpoint, command: str = command, expected: object = expected) -> bool:
            names = ("log", "subscriber", "manager", "size", "at", "behind", "lost")
            return [tuple(row[name] for name in names) for row in rows(endpoint, command)] == [expected]

        wait_until_sync(is_shown, f"{command} shows the log")
    assert "<Answer" in ask_sync(manager.endpoint, "xml show logs")
    assert ask_sync(manager.endpoint, "logs forget nobody").startswith("No log has a subscriber 'nobody'")
    assert ask_sync(manager.endpoint, "logs forget master") == "Forgot master in 1 log"


def test_forgotten_subscriber_is_not_behind(site: Collection) -> None:
    manager = site.manager()
    wait_until_sync(lambda: [row["at"] for row in rows(manager.endpoint, "show logs")] != [None], "the log came")
    assert ask_sync(manager.endpoint, "logs forget master") == "Forgot master in 1 log"
    wait_until_sync(
        lambda: [(row["manager"], row["behind"]) for row in rows(manager.endpoint, "show logs")] == [("barca", 0)],
        "the manager has the log again",
    )
    site.write("east1", 5)
    site.settles()


@pytest.fixture
def tail(site: Collection) -> Iterator["subprocess.Popen[str]"]:
    """`logs tail` into a pipe, on a manager that collects nothing."""
    manager = site.processes.manager()
    line = "logs tail --lines 2 all mainlog 'east1 .*9 '"
    arguments = (sys.executable, "-c", "from cli.ec_console import main; main()", str(manager.endpoint), line)
    popen = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    yield popen
    popen.kill()
    popen.communicate()


def test_lines_are_tailed_without_a_collector(site: Collection, tail: "subprocess.Popen[str]") -> None:
    assert tail.stdout is not None
    shown = [tail.stdout.readline().split()[:3] for _ in range(2)]
    assert shown == [["east1:", "east1", "89"], ["east1:", "east1", "99"]]
    site.write("east1", 10)
    assert tail.stdout.readline().split()[:3] == ["east1:", "east1", "109"]


def test_last_lines_come_to_a_client_without_stream(site: Collection) -> None:
    manager = site.processes.manager()
    answer = ask_sync(manager.endpoint, "logs tail --lines 2 east1 mainlog")
    assert [line.split()[:2] for line in answer.splitlines()[2:]] == [["east1", "98"], ["east1", "99"]]
    assert "has no log 'nolog'; its logs: mainlog" in ask_sync(manager.endpoint, "logs tail east1 nolog")
    for line in ("logs tail", "logs tail east1", "logs tail --lines x east1 mainlog", "logs tail --many 3 a b"):
        assert ask_sync(manager.endpoint, line).startswith("Usage: logs tail")


def test_latest_panics_are_kept_in_memory(site: Collection) -> None:
    (node,) = site.processes.started
    assert ask_sync(node.endpoint, "paniclog") == "No panic since this process began"
    assert ask_sync(node.endpoint, "paniclog 501") == "paniclog takes a number from 1 to 500, not '501'"
