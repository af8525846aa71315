"""`ec_console` follows a gather to its end: over a broken connection, at another manager, after a Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemons import ROOT, Process, Processes, ask_sync
from tests.screens import OnTerminal
from tests.times import FAULT_TIMES
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")

Holding = Callable[[str], Process]


@pytest.fixture
def holding(processes: Processes, folder: Path) -> Holding:
    """Starts nodes whose command `mark TOKEN HOLD_MS` takes so long."""
    config = folder / "main.conf"
    config.write_text(f"cluster {{ {FAULT_TIMES} }}\n")

    def start(name: str) -> Process:
        flags = ("--subcluster", "default", "--config", str(config), "--marks", str(folder / "marks"))
        return processes.start("ecnode", name, *flags, module="tests.fault.marking_node")

    return start


def began(folder: Path, token: str, nodes: int = 1) -> Callable[[], bool]:
    """Whether so many nodes have begun the command with this token."""
    marks = folder / "marks"
    return lambda: marks.exists() and marks.read_text().count(f"ran {token} ") >= nodes


def console(*words: str, endpoints: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "cli.ec_console", *words],
        cwd=ROOT,
        env={**os.environ, "EC_CONSOLE_ENDPOINT": endpoints},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_script_reads_a_feed_as_json_lines(processes: Processes) -> None:
    manager = processes.manager()
    processes.node("east1")
    with console("feed", "members", endpoints=str(manager.endpoint)) as running:
        assert running.stdout is not None
        first = json.loads(running.stdout.readline())
        running.kill()
    assert (first["event"], first["topic"], first["full"]) == ("feed", "members", True)
    assert [item["name"] for item in first["items"]] == ["east1"]


def test_script_gets_the_answer_of_another_manager(processes: Processes, folder: Path, holding: Holding) -> None:
    for name in ("east1", "east2"):
        holding(name)
    dies, stays = processes.manager("dies"), processes.manager("stays")
    with console("gather", "mark", "t", "1500", endpoints=f"{dies.endpoint},{stays.endpoint}") as running:
        wait_until_sync(began(folder, "t", 2), "both have begun")
        dies.end(signal.SIGKILL)
        out, err = running.communicate(timeout=120)
    header, *lines = out.splitlines()
    assert header.endswith("2 of 2 answered")
    assert lines == ["east1: marked", "east2: marked"]
    assert (running.returncode, err) == (0, "")
    assert out == ask_sync(stays.endpoint, "retrieve mark t 1500") + "\n"


def test_manager_that_is_back_is_attached_to_again(processes: Processes, folder: Path, holding: Holding) -> None:
    holding("east1")
    manager = processes.manager()
    with console("--json", "gather", "mark", "t", "2000", endpoints=str(manager.endpoint)) as running:
        wait_until_sync(began(folder, "t"), "it has begun")
        manager.end(signal.SIGKILL)
        again = processes.manager()
        out, err = running.communicate(timeout=120)
    assert (running.returncode, err) == (0, "")
    assert out.startswith('{"command": "gather mark t 2000", "status": "ok", "body": "# ')
    assert '"expected": 1, "answered": 1, "nodes": [{"node": "east1", "state": "ok", ' in out
    assert "east1: marked" in ask_sync(again.endpoint, "retrieve mark t 2000")


def test_manager_that_ends_cleanly_loses_no_batch(processes: Processes, folder: Path, holding: Holding) -> None:
    for name in ("east1", "east2", "east3"):
        holding(name)
    ends, stays = processes.manager("ends"), processes.manager("stays")
    words = ("gather", "--batch", "1", "mark", "t", "500")
    with console(*words, endpoints=f"{ends.endpoint},{stays.endpoint}") as running:
        wait_until_sync(began(folder, "t"), "the first has begun")
        assert ends.end(signal.SIGTERM) == 0
        out, err = running.communicate(timeout=120)
    assert [line.split(": ")[1] for line in out.splitlines()[1:]] == ["marked"] * 3
    assert (running.returncode, err) == (0, "")


def test_manager_that_was_stopped_gives_way(processes: Processes, folder: Path, holding: Holding) -> None:
    names = [f"east{number}" for number in range(1, 5)]
    for name in names:
        holding(name)
    stops, stays = processes.manager("stops"), processes.manager("stays")
    words = ("gather", "--batch", "1", "mark", "t", "700")
    with console(*words, endpoints=str(stops.endpoint)) as first:
        wait_until_sync(began(folder, "t"), "the first has begun")
        stops.popen.send_signal(signal.SIGSTOP)
        made = ask_sync(stays.endpoint, "history 1").split()[0]
        with console("attach", made, endpoints=str(stays.endpoint)) as second:
            wait_until_sync(began(folder, "t", 2), "another manager goes on")
            stops.popen.send_signal(signal.SIGCONT)
            reports = [running.communicate(timeout=120)[0] for running in (first, second)]
    assert reports[0] == reports[1]
    assert reports[0].splitlines()[1:] == [f"{name}: marked" for name in names]
    marks = [line.split() for line in (folder / "marks").read_text().splitlines()]
    assert [mark[2] for mark in marks if mark[0] == "ran"] == names


def test_first_endpoint_that_answers_is_used(processes: Processes, folder: Path) -> None:
    manager = processes.manager()
    with console("version", endpoints=f"{folder / 'nobody'}, {manager.endpoint}") as running:
        out, err = running.communicate(timeout=60)
    assert ("eccmgr version" in out, err, running.returncode) == (True, "", 0)
    with console("version", endpoints=f"{folder / 'a'},{folder / 'b'}") as running:
        out, err = running.communicate(timeout=60)
    reasons = "; ".join(f"Cannot connect to {folder / name}: No such file or directory" for name in "ab")
    assert (out, err, running.returncode) == ("", f"ec_console: {reasons}\n", 4)


def test_terminal_says_where_it_attached_again(
    terminals: OnTerminal, processes: Processes, folder: Path, holding: Holding
) -> None:
    for name in ("east1", "east2"):
        holding(name)
    dies, stays = processes.manager("dies"), processes.manager("stays")
    terminal = terminals(EC_CONSOLE_ENDPOINT=f"{dies.endpoint},{stays.endpoint}")
    terminal.wait_prompt()
    terminal.type("gather --batch 1 mark t 1500\r")
    wait_until_sync(began(folder, "t"), "the first has begun")
    dies.end(signal.SIGKILL)
    terminal.wait_for("Attached to ")
    wait_until_sync(lambda: terminal.prompts == 2, "the report")
    text = re.sub(r"\n", "", terminal.text)
    assert re.search(rf"broke before the answer: .*; attaching to (\w{{12}})Attached to \1 at {stays.endpoint}", text)
    assert "2 of 2 answered" in text
    assert "east1: marked" in text
    assert "east2: marked" in text
    assert f"{stays.endpoint}>" in text


def test_second_interrupt_aborts_after_a_question(
    terminals: OnTerminal, processes: Processes, folder: Path, holding: Holding
) -> None:
    holding("east1")
    terminal = terminals(processes.manager().endpoint)
    terminal.wait_prompt()
    terminal.type("gather mark t 600000\r")
    wait_until_sync(began(folder, "t"), "it has begun")
    os.killpg(terminal.process.pid, signal.SIGINT)
    terminal.wait_for("goes on: attach ")
    terminal.wait_prompt()
    terminal.type("\x03")
    terminal.wait_for("Go on? [y/N]")
    terminal.type("y\r")
    terminal.wait_for("east1: (aborted)")
