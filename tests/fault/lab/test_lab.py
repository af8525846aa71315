"""The laboratory itself: it observes and separates as it should, and leaves nothing behind."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.lab.faults import LinkDown, Move, Partition
from tests.fault.lab.hosts import ROOT, Lab, Namespace, made_or_skipped
from tests.fault.lab.scene import Scene, play
from tests.fault.lab.toy import Toy
from tests.fault.lab.watch import Watch
from tests.waiting import wait_until_sync

NODES = ("east1", "east2")


@pytest.fixture
def lab(folder: Path) -> Iterator[Lab]:
    with made_or_skipped(folder, (*NODES, "client")) as made:
        yield made


@pytest.fixture
def scene(lab: Lab) -> Iterator[Scene]:
    toy = Toy(lab, NODES)
    toy.start()
    with Watch(lab, toy.vips, NODES) as watch:
        yield Scene(lab, toy, watch, random.Random(1))


def test_clean_move_is_lawful_and_its_gap_seen(scene: Scene) -> None:
    outcome = play(scene, Move(observe_s=0.5))
    assert outcome.lawful
    assert outcome.ended
    assert outcome.outage > 0
    assert outcome.taken is not None


def test_two_holders_are_seen_while_both_answer(scene: Scene) -> None:
    scene.system = Toy(scene.lab, NODES, careless_s=0.5)
    outcome = play(scene, Move(observe_s=0.2))
    assert not outcome.lawful
    assert outcome.twice > 0
    # The lab sleeps at least that long. The known time is short by a round at each end.
    assert outcome.overlap > 450


def test_without_a_fault_nothing_is_silent(scene: Scene) -> None:
    holders = scene.watch.settle()
    assert holders == dict.fromkeys(scene.system.vips, "east1")


def test_hosts_holdings_are_noted_as_they_change(scene: Scene) -> None:
    scene.watch.settle()
    vip = scene.system.vips[0]
    scene.system.move(vip, "east1", "east2")
    scene.lab.hosts["east1"].run("nft", "add", "table", "inet", "touched")
    noted = {name: scene.lab.folder / f"{name}-holding" for name in NODES}
    wait_until_sync(lambda: "touched" in noted["east1"].read_text(), "the change of nftables is noted")
    assert [line.split()[0::2] for line in noted["east1"].read_text().splitlines() if vip in line] == [["-", vip]]
    assert [line.split()[0::2] for line in noted["east2"].read_text().splitlines() if vip in line] == [["+", vip]]


def test_pulled_cable_silences_the_hosts_addresses(scene: Scene) -> None:
    outcome = play(scene, LinkDown(observe_s=1.0))
    assert outcome.lawful
    assert outcome.outage > 900
    assert outcome.unanswered > 900
    assert outcome.taken is None


def test_silent_partition_separates_owner_from_peers_only(scene: Scene) -> None:
    class Looking(Partition):
        def strike(self, scene: Scene) -> None:
            super().strike(scene)
            reached.append(_reaches(scene.lab, "east2", "east1"))
            reached.append(_reaches(scene.lab, "client", "east1"))

        def heal(self, scene: Scene) -> None:
            super().heal(scene)
            reached.append(_reaches(scene.lab, "east2", "east1"))

    reached: list[bool] = []
    outcome = play(scene, Looking(observe_s=0.2))
    assert reached == [False, True, True]
    assert outcome.outage < 1000


def _reaches(lab: Lab, name: str, other: str) -> bool:
    said = lab.hosts[name].run("arping", "-c", "1", "-w", "1", "-I", "eth0", lab.address(other), check=False)
    return "Received 1 response" in said


def test_returning_host_is_new_under_old_addresses(lab: Lab) -> None:
    before = lab.hosts["east1"]
    lab.remove("east1")
    again = lab.add("east1")
    assert again.pid != before.pid
    assert lab.address("east1") in again.run("ip", "-4", "addr", "show", "dev", "eth0")
    assert _reaches(lab, "east2", "east1")


def test_processes_of_a_host_are_distinguished_from_others(lab: Lab, folder: Path) -> None:
    started = [lab.hosts[name].start("sleep", "30.5", log=folder / "log") for name in NODES]
    lab.hosts["east1"].start("tail", "-f", "/dev/null", log=folder / "log")
    wait_until_sync(lambda: len(lab.hosts["east1"].pids("tail -f")) == 1, "it runs")
    assert lab.hosts["east2"].pids("tail -f") == []
    lab.hosts["east1"].kill("tail -f")
    assert lab.hosts["east1"].pids("tail -f") == []
    lab.__exit__()
    assert all(each.wait(10) for each in started)


_MAKES_A_LAB = """
import pathlib, sys
from tests.fault.lab.hosts import Lab
with Lab(pathlib.Path(sys.argv[1]), ("east1",)) as lab:
    lab.hosts["east1"].start("tail", "-f", "/dev/null", log=pathlib.Path(sys.argv[1]) / "log")
    print(lab.switch.pid, lab.hosts["east1"].pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_however_the_lab_ends(lab: Lab, folder: Path, number: signal.Signals) -> None:
    program = [sys.executable, "-c", _MAKES_A_LAB, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(program, cwd=ROOT, text=True, **pipes) as other:
        assert other.stdout is not None
        firsts = [int(each) for each in other.stdout.readline().split()]
        spaces = {os.readlink(f"/proc/{pid}/ns/pid") for pid in firsts}
        other.send_signal(number)
    wait_until_sync(lambda: not spaces & set(_spaces()), "all of its processes are gone")


def _spaces() -> Iterator[str]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                yield os.readlink(f"/proc/{entry.name}/ns/pid")
            except OSError:
                continue


def test_hosts_words_on_a_failed_command_are_told(lab: Lab) -> None:
    with pytest.raises(RuntimeError, match="east1: ip link set nothere up"):
        lab.hosts["east1"].run("ip", "link", "set", "nothere", "up")


def test_host_ends_with_its_stopped_processes(lab: Lab, folder: Path) -> None:
    host = Namespace("alone")
    started = host.start("tail", "-f", "/dev/null", log=folder / "log")
    wait_until_sync(lambda: bool(host.pids("tail -f")), "it runs")
    host.signal(signal.SIGSTOP, host.pids("tail -f"))
    host.end()
    assert started.wait(10) != 0
