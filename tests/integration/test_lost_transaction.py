"""A transaction is lost with its connection: no change that was meant for it goes live."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from eccmgr.control.client.session import Client as ConsoleClient
from eccmgr.control.endpoint import Endpoint
from eccmgr.errors import TransactionLost
from tests.daemons import ROOT, Process, Processes, ask_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")

IMPATIENT = "Control_Listener { Timeout = 0.2 }\n"


@pytest.fixture
def manager(processes: Processes, folder: Path) -> Process:
    """A manager that closes idle connections soon."""
    (folder / "main.conf").write_text(IMPATIENT)
    return processes.manager("barca", "-c", str(folder / "main.conf"))


@pytest.fixture
def lines(manager: Process) -> Iterator["subprocess.Popen[str]"]:
    """Run a console with these lines."""
    command = [sys.executable, "-m", "cli.ec_console", str(manager.endpoint)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as console:
        yield console
        console.kill()


def soon() -> float:
    """The deadline for one command."""
    return time.monotonic() + 30


def say(console: "subprocess.Popen[str]", line: str) -> None:
    assert console.stdin is not None
    console.stdin.write(f"{line}\n")
    console.stdin.flush()


def answer(console: "subprocess.Popen[str]") -> str:
    assert console.stdout is not None
    return console.stdout.readline()


def test_connection_with_open_transaction_is_not_idle(manager: Process) -> None:
    idle, busy = (ConsoleClient(Endpoint(path=str(manager.endpoint))) for _ in range(2))
    try:
        for client, command in ((busy, "config begin"), (idle, "version")):
            client.ask(command, soon())
        connection = idle._socket
        assert connection is not None
        assert connection.recv(1) == b""
        assert busy.ask("config set Blackhole true", soon()).body == "Blackhole = true"
        assert busy.ask("config commit", soon()).body == "Committed 1 change"
        connection = busy._socket
        assert connection is not None
        assert connection.recv(1) == b""
    finally:
        idle.close()
        busy.close()


def test_lines_meant_for_a_lost_transaction_do_nothing(
    manager: Process, lines: "subprocess.Popen[str]", processes: Processes, folder: Path
) -> None:
    for line, said in (("config begin", "Transaction begun\n"), ("config set Blackhole true", "Blackhole = true\n")):
        say(lines, line)
        assert answer(lines) == said
    assert manager.end() == 0
    again = processes.manager("barca", "-c", str(folder / "main.conf"))
    for line in ("config set Suspend_Delivery true", "config set Message_Expiration 7", "config commit"):
        say(lines, line)
    said, problems = lines.communicate(timeout=30)
    assert (said, lines.returncode) == ("", 1)
    assert problems.count("The transaction that was open is lost") == 3
    assert "nothing was done. Begin it anew." in problems
    for option in ("Suspend_Delivery", "Message_Expiration", "Blackhole"):
        assert "is not set" in ask_sync(again.endpoint, f"config get {option}")


def test_next_command_reports_the_lost_transaction(manager: Process, processes: Processes, folder: Path) -> None:
    client = ConsoleClient(Endpoint(path=str(manager.endpoint)))
    try:
        client.ask("config begin", soon())
        assert manager.end() == 0
        processes.manager("barca", "-c", str(folder / "main.conf"))
        assert "version" in client.ask("version", soon()).body
        with pytest.raises(TransactionLost):
            client.ask("config set Blackhole true", soon())
        assert "is not set" in client.ask("config get Blackhole", soon()).body
        assert client.ask("config begin", soon()).body == "Transaction begun"
        assert client.ask("config rollback", soon()).body == "Rolled back 0 commands"
    finally:
        client.close()
