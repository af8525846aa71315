"""`ec_console top` on terminals of three sizes, and at 10,000 nodes. It leaves the terminal as it was."""

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.daemons import ROOT, Processes
from tests.fed import Fed, ago, change, example, member
from tests.screens import Terminal, keep_picture
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")

PROGRAM = [sys.executable, "-c", "from cli.ec_console import main; main()"]
LEFT_FULL_SCREEN = b"\x1b[?1049l"
ESCAPE = "\x1b"


@contextmanager
def top(path: Path, columns: int = 100, lines: int = 30, **environment: str) -> Iterator[Terminal]:
    terminal = Terminal([*PROGRAM, str(path), "top"], columns, lines, **environment)
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            terminal.process.kill()
        terminal.end()


def end(terminal: Terminal) -> int:
    terminal.type("q")
    return ended(terminal)


def ended(terminal: Terminal) -> int:
    wait_until_sync(lambda: terminal.text is not None and terminal.process.poll() is not None, "the program ends")
    # What it has written last may still wait to be read.
    assert terminal.text is not None
    return terminal.process.wait(30)


@pytest.fixture
def fed(folder: Path) -> Iterator[Fed]:
    with Fed(folder / "socket", example()) as made:
        yield made


SIZES = {(80, 24): ("Nodes", "Jobs"), (100, 30): ("Nodes", "Schedules"), (160, 50): ("Nodes", "Events")}


@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_panes_are_shown_as_they_fit(fed: Fed, columns: int, lines: int) -> None:
    titles = ("1 Nodes", "2 VIPs", "3 Commands", "4 Jobs", "5 Schedules", "6 Events")
    last = next(number for number, title in enumerate(titles) if title.endswith(SIZES[columns, lines][1]))
    with top(fed.path, columns, lines) as terminal:
        terminal.wait_for("161/200")
        terminal.wait_for("9c1f00aa0001")
        shown = [title for title in titles if title in terminal.text]
        assert shown == list(titles[: last + 1])
        assert "198 live, 1 late, 1 lost" in terminal.text
        keep_picture(f"top-{columns}x{lines}", terminal.screen)
        assert end(terminal) == 0


def test_keys_open_filter_and_explain(fed: Fed) -> None:
    with top(fed.path) as terminal:
        terminal.wait_for("161/200")
        terminal.type("\r")
        terminal.wait_for("1 Nodes of west")
        terminal.type("/west1 !west1\x7f\x7f\x7f\x7f\x7f\x7f\x7f")
        terminal.wait_for("only west1")
        terminal.type("\r")
        terminal.wait_for("? help")
        keep_picture("top-nodes", terminal.screen)
        terminal.type("\r")
        terminal.wait_for("lease_age_ms")
        terminal.type(ESCAPE)
        terminal.wait_for("1 Nodes of west")
        terminal.type("?")
        terminal.wait_for("Nothing here changes anything in the cluster.")
        terminal.type("?66")
        terminal.wait_for("node west9 joined")
        assert "1 Nodes" not in terminal.text
        assert end(terminal) == 0


def test_late_nodes_are_copied_to_the_clipboard(fed: Fed) -> None:
    with top(fed.path) as terminal:
        terminal.wait_for("161/200")
        terminal.type("w")
        terminal.wait_for("Nodes that are late or lost  2")
        terminal.type("y")
        terminal.wait_for("Copied: west[2-3]")
        assert b"\x1b]52;c;" + base64.b64encode(b"west[2-3]") + b"\x07" in terminal.raw
        keep_picture("top-late", terminal.screen)
        assert end(terminal) == 0


def test_pause_holds_the_screen(fed: Fed) -> None:
    with top(fed.path) as terminal:
        terminal.wait_for("161/200")
        terminal.type("p")
        terminal.wait_for("PAUSED")
        done = {"id": "01KB3ZD4P1QX", "issued": ago(2), "user": "root", "target": "@all", "command": "reopen logs"}
        fed.tell(change("commands", [{**done, "answered": 200, "expected": 200}]))
        fed.tell(change("jobs", [], full=True))
        terminal.type("2")
        terminal.wait_for("161/200")
        terminal.type("p")
        terminal.wait_for("200/200")
        assert end(terminal) == 0


def test_lost_connection_is_said_and_made_anew(fed: Fed) -> None:
    with top(fed.path) as terminal:
        terminal.wait_for("161/200")
        fed.events = example(50)
        fed.cut()
        terminal.wait_for("161/50")
        assert "CUT OFF" not in terminal.text
        assert end(terminal) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_leaves_the_terminal_as_it_was(fed: Fed, number: signal.Signals) -> None:
    with top(fed.path) as terminal:
        before = terminal.modes
        terminal.wait_for("161/200")
        assert terminal.modes[3] != before[3]
        os.kill(terminal.process.pid, number)
        ended(terminal)
        assert terminal.modes == before
        assert LEFT_FULL_SCREEN in terminal.raw
        assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.rindex(b"\x1b[?25l")


def test_terminal_of_another_size_is_filled(fed: Fed) -> None:
    with top(fed.path, 80, 24) as terminal:
        terminal.wait_for("161/200")
        terminal.resize(160, 50)
        terminal.wait_for("6 Events")
        terminal.resize(30, 5)
        terminal.wait_for("too small")
        terminal.resize(100, 30)
        terminal.wait_for("5 Schedules")
        assert end(terminal) == 0


def test_ten_thousand_nodes_are_shown_and_searched(folder: Path) -> None:
    with Fed(folder / "socket", example(10_000)) as fed, top(fed.path, 160, 50) as terminal:
        terminal.wait_for("9,998 live, 1 late, 1 lost")
        terminal.type("\r")
        terminal.wait_for("of 3,333")
        terminal.type("/west3333\r")
        terminal.wait_for("only west3333")
        fed.tell(change("members", [member("west3333", "west", "late", lease_age_ms=2100)]))
        terminal.wait_for("2.1 s")
        keep_picture("top-10000", terminal.screen)
        assert end(terminal) == 0


def test_texts_cannot_steer_the_terminal(folder: Path) -> None:
    evil = "\x1b]0;EVIL\x07\x1b[31mRED\u202e\r\n"
    commands = [{"id": "01KB3ZD4P1QX", "issued": ago(1), "user": evil, "target": "@all", "answered": 1, "expected": 2}]
    events = [change("commands", [{**commands[0], "command": evil}], full=True)]
    events.append(change("vips", [{"address": evil, "state": evil, "owner": evil, "epoch": 1}], full=True))
    with Fed(folder / "socket", events) as fed, top(fed.path) as terminal:
        terminal.wait_for("01KB3ZD4P1QX")
        for key in "2\r\x1b1?":
            terminal.type(key)
        terminal.wait_for("Keys")
        assert b"EVIL" in terminal.raw
        assert b"\x1b]0;" not in terminal.raw
        assert b"\x1b[31mRED" not in terminal.raw
        assert "\u202e".encode() not in terminal.raw
        assert end(terminal) == 0


def test_no_color_shows_no_color(fed: Fed) -> None:
    with top(fed.path, NO_COLOR="1") as terminal:
        terminal.wait_for("161/200")
        terminal.wait_for("1 lost")
        colors = {cell.fg for line in terminal.screen.buffer.values() for cell in line.values()}
        assert colors == {"default"}
        assert end(terminal) == 0


def test_refused_caller_is_told_why(fed: Fed) -> None:
    fed.refuses = "Not Authorized for this command: no role of yours allows feed members"
    with top(fed.path) as terminal:
        assert ended(terminal) == 5
        assert "ec_console: Not Authorized for this command: no role of yours allows feed members" in terminal.text


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_top_without_a_terminal_is_a_usage_error(fed: Fed) -> None:
    done = run(str(fed.path), "top")
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr == "ec_console: top needs a terminal; a program reads the feed itself (docs/feed.md)\n"


def test_nobody_at_the_endpoint_is_one_line(folder: Path) -> None:
    with top(folder / "nobody") as terminal:
        assert ended(terminal) == 4
        assert "ec_console: Cannot connect to" in terminal.text
        assert LEFT_FULL_SCREEN not in terminal.raw


def test_real_manager_is_shown(processes: Processes) -> None:
    manager = processes.manager()
    node: Any = processes.node("east1", "east")
    with top(manager.endpoint, 160, 50) as terminal:
        terminal.wait_for("1 live, 0 late, 0 lost")
        terminal.wait_for("node east1 joined")
        terminal.type("\r")
        terminal.wait_for("Nodes of east")
        terminal.wait_for("east1")
        node.end(signal.SIGKILL)
        terminal.wait_for("node east1 lost")
        assert end(terminal) == 0


def test_other_manager_is_read_when_one_dies(processes: Processes) -> None:
    first, second = processes.manager("barca"), processes.manager("pono")
    processes.node("east1", "east")
    terminal = Terminal([*PROGRAM, "top"], 160, 50, EC_CONSOLE_ENDPOINT=f"{first.endpoint},{second.endpoint}")
    try:
        terminal.wait_for("a minute  manager barca")
        first.end(signal.SIGKILL)
        terminal.wait_for("a minute  manager pono")
        terminal.wait_for("1 live, 0 late, 0 lost")
        terminal.type("q")
        assert ended(terminal) == 0
    finally:
        terminal.end()
