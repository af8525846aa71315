"""The question of a console before harm, and the read-only console: on real terminals, with real daemons."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.console.asking import Asking
from eccmgr.control.client.session import Client
from eccmgr.control.endpoint import Endpoint
from tests.daemons import ROOT, Process, Processes, ask_sync
from tests.listeners import listening
from tests.screens import Terminal
from tests.vips import ONE_VIP
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")

Opened = Callable[..., Terminal]


@pytest.fixture
def console(folder: Path) -> Iterator[Opened]:
    """Opens consoles on terminals, and ends those that remain."""
    opened: list[Terminal] = []

    def open_one(*arguments: str | Path) -> Terminal:
        program = [sys.executable, "-m", "cli.ec_console", *map(str, arguments)]
        opened.append(Terminal(program, XDG_STATE_HOME=str(folder / "state")))
        opened[-1].wait_prompt()
        return opened[-1]

    yield open_one
    for terminal in opened:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.end()


def batch(endpoint: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a console in batch mode."""
    program = [sys.executable, "-m", "cli.ec_console", *arguments[:-1], str(endpoint), arguments[-1]]
    return subprocess.run(program, capture_output=True, text=True, cwd=ROOT, timeout=60, **more)  # type: ignore[call-overload]


def carriers(processes: Processes, folder: Path, *names: str) -> list[Process]:
    """Nodes that may carry one VIP; wait until it is carried."""
    file = folder / "vips.conf"
    file.write_text(ONE_VIP)
    nodes = [processes.start("ecnode", name, "-c", str(file)) for name in names]
    wait_until_sync(lambda: "(owned," in ask_sync(nodes[0].endpoint, "cluster duravip show"), "the VIP is carried")
    return nodes


def test_harm_to_nodes_takes_their_number(console: Opened, processes: Processes, folder: Path) -> None:
    manager, nodes = processes.manager(), carriers(processes, folder, "east1", "east2")
    terminal = console(manager.endpoint)
    question = "shutdown on 2 nodes of @all: 1 VIP has nowhere to go. Type 2 to go on:"
    for typed in ("3", "y", ""):
        terminal.type("broadcast shutdown\r")
        terminal.wait_for(question)
        assert terminal.say(typed).endswith("Nothing was sent")
        terminal.say("\\clear")
    assert all(node.popen.poll() is None for node in nodes)
    terminal.type("broadcast shutdown\r")
    wait_until_sync(lambda: terminal.text.count(question) == 4, "the question")
    assert "Broadcast" in terminal.say("2")
    assert [node.popen.wait(60) for node in nodes] == [0, 0]


def test_one_node_is_asked_for_by_name(console: Opened, processes: Processes, folder: Path) -> None:
    manager, (node, _) = processes.manager(), carriers(processes, folder, "east1", "east2")
    terminal = console(manager.endpoint)
    terminal.type("unicast east1 cluster duravip drain east1\r")
    terminal.wait_for("cluster duravip drain east1 on east1")
    terminal.wait_for("Go on? [y/N]")
    assert terminal.say("n").endswith("Nothing was sent")
    on_node = console(node.endpoint)
    on_node.type("shutdown\r")
    on_node.wait_for("shutdown on east1")
    on_node.type("yes\r")
    assert node.popen.wait(60) == 0


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_leaving_the_question_means_no(console: Opened, processes: Processes, key: str) -> None:
    manager = processes.manager()
    terminal = console(manager.endpoint)
    terminal.type("shutdown\r")
    terminal.wait_for("shutdown on this manager. Go on? [y/N]")
    terminal.type(key)
    terminal.wait_for("Nothing was sent")
    terminal.wait_prompt()
    assert terminal.say("pid") == str(manager.popen.pid)


def test_batch_never_asks(processes: Processes) -> None:
    manager = processes.manager()
    assert batch(manager.endpoint, "shutdown").stdout == "Shutting down\n"
    assert manager.popen.wait(60) == 0


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("pid", True),
        ("json info", True),
        ("gather pid", True),
        ("config show", True),
        ("retrieve pid", True),
        ("shutdown", False),
        ("json shutdown", False),
        ("gather reopen logs", False),
        ("gather sieve:s flush cache", False),
        ("config set Debug_Level = 1", False),
        ("sched in 5 pid", False),
        ("flush control cache", False),
        ("nonsense", False),
    ],
)
def test_a_read_only_console_changes_nothing(processes: Processes, line: str, sent: bool) -> None:
    manager = processes.manager()
    processes.node("east1")
    assert batch(manager.endpoint, "gather pid").returncode == 0
    done = batch(manager.endpoint, "--read-only", line)
    if sent:
        assert (done.returncode, done.stderr) == (0, "")
        return
    said = done.stderr or json.loads(done.stdout)["body"] if line.startswith("json") else done.stderr
    assert done.returncode == 1
    assert ("Read-only console: " in said) == (line != "nonsense")
    assert said.count("\n") == (line[:4] != "json" or bool(done.stderr))


def test_the_environment_makes_a_console_read_only(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, console: Opened
) -> None:
    manager = processes.manager()
    monkeypatch.setenv("EC_CONSOLE_READ_ONLY", "1")
    done = batch(manager.endpoint, "shutdown")
    assert done.stderr == "Read-only console: 'shutdown' may change something, so it was not sent\n"
    assert "Read-only console" in console(manager.endpoint).say("shutdown")
    monkeypatch.setenv("EC_CONSOLE_READ_ONLY", "0")
    assert batch(manager.endpoint, "shutdown").returncode == 0
    assert manager.popen.wait(60) == 0


@pytest.mark.asyncio
async def test_read_only_spares_a_daemon_without_describe(folder: Path) -> None:
    async with listening(folder) as listener:
        done = await asyncio.to_thread(batch, Path(listener.path), "--read-only", "echo a")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "Read-only console: this daemon cannot say what a command changes, so nothing is sent to it\n"
        )
        assert (await asyncio.to_thread(batch, Path(listener.path), "echo a")).stdout == "a\n"


@pytest.mark.asyncio
async def test_no_daemon_without_describe_is_asked_about(folder: Path) -> None:
    async with listening(folder) as listener:
        client = Client(Endpoint.parse(str(listener.path)))
        asking = Asking(client, question=lambda _question: "no")
        assert await asyncio.to_thread(asking.refusal, "echo a", time.monotonic() + 60) is None
        client.close()
