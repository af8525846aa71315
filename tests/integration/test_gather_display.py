"""What a gather looks like on a terminal: the console's own program, on terminals of several widths."""

import contextlib
import json
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
    {"state": "silent", "nodes": "node[968-980]", "count": 13, "seconds": 1.2, "settles_in_s": 1.7},
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
            assert "s unless heard of" in terminal.text
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
        keep_picture("gather-few", terminal.screen)
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


@pytest.mark.parametrize("option", ["--fold", "--diff"])
def test_folded_report_keeps_the_counts(console: Opened, folder: Path, option: str) -> None:
    with listening(folder / "played") as listener:
        terminal = console(option, folder / "played", "gather", "pid")
        with asked(listener) as played:
            assert played.request["format"] == "json"
            limits = [f"files = {1024 * (1 + number // 4)}\nprocesses = 512" for number in range(5)]
            answers = [response(f"east{number}", text=text) for number, text in enumerate(limits, 1)]
            lost = response("east6", "lost", seconds=3.0)
            played.tell(sent([f"east{number}" for number in range(1, 7)]), *answers)
            terminal.wait_for("   4 ok       files = 1024 (and 1 line more)   east[1-4]")
            terminal.wait_for("5 of 6 answered")
            header = f"# {ID}  exec:limits show  12:41:10  5 of 6 answered, 1 lost"
            played.end(json.dumps({"body": f"{header}\nthe rest", "nodes": [*answers, lost]}), "partial", 3)
            assert terminal.end() == 3
    lines = terminal.text.split("\n")
    assert lines[:4] == [header, "east[1-4]:", "  files = 1024", "  processes = 512"]
    if option == "--fold":
        assert lines[4:-1] == ["east5:", "  files = 2048", "  processes = 512", "east6: (lost)"]
    else:
        heads = ["--- 4 ok (the reference)", "+++ east5  (1 ok)", "@@ -1,2 +1,2 @@"]
        assert lines[4:-1] == [*heads, "-files = 1024", "+files = 2048", " processes = 512", "east6: (lost)"]
    keep_picture(f"gather-{option.removeprefix('--')}", terminal.screen)
    assert lines[-1] == "= 5 ok in 2 groups (4, 1), 1 lost; median 0.9 s, p95 0.9 s, slowest east5 0.9 s"


def test_similar_and_different_answers_at_the_prompt(console: Opened, processes: Processes) -> None:
    for name in ("east1", "east2", "east3"):
        processes.node(name)
    terminal = console(processes.manager().endpoint)
    terminal.wait_prompt()
    assert terminal.say("\\fold similar").startswith("Answers that differ only in numbers")
    _, similar, last = terminal.say("gather cluster nodename").split("\n")
    assert similar == "east[1-3]: {node}   (3 alike but for the node's name)"
    assert last.startswith("= 3 ok in 1 group; ")
    assert terminal.say("\\fold off") == "Identical answers are shown each"
    assert terminal.say("\\diff") == "Answers are shown by their differences"
    shown = terminal.say("gather cluster nodename").split("\n")
    assert shown[1:4] == ["east1: east1", "--- 1 ok (the reference)", "+++ east2  (1 ok)"]
    assert terminal.say("\\fold nonsense") == "Usage: \\fold [on|off|similar]"
    terminal.type("quit\r")
    assert terminal.end() == 0


def test_answers_held_back_are_told_when_left(console: Opened, folder: Path) -> None:
    with listening(folder / "played") as listener:
        terminal = console(folder / "played", "gather", "pid", columns=160)
        with asked(listener) as played:
            played.tell(sent(NODES), *(response(node, text="same") for node in NODES[:900]))
            terminal.wait_for("900 of 1000 answered")
            os.kill(terminal.process.pid, signal.SIGINT)
            assert terminal.end() == 130
    assert "node[1-900]: same" in terminal.text
    assert terminal.text.endswith(f"{ID} goes on: retrieve {ID}, abort {ID}")


@pytest.mark.parametrize("options", [["--fold"], ["--diff"], ["--no-progress"], []])
def test_a_script_gets_the_report_alone(folder: Path, processes: Processes, options: list[str]) -> None:
    processes.node("east1")
    endpoint = processes.manager().endpoint
    done = subprocess.run(
        [sys.executable, "-m", "cli.ec_console", *options, str(endpoint), "gather", "cluster nodename"],
        capture_output=True,
        text=True,
        check=False,
    )
    header, *lines = done.stdout.split("\n")
    assert header.endswith("1 of 1 answered")
    assert lines == ["east1: east1", *(["All answers are equal"] if options == ["--diff"] else []), ""]
    assert done.stderr == ""
