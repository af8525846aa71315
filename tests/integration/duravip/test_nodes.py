"""Nodes as real processes on a real Redis, with addresses in memory only: VIPs stay carried through every failure."""

import contextlib
import os
import pwd
import re
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from eccmgr.redis.keys import Keys
from tests.daemons import Process, Processes, ask_sync
from tests.servers import Server
from tests.vips import vips_in_memory
from tests.waiting import wait_until_sync
from worker.guardian.rights import GUARDIAN_UID

NODES = ("a1", "a2", "a3")
VIPS = 6
CONFIGURATION = vips_in_memory(VIPS)


class Cluster:
    """Three nodes with six VIPs."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.server = server
        file = folder / "vips.conf"
        file.write_text(CONFIGURATION)
        self.processes = Processes(f"redis://{server.address}/0", "vips", folder)
        self.nodes: dict[str, Process] = {}
        self._flags = ("-c", str(file))

    def start(self, *names: str) -> None:
        for name in names:
            self.nodes[name] = self.processes.start("ecnode", name, *self._flags, wait=False)
        for name in names:
            self.nodes[name].wait_ready()

    def owners(self, asked: str) -> dict[str, str]:
        """The owner of each VIP as a node believes it, by the last number of the address."""
        text = ask_sync(self.nodes[asked].endpoint, "cluster duravip show")
        found = {}
        for block in re.split(r"^(?=\d)", text, flags=re.MULTILINE)[1:]:
            address, state = re.match(r"10\.9\.0\.(\d+)/\S+ \((\w+),", block).groups()  # type: ignore[union-attr]
            owner = re.search(r"^ \*\s+(\S+)", block, re.MULTILINE)
            found[address] = owner[1] if owner and state == "owned" else state
        return found

    def settle(self, *counts: int, asked: str = "") -> dict[str, str]:
        """Wait until all live nodes agree, and the numbers of their VIPs are these, in any order."""
        live = [name for name, node in self.nodes.items() if node.popen.poll() is None]
        views: list[dict[str, str]] = []

        def settled() -> bool:
            views[:] = [self.owners(name) for name in ([asked] if asked else live)]
            loads = sorted(list(views[0].values()).count(name) for name in live)
            return all(view == views[0] for view in views) and loads == sorted(counts)

        wait_until_sync(settled, f"the nodes have {counts} VIPs", timeout_s=60)
        return views[0]

    def ask(self, node: str, command: str) -> str:
        return ask_sync(self.nodes[node].endpoint, command)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="ecc-") as made, contextlib.ExitStack() as end:
        server = Server(Path(made) / "redis").start()
        end.callback(server.stop)
        made_cluster = Cluster(Path(made), server)
        me, before = psutil.Process(), {child.pid for child in psutil.Process().children(recursive=True)}
        end.callback(made_cluster.processes.end)
        made_cluster.start(*NODES)
        guardians = [child for child in me.children(recursive=True) if child.pid not in before]
        yield made_cluster
        made_cluster.processes.end()
        _, alive = psutil.wait_procs(guardians, timeout=20)
        assert not alive, f"processes left: {alive}"


@pytest.mark.timeout(300)
def test_vips_are_spread_and_survive_a_killed_node(cluster: Cluster) -> None:
    before = cluster.settle(2, 2, 2)
    cluster.nodes["a1"].end(signal.SIGKILL)
    after = cluster.settle(3, 3)
    assert {vip: node for vip, node in before.items() if node != "a1"}.items() <= after.items()
    assert "session ended" in cluster.nodes["a1"].log, "its guardian ended its session"
    cluster.start("a1")
    cluster.settle(2, 2, 2)


@pytest.mark.timeout(300)
def test_takeover_is_seen_in_log_metrics_and_audit(cluster: Cluster) -> None:
    before = cluster.settle(2, 2, 2)
    plumbed = 'eccmgr_vips_owned{{cluster="vips"}} {}.0'
    wait_until_sync(lambda: plumbed.format(2) in cluster.ask("a2", "metrics"), "two are plumbed")
    cluster.nodes["a1"].end(signal.SIGKILL)
    cluster.settle(3, 3)
    for name in ("a2", "a3"):
        wait_until_sync(lambda name=name: plumbed.format(3) in cluster.ask(name, "metrics"), "three are plumbed")
    orphans = {f"10.9.0.{vip}" for vip, node in before.items() if node == "a1"}
    logged = re.findall(r'event="vip owned".*', cluster.nodes["a2"].log + cluster.nodes["a3"].log)
    taken = [line for line in logged if 'reason="takeover of a1; ' in line]
    assert sorted(line.split("vip=")[1].split()[0] for line in taken) == sorted(orphans)
    shown = [cluster.ask(name, "metrics") for name in ("a2", "a3")]
    assert sum(int(re.findall(r'kind="taken_over"} (\d+)', text)[0]) for text in shown) == 2
    assert sum("eccmgr_vip_last_takeover_outage_seconds" in text for text in shown) >= 1
    assert all('eccmgr_vip_fence_open{cluster="vips",fence="none"} 1.0' in text for text in shown)
    with redis.Redis.from_url(f"redis://{cluster.server.address}/0") as client:
        audit: Any = client.xrange(Keys("vips").audit)
    granted = {entry[b"address"].decode() for _, entry in audit if entry.get(b"from") == b"a1"}
    assert orphans <= granted


@pytest.mark.timeout(300)
def test_moved_vip_goes_where_wanted_and_stays(cluster: Cluster) -> None:
    before = cluster.settle(2, 2, 2)
    owner = before["1"]
    target = next(name for name in NODES if name != owner)
    answers = {}
    with contextlib.ExitStack() as together:
        pool = together.enter_context(ThreadPoolExecutor(3))
        asked = {name: pool.submit(cluster.ask, name, f"cluster duravip move vip-1 to {target}") for name in NODES}
        answers = {name: each.result() for name, each in asked.items()}
    assert re.fullmatch(r"10\.9\.0\.1 released \(epoch \d+\)", answers[owner])
    assert re.fullmatch(r"10\.9\.0\.1 plumbed on lo \(epoch \d+\), \d+ ms", answers[target])
    other = next(name for name in NODES if name not in (owner, target))
    assert answers[other] == "not concerned"
    told = rf'event="vip owned" vip=10\.9\.0\.1 epoch=\d+ reason="moved from {owner}; move" ms='
    assert len(re.findall(told, cluster.nodes[target].log)) == 1
    assert re.search(rf'event="vip given up" vip=10\.9\.0\.1 .*reason=move to={target}', cluster.nodes[owner].log)
    after = cluster.settle(2, 2, 2)
    assert after["1"] == target


_PROGRAM = """#!/bin/sh
case $1 in
  check) exit 1;;
  plumb) [ ! -e {broken} ] || {{ echo no quota >&2; exit 1; }};;
esac
"""


@pytest.mark.timeout(300)
def test_failed_move_says_why_and_returns_the_vip(cluster: Cluster, folder: Path) -> None:
    broken, program, file = folder / "broken", folder / "program", folder / "exec.conf"
    program.write_text(_PROGRAM.format(broken=broken))
    program.chmod(0o755)
    folder.chmod(0o755)
    file.write_text(CONFIGURATION.replace('"memory"', f'"exec"  plumber_program = "{program}"'))
    assert cluster.nodes["a2"].end() == 0
    cluster.nodes["a2"] = cluster.processes.start("ecnode", "a2", "-c", str(file))
    before = cluster.settle(2, 2, 2)
    vip = next(vip for vip, node in before.items() if node != "a2")
    broken.touch()
    with ThreadPoolExecutor(3) as pool:
        asked = {name: pool.submit(cluster.ask, name, f"cluster duravip move vip-{vip} to a2") for name in NODES}
        answers = {name: each.result() for name, each in asked.items()}
    assert answers["a2"] == f"10.9.0.{vip} stays: no quota"
    wait_until_sync(lambda: cluster.owners("a1") == before, "it is back")
    tried = re.findall(rf'event="vip not plumbed" vip=10\.9\.0\.{vip} ', cluster.nodes["a2"].log)
    assert len(tried) <= len(NODES), "it is tried once for each of those who asked, and not again and again"


@pytest.mark.timeout(300)
def test_drained_node_has_none_until_undrained(cluster: Cluster) -> None:
    cluster.settle(2, 2, 2)
    answer = cluster.ask("a2", "cluster duravip drain @all!a[1,3]")
    assert answer.startswith("a2 is drained\n")
    assert "a2" not in cluster.settle(0, 3, 3).values()
    cluster.ask("a1", "cluster duravip undrain a2")
    cluster.settle(2, 2, 2)


@pytest.mark.timeout(300)
def test_empty_restarted_server_finds_every_vip_in_place(cluster: Cluster) -> None:
    for node in NODES:
        # On a busy machine the server may be away for longer than the short lease.
        assert "session_lease = 15" in cluster.ask(node, "config set cluster session_lease 15")
    before = cluster.settle(2, 2, 2)
    cluster.server.stop()
    cluster.server.start()
    with redis.Redis.from_url(f"redis://{cluster.server.address}/0") as client:
        # Until then the nodes rely on the data of the old server.
        wait_until_sync(
            lambda: sum(b"." in name for name in client.hkeys(Keys("vips").vips)) == 6, "it knows them again"
        )
    assert cluster.settle(2, 2, 2) == before


@pytest.mark.timeout(300)
def test_stopped_node_loses_its_vips_and_regains_some(cluster: Cluster) -> None:
    cluster.settle(2, 2, 2)
    stopped = cluster.nodes["a1"].popen
    stopped.send_signal(signal.SIGSTOP)
    try:
        cluster.nodes.pop("a1")
        assert "a1" not in cluster.settle(3, 3).values()
    finally:
        stopped.send_signal(signal.SIGCONT)
    wait_until_sync(lambda: sorted(map(list(cluster.owners("a2").values()).count, NODES)) == [2, 2, 2], "it has some")


@pytest.mark.timeout(300)
def test_node_that_ends_cleanly_leaves_nothing_unowned(cluster: Cluster) -> None:
    cluster.settle(2, 2, 2)
    assert cluster.nodes["a3"].end() == 0
    cluster.settle(3, 3)


def unprivileged_node(end: contextlib.ExitStack) -> tuple[Server, Process]:
    """A server, and a node with VIPs that gives up being root; both end with `end`."""
    folder = Path(end.enter_context(tempfile.TemporaryDirectory(prefix="ecc-")))
    folder.chmod(0o777)
    server = Server(folder / "redis").start()
    end.callback(server.stop)
    file = folder / "vips.conf"
    file.write_text(CONFIGURATION + 'Security { User = "nobody" }\n')
    processes = Processes(f"redis://{server.address}/0", "vips", folder)
    end.callback(processes.end)
    return server, processes.start("ecnode", "a1", "-c", str(file))


@pytest.mark.timeout(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_unprivileged_node_leaves_address_changes_to_its_guardian() -> None:
    with contextlib.ExitStack() as end:
        _, node = unprivileged_node(end)
        wait_until_sync(lambda: "vip owned" in node.log, "it carries VIPs")
        children = psutil.Process(node.popen.pid).children(recursive=True)
        users = {"guardian" if "worker.guardian" in each.cmdline() else "node": each.uids().real for each in children}
        assert users == {"guardian": GUARDIAN_UID, "node": pwd.getpwnam("nobody").pw_uid}
        assert node.end() == 0
        _, alive = psutil.wait_procs(children, timeout=20)
        assert not alive


@pytest.mark.timeout(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_killed_parent_takes_its_node_along() -> None:
    with contextlib.ExitStack() as end:
        server, node = unprivileged_node(end)
        wait_until_sync(lambda: node.log.count("vip owned") == VIPS, "it carries its VIPs")
        children = psutil.Process(node.popen.pid).children(recursive=True)
        for child in children:
            end.callback(lambda child=child: child.is_running() and child.kill())
        node.popen.kill()
        _, alive = psutil.wait_procs(children, timeout=60)
        assert not alive
        assert "the parent is gone; the node ends" in node.log
        assert server.call("EXISTS", Keys("vips").roster) == 0, "its session is over"


@pytest.mark.timeout(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_agent_cannot_choose_its_own_user() -> None:
    with tempfile.TemporaryDirectory(prefix="ecc-") as made, contextlib.ExitStack() as end:
        folder = Path(made)
        folder.chmod(0o777)
        server = Server(folder / "redis").start()
        end.callback(server.stop)
        file, changes = folder / "vips.conf", folder / "changes.conf"
        mine = f'Security {{ User = "nobody" }}\nLocal_Changes_File = "{changes}"\n'
        file.write_text(CONFIGURATION + mine)
        processes = Processes(f"redis://{server.address}/0", "vips", folder)
        end.callback(processes.end)
        node = processes.start("ecnode", "a1", "-c", str(file))
        parent = psutil.Process(node.popen.pid)

        def agent() -> psutil.Process:
            (found,) = [each for each in parent.children() if "cli.ecnode" in each.cmdline()]
            return found

        changes.write_text('Security { User = "root" }\n')
        changes.chmod(0o666)
        agent().kill()
        wait_until_sync(lambda: node.log.count("event=ready") == 2, "another agent serves")
        assert set(agent().uids()) == {pwd.getpwnam("nobody").pw_uid}
        assert ask_sync(node.endpoint, "config get Security User") == 'User = "nobody"'
        assert f"{changes}:1:1: Security, which is locked, is ignored in the Local_Changes_File" in node.log


@pytest.mark.timeout(300)
def test_member_on_evicting_redis_carries_nothing_and_explains(folder: Path) -> None:
    with contextlib.ExitStack() as end:
        server = Server(folder / "redis", "maxmemory-policy allkeys-lru").start()
        end.callback(server.stop)
        cluster = Cluster(folder, server)
        end.callback(cluster.processes.end)
        cluster.start("a1")
        said = "nothing is carried: Redis may evict keys: its maxmemory-policy is allkeys-lru, and noeviction is needed"
        wait_until_sync(lambda: said in cluster.ask("a1", "cluster info"), "it says why")
        wait_until_sync(lambda: "vips not carried" in cluster.nodes["a1"].log, "its log says so")
        unowned = dict.fromkeys(map(str, range(1, VIPS + 1)), "unowned")
        wait_until_sync(lambda: cluster.owners("a1") == unowned, "it has read its VIPs, and carries none")
        server.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
        cluster.settle(VIPS)
        assert "Redis may evict keys" not in cluster.ask("a1", "cluster info")
        server.call("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
        wait_until_sync(lambda: cluster.owners("a1") == unowned, "it gives all up", timeout_s=60)
