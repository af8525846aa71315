"""The nodes' logs come to the managers, every line once, whoever is killed."""

import json
import signal
from pathlib import Path

import pytest
import redis

from eccmgr.redis.keys import Keys
from tests.daemons import Process, Processes, ask_sync
from tests.waiting import wait_until_sync


class Collection:
    """Nodes that write logs, and managers that collect them into one folder."""

    def __init__(self, processes: Processes) -> None:
        self.processes, self.folder = processes, processes.folder
        self.out = self.folder / "out"
        self.written: dict[str, list[str]] = {}

    def manager(self, name: str = "barca", more: str = "") -> Process:
        main = self.folder / f"{name}.conf"
        main.write_text(f'Logs {{ logfile = "{self.out}/%Y/%m/%d/%{{l}}/%{{s}}/%{{n}}" {more} }}')
        return self.processes.manager(name, "-c", str(main))

    def node(self, name: str = "east1") -> Process:
        main, source = self.folder / f"{name}.conf", self.source(name)
        source.parent.mkdir(exist_ok=True)
        main.write_text(f'cluster {{ logs = [ mainlog = "{source}" ] plumber = memory fence = none }}')
        return self.processes.node(name, "east", "-c", str(main))

    def source(self, node: str) -> Path:
        return self.folder / node / "main.log"

    def write(self, node: str, lines: int) -> None:
        known = self.written.setdefault(node, [])
        made = [f"{node} {number} {'x' * 50}\n" for number in range(len(known), len(known) + lines)]
        known += made
        with self.source(node).open("a") as log:
            log.write("".join(made))

    def target(self, node: str) -> Path | None:
        found = list(self.out.glob(f"*/*/*/mainlog/east/{node}"))
        return found[0] if found else None

    def collected(self, node: str) -> list[str]:
        target = self.target(node)
        return target.read_text().splitlines(keepends=True) if target is not None else []

    def size(self, node: str) -> int:
        """The bytes that have come."""
        target = self.target(node)
        return target.stat().st_size if target is not None else 0

    def missing(self, node: str) -> int:
        """The bytes that were written and have not come."""
        return sum(map(len, self.written[node])) - self.size(node)

    def settles(self) -> None:
        """Wait until every line is there; then each must be there once, in order."""
        for node, lines in self.written.items():
            self.settle(node, lines)

    def settle(self, node: str, lines: list[str]) -> None:
        size = sum(map(len, lines))
        wait_until_sync(lambda: self.size(node) >= size, f"the lines of {node} are there")
        assert self.collected(node) == lines


def lost_bytes(manager: Process) -> int:
    """The bytes of the one log that were removed before anybody read them, as the manager shows them."""
    (row,) = json.loads(ask_sync(manager.endpoint, "json show logs"))["logs"]
    return int(row["lost"])


@pytest.fixture
def collection(processes: Processes) -> Collection:
    return Collection(processes)


def test_lines_of_a_node_reach_the_manager(collection: Collection) -> None:
    manager = collection.manager()
    collection.node()
    collection.write("east1", 20_000)
    collection.settles()
    collection.write("east1", 3)
    collection.settles()
    target = collection.target("east1")
    assert target is not None
    assert target.stat().st_mode & 0o7777 == 0o640
    assert "log taken" in manager.log


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_restarted_manager_goes_on_where_it_was(collection: Collection, number: signal.Signals) -> None:
    manager = collection.manager()
    collection.node()
    for _ in range(3):
        before = collection.size("east1")
        collection.write("east1", 30_000)
        wait_until_sync(lambda size=before: collection.size("east1") > size, "the first lines are there")  # type: ignore[misc]
        manager.end(number)
        collection.write("east1", 5)
        manager = collection.manager()
        collection.settles()


def test_restarted_node_goes_on_where_it_was(collection: Collection) -> None:
    collection.manager()
    node = collection.node()
    for _ in range(2):
        before = collection.size("east1")
        collection.write("east1", 30_000)
        wait_until_sync(lambda size=before: collection.size("east1") > size, "the first lines are there")  # type: ignore[misc]
        node.end(signal.SIGKILL)
        collection.write("east1", 5)
        collection.source("east1").rename(collection.source("east1").with_suffix(".log.1"))
        collection.write("east1", 7)
        node = collection.node()
        collection.settles()


def test_what_a_deletion_took_is_counted(collection: Collection) -> None:
    manager = collection.manager()
    node = collection.node()
    collection.write("east1", 10)
    collection.settles()
    source = collection.source("east1")
    # Not all is read while no manager takes it: the pipe is full, and the node has told the size of the file.
    manager.end(signal.SIGKILL)
    collection.write("east1", 200_000)
    size = source.stat().st_size
    state = Keys(collection.processes.cluster).log_state("east1", "mainlog")
    with redis.Redis(unix_socket_path=collection.processes.url.removeprefix("unix://")) as client:
        wait_until_sync(lambda: f",{size}," in str(client.hget(state, "says")), "the size is known")
    node.end(signal.SIGKILL)
    source.unlink()
    collection.write("east1", 5)
    node = collection.node()
    manager = collection.manager()
    wait_until_sync(lambda: collection.collected("east1")[-5:] == collection.written["east1"][-5:], "the last came")
    lost = collection.missing("east1")
    assert lost > 0
    wait_until_sync(lambda: lost_bytes(manager) == lost, "the loss is counted")
    # Nor does the count change if Redis forgets it, and the node.
    node.end(signal.SIGKILL)
    with redis.Redis(unix_socket_path=collection.processes.url.removeprefix("unix://")) as client:
        client.flushall()
    collection.node()
    collection.write("east1", 5)
    wait_until_sync(lambda: collection.collected("east1")[-5:] == collection.written["east1"][-5:], "the last came")
    assert lost_bytes(manager) == lost


def test_sizes_that_a_dead_node_told_last_count(collection: Collection) -> None:
    manager = collection.manager()
    node = collection.node()
    collection.write("east1", 10)
    collection.settles()
    manager.end(signal.SIGKILL)
    collection.write("east1", 200_000)
    source, keys = collection.source("east1"), Keys(collection.processes.cluster)
    state, size = keys.log_state("east1", "mainlog"), source.stat().st_size
    with redis.Redis(unix_socket_path=collection.processes.url.removeprefix("unix://")) as client:
        wait_until_sync(lambda: f",{size}," in str(client.hget(state, "says")), "the size is known")
        node.end(signal.SIGKILL)
        # Redis forgot the pipe. The node told of its files, and was killed before it sent anything again.
        says = client.hget(state, "says")
        client.delete(state, keys.log_pipe("east1", "mainlog"))
        client.hset(state, "says", str(says.decode()))
    source.unlink()
    collection.write("east1", 5)
    collection.node()
    manager = collection.manager()
    wait_until_sync(lambda: collection.collected("east1")[-5:] == collection.written["east1"][-5:], "the last came")
    lost = collection.missing("east1")
    assert lost > 0
    wait_until_sync(lambda: lost_bytes(manager) == lost, "the loss is counted")


def test_managers_share_nodes_and_take_over(collection: Collection) -> None:
    first, second = collection.manager("barca"), collection.manager("roma")
    for node in ("east1", "east2"):
        collection.node(node)
        collection.write(node, 10)
    collection.settles()
    wait_until_sync(lambda: "log taken" in first.log and "log taken" in second.log, "both managers have a node")
    first.end(signal.SIGKILL)
    for node in ("east1", "east2"):
        collection.write(node, 10)
    collection.settles()
