"""Completion of the programs' command lines by a shell."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemons import ROOT, Processes

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")

MODULES = {
    "ec_console": "cli.ec_console",
    "eccmgr": "cli.eccmgr",
    "eccmgr_ctl": "cli.eccmgr_ctl",
    "ecnode": "cli.ecnode",
    "ec_scrampasswd": "cli.scrampasswd",
}
LISTENING_ECNODE = """
import socket, sys
with socket.socket(socket.AF_UNIX) as listening:
    listening.bind(sys.argv[1])
    listening.listen()
    print("listening", flush=True)
    sys.stdin.read()
"""


def call(program: str) -> list[str]:
    return [sys.executable, "-c", f"from {MODULES[program]} import main; main()"]


def offered(program: str, *words: str, **environment: str) -> list[str]:
    """The words that bash would offer in place of the last of `words`."""
    asked = {"COMP_WORDS": "\n".join((program, *words)), "COMP_CWORD": str(len(words))}
    done = subprocess.run(
        call(program),
        cwd=ROOT,
        env={**os.environ, **environment, **asked, f"_{program.upper()}_COMPLETE": "complete_bash"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_shell_completes_options_of_every_program() -> None:
    for program in MODULES:
        assert "--version" in offered(program, "--v"), program
    assert offered("eccmgr", "key") == ["keygen"]
    assert "status" in offered("eccmgr_ctl", "st")
    assert offered("ec_console", "version", "--f") == []


def test_shell_completes_endpoints_and_commands(processes: Processes) -> None:
    endpoint = str(processes.manager().endpoint)
    found = processes.folder / "found"
    named = ["bash", "-c", 'exec -a ecnode "$@"', "bash", sys.executable, "-c", LISTENING_ECNODE, str(found)]
    with subprocess.Popen(named, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ecnode:
        assert ecnode.stdout is not None
        assert ecnode.stdout.readline() == b"listening\n"
        assert offered("ec_console", str(found)[:-2]) == [str(found)]
        assert ecnode.stdin is not None
        ecnode.stdin.close()
    assert offered("ec_console", endpoint, "retrieve_") == ["retrieve_node"]
    assert "cluster" in offered("ec_console", "--json", endpoint, "--timeout", "5", "show", "")
    assert offered("ec_console", endpoint, "gather", "--bat") == ["--batch"]
    assert offered("ec_console", "subcluster", "ret", EC_CONSOLE_ENDPOINT=endpoint) == ["retrieve"]


def test_completion_without_a_listener_is_silent(folder: Path) -> None:
    assert offered("ec_console", str(folder / "nobody"), "ver") == []
    assert offered("ec_console", "user@host:1", "ver") == []
    assert "--fold" in offered("ec_console", "--ca", "x", "--f")


@pytest.mark.parametrize("shell", [name for name in ("bash", "zsh", "fish") if shutil.which(name)])
def test_completion_is_installed_for_the_users_shell(folder: Path, shell: str) -> None:
    for program in MODULES:
        done = subprocess.run(
            [shell, "-c", f"{shlex.join(call(program))} --install-completion; true"],
            cwd=ROOT,
            env={**os.environ, "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert f"{shell} completion installed in {folder}" in done.stdout, done.stdout + done.stderr
