"""The parent starts agent and guardian with the right privileges, and starts each again when it ends."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

import psutil
import pytest

from tests.waiting import wait_until_sync
from worker.guardian.parent import Pause

PARENT = """
import sys
from worker.guardian.parent import Parent
user, *agent = sys.argv[1:]
sys.exit(Parent(agent, user, "", lambda event, **more: print(event, more, file=sys.stderr)).run())
"""
AGENT = """
import os, sys
from worker.guardian import wire
from worker.guardian.launch import find_guardians
guardians = find_guardians()
def another():
    end = guardians.another()
    end.setblocking(True)
    end.sendall(wire.encode(wire.Configure((), plumber="memory")))
    assert isinstance(wire.decode(end.recv(4096)), wire.Ready)
    print("ready", os.getpid(), flush=True)
    return end
end = another()
for line in sys.stdin:
    old, end = end, another()
"""


@contextlib.contextmanager
def parent(agent: Sequence[str], user: str = "") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PARENT, user, *agent]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=os.getcwd()
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            children = psutil.Process(process.pid).children() if process.poll() is None else []
            process.wait(20)
            assert not [each for each in children if each.is_running()]


def ready(process: subprocess.Popen[str]) -> int:
    """Wait until the agent has a guardian that serves; return the agent's process id."""
    assert process.stdout is not None
    word, pid = process.stdout.readline().split()
    assert word == "ready"
    return int(pid)


def guardians(process: subprocess.Popen[str]) -> set[int]:
    """The process ids of the running guardians."""
    found = set()
    for each in psutil.Process(process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if each.status() != psutil.STATUS_ZOMBIE and "worker.guardian" in each.cmdline():
                found.add(each.pid)
    return found


def test_agent_has_a_guardian_and_a_spare() -> None:
    with parent([sys.executable, "-c", AGENT]) as process:
        ready(process)
        wait_until_sync(lambda: len(guardians(process)) == 2, "one serves, one is spare")


def test_agent_asking_for_another_guardian_replaces_the_old() -> None:
    with parent([sys.executable, "-c", AGENT]) as process:
        agent = ready(process)
        before = guardians(process)
        assert process.stdin is not None
        process.stdin.write("another\n")
        process.stdin.flush()
        assert ready(process) == agent
        wait_until_sync(lambda: len(guardians(process)) == 2, "one serves, one is spare")
        assert guardians(process) != before


def test_killed_agent_restarts_with_its_own_guardian() -> None:
    with parent([sys.executable, "-c", AGENT]) as process:
        agent = ready(process)
        before = guardians(process)
        os.kill(agent, signal.SIGKILL)
        assert ready(process) != agent
        wait_until_sync(lambda: len(guardians(process)) == 2, "one serves, one is spare")
        assert guardians(process) - before


def test_a_spare_that_was_killed_is_replaced() -> None:
    with parent(["sleep", "60"]) as process:
        wait_until_sync(lambda: len(guardians(process)) == 1, "a spare waits")
        (spare,) = guardians(process)
        os.kill(spare, signal.SIGKILL)
        wait_until_sync(lambda: len(guardians(process) - {spare}) == 1, "another waits")


BARE_AGENT = """
from worker.guardian.launch import NoGuardian, find_guardians
guardians = find_guardians()
for _ in range(2):
    try:
        guardians.another()
    except NoGuardian as error:
        print(error, flush=True)
"""


def test_guardian_that_cannot_start_is_reported_to_agent() -> None:
    broken = PARENT.replace("sys.exit(", "sys.executable = '/no/such/python'\nsys.exit(")
    command = [sys.executable, "-c", broken, "", sys.executable, "-c", BARE_AGENT]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    why = "the guardian does not start: [Errno 2] No such file or directory: '/no/such/python'\n"
    assert (done.stdout, done.returncode) == (2 * why, 0)
    assert "a guardian does not start; that is tried again" in done.stderr


def test_agent_that_ends_cleanly_ends_everything() -> None:
    with parent(["true"]) as process:
        assert process.wait(20) == 0


def test_agent_runs_as_the_configured_user() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    with parent(["id", "-u"], user="nobody") as process:
        said, _ = process.communicate(timeout=20)
    assert said == "65534\n"
    assert process.returncode == 0


def test_missing_user_is_an_error() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    command = [sys.executable, "-c", PARENT, "no-such-user", "true"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "there is no user no-such-user" in done.stderr


def test_short_lives_lengthen_pauses_until_a_long_one() -> None:
    pause = Pause()
    assert [pause.after(0.0) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert [pause.after(60.0), pause.after(0.0)] == [0.1, 0.2]
