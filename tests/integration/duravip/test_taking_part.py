"""Nodes on real hosts take part in carrying VIPs. A node that cannot gives the reason and leaves the VIPs to others."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import ask_sync
from tests.fault.lab.hosts import Lab, made_or_skipped
from tests.fault.lab.nodes import FAST, Nodes
from tests.fault.lab.redis_host import SERVER, LabRedis
from tests.waiting import wait_until_sync

NODES = ("east1", "east2")
VIPS = ("10.77.1.1", "10.77.1.2")
WITHOUT = {
    "CAP_NET_ADMIN": "it may not change addresses (Operation not permitted): that takes CAP_NET_ADMIN",
    "CAP_NET_RAW": "it may not announce addresses (Operation not permitted): that takes CAP_NET_RAW",
}
pytestmark = pytest.mark.timeout(180)


class Hosts:
    """Two hosts for nodes, and one for Redis and a manager."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.nodes = Nodes(lab, NODES, FAST, VIPS, LabRedis(lab))
        self.nodes.start_manager()

    def ask(self, node: str, command: str) -> str:
        return ask_sync(self.nodes.endpoint(node), command)

    def listens(self, node: str) -> bool:
        return self.nodes.endpoint(node).exists()

    def log(self, node: str) -> str:
        return (self.lab.folder / f"{node}.log").read_text()

    def owners(self, asked: str) -> list[str]:
        """The owner of each VIP as a node believes it, or the VIP's state if it has no owner."""
        found = []
        for block in re.split(r"^(?=\d)", self.ask(asked, "cluster duravip show"), flags=re.MULTILINE)[1:]:
            owner = re.search(r"^ \*\s+(\S+)", block, re.MULTILINE)
            state = re.search(r"\((\w+),", block)
            assert state is not None
            found.append(owner[1] if owner and state[1] == "owned" else state[1])
        return found

    def await_owners(self, asked: str, *owners: str) -> None:
        wait_until_sync(lambda: self.owners(asked) == list(owners), f"{asked} sees {owners}", timeout_s=60)

    def has(self, node: str, vip: str) -> bool:
        return f" {vip}/" in self.lab.hosts[node].run("ip", "addr", "show")

    def inside(self, node: str, *command: str) -> None:
        subprocess.run(self.lab.hosts[node].command(*command), check=True, timeout=30)


@pytest.fixture
def hosts(folder: Path) -> Iterator[Hosts]:
    with made_or_skipped(folder, (*NODES, SERVER, "client")) as lab:
        yield Hosts(lab)


@pytest.mark.parametrize("right", WITHOUT)
def test_node_without_rights_carries_nothing_and_says_why(hosts: Hosts, right: str) -> None:
    if shutil.which("capsh") is None:
        pytest.skip("not installed: capsh")
    capsh = ("capsh", f"--drop={right.lower()}", "--", "-c", 'exec "$@"', "sh")
    hosts.nodes.begin("east1", *capsh)
    wait_until_sync(lambda: hosts.listens("east1"), "it listens")
    said = f"takes no part: {WITHOUT[right]}"
    wait_until_sync(lambda: said in hosts.ask("east1", "cluster info"), "its info says why")
    hosts.await_owners("east1", "unowned", "unowned")
    assert re.search(rf'level=warning .*"vips cannot be carried here".*{re.escape(said)}', hosts.log("east1"))
    assert f"  east1: {said}" in hosts.ask("east1", "cluster duravip plan")
    hosts.nodes.begin("east2")
    wait_until_sync(lambda: hosts.listens("east2"), "the other listens")
    for node in NODES:
        hosts.await_owners(node, "east2", "east2")
        assert f"    \teast1 (cannot carry it: {WITHOUT[right]})" in hosts.ask(node, "cluster duravip show")
    assert all(hosts.has("east2", vip) for vip in VIPS)
    assert f"east1 cannot carry {VIPS[0]} now: {WITHOUT[right]}" in hosts.ask(
        "east2", f"cluster duravip move {VIPS[0]} to east1"
    )


def test_node_takes_part_once_its_interface_exists(hosts: Hosts) -> None:
    hosts.lab.hosts["east1"].run("ip", "link", "set", "eth0", "down")
    hosts.lab.hosts["east1"].run("ip", "link", "set", "eth0", "name", "eth7")
    hosts.lab.hosts["east1"].run("ip", "link", "set", "eth7", "up")
    for node in NODES:
        hosts.nodes.begin(node)
        wait_until_sync(lambda node=node: hosts.listens(node), "it listens")
    said = "takes no part: there is no interface eth0"
    wait_until_sync(lambda: said in hosts.ask("east1", "cluster info"), "its info says why")
    wait_until_sync(lambda: said in hosts.ask("east2", "cluster duravip plan"), "others know why")
    hosts.await_owners("east2", "east2", "east2")
    hosts.lab.hosts["east1"].run("ip", "link", "set", "eth7", "down")
    hosts.lab.hosts["east1"].run("ip", "link", "set", "eth7", "name", "eth0")
    hosts.lab.hosts["east1"].run("ip", "link", "set", "eth0", "up")
    wait_until_sync(lambda: sorted(hosts.owners("east2")) == ["east1", "east2"], "it has its share", timeout_s=60)
    assert "takes no part" not in hosts.ask("east1", "cluster info")


def _lock_in_the_way(hosts: Hosts, node: str) -> tuple[str, str]:
    """Make its lock impossible to open; return how to undo that, and the expected reason."""
    number = os.stat(f"/proc/{hosts.lab.hosts[node].pid}/ns/net").st_ino
    lock = f"/run/eccmgr-guardian/guardian-{number}.lock"
    hosts.inside(node, "rm", lock)
    hosts.inside(node, "mkdir", lock)
    return f"rmdir {lock}", f"the lock {lock} cannot be opened: Is a directory"


def _program_broken(hosts: Hosts, node: str) -> tuple[str, str]:
    """Put another program in the place of the guardian's; return how to undo that, and the expected reason."""
    program = Path("worker/guardian/__main__.py").absolute()
    hosts.inside(node, "mount", "--bind", "/dev/null", str(program))
    return f"umount {program}", "the guardian ended before it served"


@pytest.mark.parametrize("spoil", [_lock_in_the_way, _program_broken])
def test_node_whose_guardian_cannot_restart_gives_up(hosts: Hosts, spoil: object) -> None:
    for node in NODES:
        hosts.nodes.begin(node)
        wait_until_sync(lambda node=node: hosts.listens(node), "it listens")
    wait_until_sync(lambda: sorted(hosts.owners("east2")) == ["east1", "east2"], "each has its share", timeout_s=60)
    assert callable(spoil)
    undo, why = spoil(hosts, "east1")
    hosts.lab.hosts["east1"].kill("worker.guardian")
    for node in NODES:
        hosts.await_owners(node, "east2", "east2")
    assert all(hosts.has("east2", vip) for vip in VIPS)
    wait_until_sync(lambda: f"takes no part: {why}" in hosts.ask("east1", "cluster info"), "its info says why")
    wait_until_sync(lambda: f"takes no part: {why}" in hosts.ask("east2", "cluster duravip plan"), "others know why")
    assert re.search(rf'level=error .*"no guardian serves" reason="{re.escape(why)}"', hosts.log("east1"))
    pauses = re.findall(r'"no guardian serves".* pause_s=(\S+)', hosts.log("east1"))
    assert float(pauses[-1]) > float(pauses[0]), "it is tried again less and less often"
    hosts.inside("east1", *undo.split())
    wait_until_sync(lambda: sorted(hosts.owners("east2")) == ["east1", "east2"], "it has its share", timeout_s=60)
    assert "takes no part" not in hosts.ask("east1", "cluster info")
