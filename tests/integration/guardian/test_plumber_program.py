"""An operator's program that hangs is killed, with the processes that it has started."""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.waiting import wait_until_sync
from worker.guardian import plumber_exec, wire
from worker.guardian.plumber_exec import ExecPlumber

VIP = wire.Address("10.1.1.1", 32, "eth1")


class HangingProgram:
    """Starts children, one of them in a process group of its own, and waits for them. To `check` it says that the
    address is on no interface, and it unplumbs at once."""

    def __init__(self, folder: Path) -> None:
        self.path, self._noted = folder / "plumb", folder / "started"
        self.started: list[psutil.Process] = []
        noted = shlex.quote(str(self._noted))
        self.path.write_text(
            f"#!/bin/sh\n[ $1 = plumb ] || exit 0\nsleep 600 &\necho $! >> {noted}\n"
            f"timeout 600 sleep 600 &\necho $! >> {noted}\nwait\n"
        )
        self.path.chmod(0o755)

    def children(self) -> list[psutil.Process]:
        """The children of the program, once all of them run."""
        wait_until_sync(self._has_grandchild, "the program has started its children")
        first, second = (psutil.Process(int(pid)) for pid in self._noted.read_text().split())
        found = [first, second, *second.children()]
        self.started += found
        return found

    def forget(self) -> None:
        """Forget the children so far."""
        self._noted.unlink()

    def _has_grandchild(self) -> bool:
        pids = self._noted.read_text().split() if self._noted.exists() else []
        return len(pids) == 2 and bool(psutil.Process(int(pids[1])).children())


@pytest.fixture
def hanging(folder: Path) -> Iterator[HangingProgram]:
    made = HangingProgram(folder)
    yield made
    for child in made.started:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


@pytest.fixture
def plumber(hanging: HangingProgram) -> Iterator[ExecPlumber]:
    made = ExecPlumber(str(hanging.path))
    yield made
    made.close()


def have_ended(children: list[psutil.Process]) -> bool:
    return not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def test_plumbing_too_long_ends_with_its_children(
    hanging: HangingProgram, plumber: ExecPlumber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plumber_exec, "_PLUMB_S", 0.0)
    plumber.plumb([VIP], [1])
    children = hanging.children()
    assert plumber.finished() == [(VIP.address, 1, "its program took too long")]
    wait_until_sync(lambda: have_ended(children), "no child of the program runs")


def test_unplumbing_ends_a_plumbing_with_its_children(hanging: HangingProgram, plumber: ExecPlumber) -> None:
    plumber.plumb([VIP], [1])
    children = hanging.children()
    assert plumber.unplumb([VIP]) == ()
    wait_until_sync(lambda: have_ended(children), "no child of the program runs")


def test_closing_ends_a_plumbing_with_its_children(hanging: HangingProgram, plumber: ExecPlumber) -> None:
    plumber.plumb([VIP], [1])
    children = hanging.children()
    plumber.close()
    wait_until_sync(lambda: have_ended(children), "no child of the program runs")


def test_asking_again_leaves_a_plumbing_alone(hanging: HangingProgram, plumber: ExecPlumber) -> None:
    plumber.plumb([VIP], [1])
    children = hanging.children()
    plumber.plumb([VIP], [1])
    assert plumber.finished() == []
    assert list(plumber._runs) == [VIP.address]
    assert not have_ended(children)
    hanging.forget()
    plumber.plumb([VIP], [2])
    wait_until_sync(lambda: have_ended(children), "the plumbing for an earlier epoch has ended")
    assert plumber._runs[VIP.address][1] == 2
    hanging.children()
