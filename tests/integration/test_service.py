"""The manager as a service: `eccmgr_ctl` starts it in the background, shows its status, and ends it."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.health import is_healthy
from eccmgr.control.client.nearby import Nearby, nearby
from tests.daemons import ROOT, ask_sync
from tests.waiting import wait_until_sync

_STRANGER = """
import os, socket, sys
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as listening:
    listening.bind(sys.argv[1])
    listening.listen()
    sys.stdin.read()
"""
pytestmark = pytest.mark.usefixtures("nothing_left", "environment")


class Control:
    """`eccmgr_ctl` with a pid file and a log in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.endpoint = folder / "m"
        self.log = folder / "log" / "eccmgr.log"
        self.pid_file = folder / "run" / "eccmgr.pid"

    def __call__(self, action: str, *flags: str) -> subprocess.CompletedProcess[str]:
        files = ("--pid-file", str(self.pid_file), "--log", str(self.log))
        return subprocess.run(
            [sys.executable, "-c", "from cli.eccmgr_ctl import main; main()", *files, action, *flags],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def start(self) -> int:
        """Start a manager without Redis; return its process id."""
        done = self("start", "--", "--listen", str(self.endpoint), "--redis", "redis://127.0.0.1:1/0")
        found = re.fullmatch(r"eccmgr is running \(pid (\d+)\)\n", done.stdout)
        assert found is not None, done.stderr
        return int(found[1])


@pytest.fixture
def control(folder: Path) -> Iterator[Control]:
    made = Control(folder)
    yield made
    made("stop")


def test_a_daemon_is_healthy_while_it_answers(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    def here(_server_user: str) -> list[Nearby]:
        return [each for each in nearby(str(control.endpoint).__eq__) if each.endpoint.path]

    assert not is_healthy(here)
    pid = control.start()
    assert is_healthy(here)
    os.kill(pid, signal.SIGSTOP)
    try:
        assert not is_healthy(here, timeout_s=0.2)
    finally:
        os.kill(pid, signal.SIGCONT)
    absent, well, stopped = capsys.readouterr().out.splitlines()
    assert absent.startswith("No eccmgr or ecnode is seen to listen here")
    assert well == f"eccmgr at {control.endpoint}: answers"
    assert stopped.startswith(f"eccmgr at {control.endpoint}: No answer in time")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_strangers_daemon_makes_nothing_healthy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.chmod(0o1777)
    (folder / "eccmgr").write_text(_STRANGER)
    path = folder / "2025"
    with subprocess.Popen([sys.executable, folder / "eccmgr", path], stdin=subprocess.PIPE) as stranger:
        wait_until_sync(lambda: len(nearby(str(path).__eq__)) > 0, "the stranger listens")
        assert not is_healthy(lambda _: [each for each in nearby(str(path).__eq__) if each.endpoint.path])
        stranger.kill()
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(
        f"eccmgr at {path}: not asked: Not connected to {path}: it is served by nobody, not by root"
    )
    assert second.startswith("No eccmgr or ecnode is seen to listen here")


def test_it_is_started_told_about_and_ended(control: Control) -> None:
    done = control("status")
    assert (done.stdout, done.returncode) == ("eccmgr is not running\n", 3)
    pid = control.start()
    assert "eccmgr version:" in ask_sync(control.endpoint, "version")
    done = control("status")
    assert (done.stdout, done.returncode) == (f"eccmgr is running (pid {pid})\n", 0)
    done = control("stop")
    assert (done.stdout, done.returncode) == (f"eccmgr has ended (pid {pid})\n", 0)
    assert not control.endpoint.exists()
    assert (control("stop").stdout, control("status").returncode) == ("eccmgr is not running\n", 3)


def test_a_second_start_leaves_the_first_alone(control: Control) -> None:
    pid = control.start()
    assert control("start").stdout == f"eccmgr is running already (pid {pid})\n"
    assert control("status").stdout == f"eccmgr is running (pid {pid})\n"


def test_a_restart_is_another_process_and_takes_flags(control: Control) -> None:
    before = control.start()
    done = control("restart", "--", "--listen", str(control.endpoint), "--redis", "redis://127.0.0.1:1/0")
    assert done.returncode == 0
    assert f"eccmgr has ended (pid {before})" in done.stdout
    assert f"(pid {before})" not in done.stdout.splitlines()[-1]


def test_what_fails_at_the_start_is_said(control: Control) -> None:
    done = control("start", "--", "--redis", "nonsense")
    assert done.returncode == 1
    assert "eccmgr ended with exit code 2" in done.stderr
    assert "The URL of Redis must be" in done.stderr
    assert control("status").returncode == 3


def test_killed_managers_process_id_misleads_no_command(control: Control) -> None:
    pid = control.start()
    os.kill(pid, signal.SIGKILL)
    wait_until_sync(lambda: control("status").returncode == 3, "the lock is free")
    control.pid_file.write_text(f"{os.getpid()}\n")
    assert control("status").stdout == "eccmgr is not running\n"
    assert control("stop").stdout == "eccmgr is not running\n"
    control.start()


def test_readiness_is_told_to_whoever_started_it(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(folder / "notify"))
        listener.settimeout(60)
        with subprocess.Popen(
            [sys.executable, "-c", "from cli.ecnode import main; main()", "--listen", str(folder / "n")],
            cwd=ROOT,
            env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "ECCMGR_REDIS": "redis://127.0.0.1:1/0"},
            stderr=subprocess.DEVNULL,
        ) as daemon:
            assert listener.recv(100) == b"READY=1"
            assert "ecnode version:" in ask_sync(folder / "n", "version")
            daemon.terminate()
            assert listener.recv(100) == b"STOPPING=1"


def test_the_service_manager_hears_that_it_lives(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(folder / "notify"))
        listener.settimeout(60)
        asked = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "300000", "WATCHDOG_PID": "1"}
        with subprocess.Popen(
            [sys.executable, "-c", "from cli.ecnode import main; main()", "--listen", str(folder / "n")],
            cwd=ROOT,
            env={**os.environ, **asked, "ECCMGR_REDIS": "redis://127.0.0.1:1/0"},
            stderr=subprocess.DEVNULL,
        ) as daemon:
            try:
                while (sign := listener.recv(100)) != b"READY=1":
                    assert sign == b"WATCHDOG=1"
                assert [listener.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            finally:
                daemon.terminate()


@pytest.mark.parametrize(("program", "file"), [("eccmgr", "eccluster.conf"), ("ecnode", "ecelerity-cluster.conf")])
def test_the_samples_that_are_shipped_have_no_faults(program: str, file: str) -> None:
    path = ROOT / "ops" / "etc" / file
    done = subprocess.run(
        [sys.executable, "-c", f"from cli.{program} import main; main()", "--check", "-c", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (f"{path}: no faults\n", "", 0)
