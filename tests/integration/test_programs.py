"""The programs, started as people start them: flags, environment, exit codes, a clean end."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cli.demo import demonstration
from eccmgr.redis.embedded import EmbeddedServer
from tests.daemons import ROOT, Processes, ask_sync
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")


def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-c", f"from cli.{program} import main; main()", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_node_takes_over_a_name_only_when_told(processes: Processes) -> None:
    old = processes.node("east1")
    refused = processes.start("ecnode", "EAST1", wait=False)
    assert refused.popen.wait(30) == 1
    assert "take over with --replace" in refused.log
    new = processes.node("EAST1", "default", "--replace")
    wait_until_sync(lambda: "is in use by #ec0-" in old.log, "the old one says who has its name")
    assert old.end() == new.end() == 0


@pytest.mark.parametrize("program", ["eccmgr", "ecnode"])
def test_capital_v_prints_the_banner(program: str) -> None:
    done = run(program, "-V")
    assert done.returncode == 0
    assert re.search(rf"^# {program} version: .*\n", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("program", "flags", "said"),
    [
        ("eccmgr", ["--redis", "http://x"], "The URL of Redis must be redis://HOST:PORT/DB"),
        ("eccmgr", ["--cluster", "a b"], "Cluster name 'a b': 1-63 of A-Z"),
        ("eccmgr", ["--listen", "nowhere"], "Endpoint 'nowhere' is not /PATH, HOST:PORT or [V6]:PORT"),
        ("ecnode", ["--name", "-x"], "Node name '-x': 1-63 of A-Z"),
        ("ecnode", ["--subcluster", "a/b"], "Subcluster name 'a/b': 1-63 of A-Z"),
    ],
)
def test_invalid_flag_is_one_clear_line(program: str, flags: list[str], said: str) -> None:
    done = run(program, *flags)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{program}: {said}")
    assert done.stderr.count("\n") == 1


def test_a_variable_that_makes_no_sense_is_named(environment: pytest.MonkeyPatch) -> None:
    done = run("eccmgr", ECCMGR_VERBOSE="loud")
    assert done.returncode == 2
    assert done.stderr.startswith("eccmgr: ECCMGR_VERBOSE: ")
    assert done.stderr.count("\n") == 1


def test_unreadable_configuration_file_is_a_clear_error(folder: Path) -> None:
    done = run("eccmgr", "-c", str(folder / "none.conf"))
    assert done.returncode == 1
    assert done.stderr == f"{folder / 'none.conf'}:1:1: cannot be read: No such file or directory, expected a file\n"


def test_the_flag_wins_over_the_environment(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECCMGR_SUBCLUSTER", "west")
    flagged = processes.start("ecnode", "east1", "--subcluster", "east")
    answer = ask_sync(flagged.endpoint, "cluster membership")
    assert "Subcluster: east" in answer


def test_every_flag_may_come_from_the_environment(redis_server: EmbeddedServer, processes: Processes) -> None:
    endpoint = processes.folder / "from-environment"
    with subprocess.Popen(
        [sys.executable, "-c", "from cli.ecnode import main; main()"],
        cwd=ROOT,
        env={
            **os.environ,
            "ECCMGR_REDIS": redis_server.url,
            "ECCMGR_CLUSTER": processes.cluster,
            "ECCMGR_NAME": "west7",
            "ECCMGR_SUBCLUSTER": "west",
            "ECCMGR_LISTEN": f"{endpoint}, 127.0.0.1:0",
        },
        stderr=subprocess.PIPE,
        text=True,
    ) as node:
        try:
            assert node.stderr is not None
            while "event=ready" not in (line := node.stderr.readline()):
                assert line, "the node ended"
            port = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert port is not None
            membership = ask_sync(endpoint, "cluster membership")
        finally:
            node.terminate()
    assert "Node Name: west7\nSubcluster: west" in membership
    assert f"Address: 127.0.0.1:{port[1]}" in membership


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("program", ["eccmgr", "ecnode"])
def test_a_daemon_ends_cleanly_on_a_signal(processes: Processes, program: str, number: signal.Signals) -> None:
    witness = processes.manager("witness")
    daemon = processes.start(program, "one")
    assert daemon.end(number) == 0
    assert "event=left" in daemon.log
    assert not daemon.endpoint.exists()
    assert "#one<" not in ask_sync(witness.endpoint, "show cluster membership")


def test_the_log_is_one_structured_line_an_event(processes: Processes) -> None:
    node = processes.node("east1")
    processes.manager("barca")
    node.end()
    for line in node.log.splitlines():
        assert re.match(r"time=\S+Z level=(debug|info|warning|error) program=ecnode event=", line), line


def test_second_daemon_does_not_steal_the_firsts_socket(processes: Processes) -> None:
    first = processes.manager("barca")
    second = processes.start("eccmgr", "barca", wait=False)
    assert second.popen.wait(30) == 1
    assert f"{first.endpoint} is in use by pid {first.popen.pid}" in second.log
    assert "eccmgr version:" in ask_sync(first.endpoint, "version")


def test_second_node_with_a_live_name_is_refused(processes: Processes) -> None:
    processes.node("east1")
    other = processes.folder / "other"
    second = processes.start("ecnode", "EAST1", "--listen", str(other), wait=False)
    assert second.popen.wait(30) == 1
    assert "Node name 'EAST1' is in use by #ec0-" in second.log
    assert "which is alive" in second.log


def test_killed_node_may_restart_under_its_name(processes: Processes) -> None:
    manager = processes.manager()
    processes.node("east1").end(signal.SIGKILL)
    again = processes.start("ecnode", "east1", "--listen", str(processes.folder / "again"))
    assert "event=ready" in again.log
    assert "1 of 1 answered" in ask_sync(manager.endpoint, "gather pid")


def test_shutdown_is_answered_and_then_the_daemon_ends(processes: Processes) -> None:
    manager, node = processes.manager(), processes.node("east1")
    assert "east1: Shutting down" in ask_sync(manager.endpoint, "gather shutdown")
    assert node.popen.wait(30) == 0
    assert ask_sync(manager.endpoint, "shutdown") == "Shutting down"
    assert manager.popen.wait(30) == 0


def test_manager_starts_without_redis_and_recovers(folder: Path) -> None:
    server = EmbeddedServer(folder / "redis")
    processes = Processes(server.url, "lonely", folder)
    try:
        manager = processes.manager()
        assert "redis unreachable" in manager.log
        assert "eccmgr version:" in ask_sync(manager.endpoint, "version")
        assert ask_sync(manager.endpoint, "broadcast pid").startswith("Redis is not reachable: No such file")
        assert "Redis: not reachable: " in ask_sync(manager.endpoint, "info")
        node = processes.node("east1")
        assert "pid" in ask_sync(node.endpoint, "help")
        assert ask_sync(node.endpoint, "cluster membership").startswith("Redis is not reachable: ")
        server.start()
        wait_until_sync(lambda: "1 of 1 answered" in ask_sync(manager.endpoint, "gather pid"), "both are back")
    finally:
        processes.end()
        server.stop()


class TestDemonstration:
    """`python -m cli.demo` without a terminal."""

    def test_it_plays_the_tour_and_leaves_nothing(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "cli.demo"],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": "/tmp"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "east3: (lost)" in done.stdout
        assert "Flushed 3 commands" in done.stdout
        endpoint = re.search(r" (/tmp/eccmgr-demo-\S+)/manager> ", done.stdout)
        assert endpoint is not None
        assert not Path(endpoint[1]).exists()

    def test_signed_it_shows_forgeries_refused(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "cli.demo", "--signed"],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": "/tmp"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count('reason="it is not signed"') == 5
        assert "west1: failed: not authentic: its seal does not fit" in done.stdout
        endpoint = re.search(r" (/tmp/eccmgr-demo-\S+)/manager> ", done.stdout)
        assert endpoint is not None
        assert not Path(endpoint[1]).exists()

    def test_unknown_child_ends_with_the_demonstration(self) -> None:
        with demonstration():
            stray = subprocess.Popen(["sleep", "600"])
        assert not psutil.pid_exists(stray.pid)
        stray.wait()

    def test_interrupted_it_leaves_nothing(self) -> None:
        with subprocess.Popen(
            [sys.executable, "-m", "cli.demo"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as demo:
            assert demo.stdout is not None
            while "info" not in (line := demo.stdout.readline()):
                assert line, "the demonstration ended by itself"
            children = psutil.Process(demo.pid).children(recursive=True)
            endpoint = re.search(r" (\S+/eccmgr-demo-\S+)/manager> ", line)
            demo.send_signal(signal.SIGINT)
            demo.stdout.read()
            assert demo.wait(30) == 128 + signal.SIGINT
        assert endpoint is not None
        assert not Path(endpoint[1]).exists()
        assert len(children) >= 7
        assert not [child for child in children if _runs(child)]


def _runs(process: psutil.Process) -> bool:
    """Whether a process runs. A zombie does not: its parent may have ended first, and has left it to init."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
