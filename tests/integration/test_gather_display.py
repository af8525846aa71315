"""What a gather looks like on a terminal: the console's own program, on terminals of several widths."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemons import Processes
from tests.played import asked, listening, progress, response, sent
from tests.screens import Terminal, keep_picture
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")

WIDTHS = (80, 100, 160)
ID = "01KB3ZD4P1QX"
HINT = "Ctrl-C let it run on"
NODES = [f"node{number}" for number in range(1, 1001)]

Opened = Callable[..., Terminal]


@pytest.fixture
def console(folder: Path) -> Iterator[Opened]:
    """Opens consoles on terminals, and ends those that remain."""
    with contextlib.ExitStack() as ended:

        def open_one(*arguments: str | Path, columns: int = 100, lines: int = 30, **environment: str) -> Terminal:
            program = [sys.executable, "-m", "cli.ec_console", *map(str, arguments)]
            state = {"XDG_STATE_HOME": str(folder / "state")}
            terminal = Terminal(program, columns, lines, **{**state, **environment})
            ended.callback(lambda: terminal.process.poll() is None and (terminal.process.kill(), terminal.end()))
            return terminal

        yield open_one


def of_a_thousand() -> list[dict[str, object]]:
    """The answers of a thousand nodes, but for those that are open."""
    slow = {77: 4.1, **dict.fromkeys(range(800, 870), 1.9)}
    answers = []
    for number in range(1, 964):
        node, seconds = f"node{number}", slow.get(number, 0.9)
        if number in (401, 961, 962):
            answers.append(response(node, "failed", "/var/log/eccmgr: No space left on device", seconds))
        elif number in (12, 613):
            answers.append(response(node, "lost", seconds=3.0))
        elif number == 963:
            answers.append(response(node, "refused", "the disk is full", seconds))
        else:
            answers.append(response(node, "ok", f"Reopened {3 if number < 909 else 2} log files", seconds))
    return answers


OPEN = (
    {"state": "running", "nodes": "node[964-967]", "count": 4, "seconds": 2.0},
    {"state": "silent", "nodes": "node[968-980]", "count": 13, "seconds": 1.2, "settles_in_s": 100.0},
    {"state": "pending", "nodes": "node[981-1000]", "count": 20, "seconds": 2.0},
)


@pytest.mark.parametrize("columns", WIDTHS)
def test_thousand_nodes_are_shown_in_live_groups(console: Opened, folder: Path, columns: int) -> None:
    with listening(folder / "played") as listener:
        terminal = console(folder / "played", "gather", "--batch", "25%", "reopen logs", columns=columns)
        with asked(listener) as played:
            played.tell(sent(NODES), *of_a_thousand(), progress(*OPEN, untold=20, batch=(4, 4)))
            terminal.wait_for("batch 4 of 4")
            terminal.wait_for(HINT)
            lines = terminal.text.split("\n")
            keep_picture(f"gather-{columns}", terminal.screen)
            assert len(lines) <= 10
            assert lines[0].startswith(f"{ID}  ████")
            assert "961 of 1000 answered  2." in lines[0]
            assert " s, at most 30 s" in lines[0]
            counts = "957 ok  3 failed  1 refused  4 running  13 pending  2 lost  20 not sent"
            assert lines[1].startswith(counts)
            assert [" ".join(line.split()[:3]) for line in lines[2:7]] == [
                *("905 ok Reopened", "52 ok Reopened", "3 failed /var/log/eccmgr:", "2 lost node[12,613]"),
                "1 refused the",
            ]
            assert re.search("^running  node.964-967. 2 s", lines[7])
            assert "silent  node[968-980] 1." in lines[7 if columns > 80 else 8]
            assert "lost in 9" in terminal.text
            played.tell(*(response(node, "ok", "Reopened 3 log files") for node in NODES[963:]))
            header = f"# {ID}  reopen logs  12:41:10  998 of 1000 answered, 3 failed, 1 refused, 2 lost"
            played.end(header, "partial", 3)
            assert terminal.end() == 3
    # Long lines go on in the next line of the screen.
    shown = "".join(line if line[-1] != " " else line.rstrip() + "\n" for line in terminal.screen.display)
    assert shown.rstrip().endswith(
        f"{header}\n= 994 ok in 2 groups (942, 52), 3 failed, 1 refused, 2 lost; "
        "median 0.9 s, p95 1.9 s, slowest node77 4.1 s"
    )
    assert HINT not in terminal.text
    assert terminal.raw.count(b"node500: Reopened 3 log files") == 1


def test_few_answers_scroll_by_above_the_region(console: Opened, processes: Processes) -> None:
    for name in ("east1", "east2"):
        processes.node(name)
    silent = processes.node("east3")
    endpoint = processes.manager().endpoint
    silent.popen.send_signal(signal.SIGSTOP)
    try:
        terminal = console(endpoint, "gather", "cluster nodename")
        terminal.wait_for("lost in ")
        keep_picture("gather-silent", terminal.screen)
        lines = terminal.text.split("\n")
        assert sorted(lines[:2]) == ["east1: east1", "east2: east2"]
        assert "2 of 3 answered" in lines[2]
        assert lines[3] == "2 ok  1 pending"
        assert lines[4].startswith("silent  east3 ")
        terminal.type("\r")
        terminal.wait_for("1 left: east3")
        assert terminal.text.split("\n")[2] == "1 left: east3"
        terminal.type("f")
        terminal.wait_for("f groups off")
        terminal.wait_for("   1 ok       east1")
    finally:
        silent.popen.send_signal(signal.SIGCONT)
    terminal.end()
    *lines, header, last = terminal.text.split("\n")
    assert header.startswith("# ")
    assert last.startswith("= ")
    assert "east3: " in "\n".join(lines)
    assert HINT not in terminal.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGTSTP])
def test_keys_are_given_back_however_it_ends(console: Opened, folder: Path, number: signal.Signals) -> None:
    with listening(folder / "played") as listener:
        terminal = console(folder / "played", "gather", "pid")
        with asked(listener) as played:
            played.tell(sent(["a", "b"]), response("a", text="1"))
            terminal.wait_for(HINT)
            assert not terminal.shows_lines
            os.kill(terminal.process.pid, number)
            wait_until_sync(lambda: terminal.shows_lines and HINT not in terminal.text, "the terminal is as it was")
            if number is signal.SIGTSTP:
                os.kill(terminal.process.pid, signal.SIGCONT)
                terminal.wait_for(HINT)
                played.end(f"b: (lost)\n# {ID}", "partial", 3)
            exit_code = terminal.end()
    assert exit_code == (3 if number is signal.SIGTSTP else 128 + number)
    assert (f"{ID} goes on" in terminal.text) is (number is not signal.SIGTSTP)


@pytest.mark.parametrize("how", ["--no-progress", "TERM=dumb"])
def test_region_is_left_out_on_request(console: Opened, folder: Path, how: str) -> None:
    environment = {"TERM": "dumb"} if how == "TERM=dumb" else {}
    options = [] if environment else [how, "--no-color"]
    with listening(folder / "played") as listener:
        terminal = console(*options, folder / "played", "gather", "pid", **environment)
        with asked(listener) as played:
            played.tell(sent(["a", "b"]), response("a", text="1"), progress())
            terminal.wait_for("a: 1")
            played.tell(response("b", "failed", "no"))
            terminal.wait_for("b: failed: no")
            played.end(f"# {ID}  pid  12:41:10  2 of 2 answered", "partial", 3)
            assert terminal.end() == 3
    assert terminal.text.split("\n") == [
        *("a: 1", "b: failed: no", f"# {ID}  pid  12:41:10  2 of 2 answered"),
        "= 1 ok, 1 failed; median 0.9 s, p95 0.9 s, slowest b 0.9 s",
    ]
    assert b"\x1b" not in terminal.raw


def test_a_script_gets_the_report_alone(folder: Path, processes: Processes) -> None:
    processes.node("east1")
    endpoint = processes.manager().endpoint
    done = subprocess.run(
        [sys.executable, "-m", "cli.ec_console", str(endpoint), "gather", "cluster nodename"],
        capture_output=True,
        text=True,
        check=False,
    )
    header, *lines = done.stdout.split("\n")
    assert header.endswith("1 of 1 answered")
    assert lines == ["east1: east1", ""]
    assert done.stderr == ""
