"""Locked options of real daemons: no command gives the daemons a program, in whatever way the command comes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemons import ROOT, Process, Processes, ask_sync
from tests.waiting import wait_until_sync

pytestmark = [pytest.mark.usefixtures("nothing_left"), pytest.mark.timeout(120)]

PROGRAM = 'config set exec "x" commands [ run = "/usr/bin/touch {mark}" ]'
FILE = """exec "ok" {{ commands = [ hello = "echo hello" ] }}
cluster {{ fence = none  plumber = memory }}
Local_Changes_File = "{folder}/local.conf"
"""


@pytest.fixture
def main(folder: Path) -> Path:
    """The main file of both daemons."""
    (folder / "etc").mkdir()
    (folder / "etc/main.conf").write_text(FILE.format(folder=folder))
    return folder / "etc/main.conf"


@pytest.fixture
def manager_and_node(processes: Processes, main: Path) -> tuple[Process, Process]:
    """A manager and a node with the same file."""
    return processes.manager("barca", "-c", str(main)), processes.node("east1", "default", "-c", str(main))


def test_no_carrier_gives_a_daemon_a_program(
    manager_and_node: tuple[Process, Process], folder: Path, main: Path
) -> None:
    manager, node = manager_and_node
    line = PROGRAM.format(mark=folder / "mark")
    said = f"exec:x:commands is locked: change it in {main} or a file that it includes, then config reload"
    for daemon in manager_and_node:
        assert ask_sync(daemon.endpoint, "exec:ok hello") == "hello"
        assert ask_sync(daemon.endpoint, line) == said
        assert said in ask_sync(daemon.endpoint, f"json {line}")
        assert 'event="locked option not changed"' in daemon.log
    logged = node.log.count("locked option not changed")
    assert f"east1: failed: {said}" in ask_sync(manager.endpoint, f"gather {line}")
    assert f"east1: failed: {said}" in ask_sync(manager.endpoint, f"gather east1 {line}")
    ask_sync(manager.endpoint, f"unicast east1 {line}")
    wait_until_sync(lambda: node.log.count("locked option not changed") == logged + 3, "the node refuses it each time")
    ask_sync(manager.endpoint, f"sched in 1 {line}")
    wait_until_sync(lambda: said in ask_sync(manager.endpoint, "sched history"), "the manager refuses it")
    assert 'event="scheduled command failed"' in manager.log
    assert not (folder / "mark").exists()


def test_locked_options_follow_the_main_file(manager_and_node: tuple[Process, Process], main: Path) -> None:
    main.write_text(main.read_text().replace("echo hello", "echo good day"))
    for daemon in manager_and_node:
        assert ask_sync(daemon.endpoint, "config reload") == "Reconfigured"
        assert ask_sync(daemon.endpoint, "exec:ok hello") == "good day"


def test_local_changes_give_no_program(manager_and_node: tuple[Process, Process], folder: Path) -> None:
    manager, _ = manager_and_node
    (folder / "local.conf").write_text('exec "x" { commands = [ id = "id" ] }\nMessage_Expiration = 5\n')
    assert ask_sync(manager.endpoint, "config reload") == "Reconfigured"
    assert ask_sync(manager.endpoint, "config get Message_Expiration") == "Message_Expiration = 5"
    assert "No module 'exec:x'" in ask_sync(manager.endpoint, "exec:x id")
    ignored = f"{folder}/local.conf:1:1: exec, which is locked, is ignored in the Local_Changes_File"
    assert ignored in ask_sync(manager.endpoint, "info")
    assert ignored in manager.log


def test_check_names_what_is_locked_or_ignored(main: Path, folder: Path) -> None:
    def check() -> subprocess.CompletedProcess[str]:
        program = "from cli.ecnode import main; main()"
        command = [sys.executable, "-c", program, "--check", "-c", str(main)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    (folder / "local.conf").write_text("cluster { fence = auto }\n")
    assert f"Warning: {folder}/local.conf:1:11: fence, which is locked, is ignored" in check().stderr
    main.chmod(0o646)
    done = check()
    assert done.returncode == 1
    assert f"{main}:1:1: exec is locked, and not taken from a file if others than root may write it" in done.stderr


def test_check_warns_of_an_unanchored_pattern(folder: Path) -> None:
    main = folder / "roles.conf"
    main.write_text('Authorization { Role "users" { allow = ( "uptime" "^pid$" ".*" ) } }\n')
    command = [sys.executable, "-c", "from cli.eccmgr import main; main()", "--check", "-c", str(main)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    (warning,) = [line for line in done.stderr.splitlines() if "allows every command" in line]
    assert "'uptime' allows every command that holds it, also behind broadcast; ^uptime?" in warning
