"""Daemons that start while Redis refuses report this, answer the commands that they can, and join later by
themselves."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemons import Process, Processes, ask_sync
from tests.refusing import REFUSALS, forbidden, plain_server
from tests.servers import Server
from tests.waiting import wait_until_sync

AT_START: dict[str, Callable[[Server], contextlib.AbstractContextManager[None]]] = {
    **{code: REFUSALS[code] for code in ("READONLY", "MISCONF", "MASTERDOWN", "BUSY", "NOPERM", "NOAUTH")},
    "SUBSCRIBE": lambda server: forbidden(server, "subscribe"),
    "HSET": lambda server: forbidden(server, "hset"),
}


def says_so(daemon: Process) -> bool:
    """Whether its log says that Redis refuses, with the remedy."""
    lines = [line for line in daemon.log.splitlines() if 'event="redis refuses"' in line]
    return len(lines) == 1 and "remedy=" in lines[0]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", AT_START)
def test_both_daemons_start_and_come_by_themselves(folder: Path, kind: str) -> None:
    with plain_server(folder) as server:
        processes = Processes(f"redis://{server.address}/0", "refused", folder)
        with contextlib.ExitStack() as ended:
            ended.callback(processes.end)
            with AT_START[kind](server):
                manager, node = (processes.start(each, "east1", wait=False) for each in ("eccmgr", "ecnode"))
                for daemon in (manager, node):
                    daemon.wait_ready()
                    wait_until_sync(lambda daemon=daemon: says_so(daemon), "it says so")  # type: ignore[misc]
                    assert " version: " in ask_sync(daemon.endpoint, "version")
                assert "Redis refuses: " in ask_sync(manager.endpoint, "info")
                assert "Redis refuses: " in ask_sync(node.endpoint, "cluster info")
            wait_until_sync(lambda: "1 of 1 answered" in ask_sync(manager.endpoint, "gather uptime"), "all are back")
            assert all(daemon.end() == 0 for daemon in (manager, node))


@pytest.mark.timeout(300)
def test_a_node_without_a_subcluster_comes_after_redis(folder: Path) -> None:
    server = Server(folder / "redis")
    processes = Processes(f"redis://{server.address}/0", "late", folder)
    with contextlib.ExitStack() as ended:
        ended.callback(processes.end)
        node = processes.start("ecnode", "east1", wait=False)
        node.wait_ready()
        ended.callback(server.start().stop)
        wait_until_sync(lambda: "event=joined" in node.log, "it joins")
