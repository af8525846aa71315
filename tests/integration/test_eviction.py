"""A Redis that may evict our keys is reported at start, by `info`, and when its policy changes."""

import functools
from pathlib import Path

import pytest

from tests.daemons import Process, Processes, ask_sync
from tests.servers import Server
from tests.waiting import wait_until_sync

REMARK = (
    "Redis evicts keys (maxmemory-policy allkeys-lru): commands, schedules and addresses may vanish; set noeviction"
)


@pytest.mark.parametrize("config_is_refused", [False, True])
def test_manager_and_node_say_that_redis_evicts_keys(folder: Path, config_is_refused: bool) -> None:
    server = Server(folder / "redis", "maxmemory-policy allkeys-lru").start()
    processes = Processes(f"redis://{server.address}/0", "evicted", folder)
    try:
        if config_is_refused:
            server.call("ACL", "SETUSER", "default", "-config")
        manager, node = processes.manager(), processes.node("east1")
        asked = ((manager, "info"), (node, "cluster info"))
        wait_until_sync(lambda: all("redis evicts keys" in each.log for each, _ in asked), "it is said in the log")
        for process, line in asked:
            assert REMARK in ask_sync(process.endpoint, line).splitlines()
            assert process.log.count("redis evicts keys") == 1
        server.call("ACL", "SETUSER", "default", "+config")
        server.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
        for process, line in asked:
            wait_until_sync(functools.partial(_is_silent, process, line), "it is looked at again")
    finally:
        processes.end()
        server.stop()


def _is_silent(process: Process, line: str) -> bool:
    return REMARK not in ask_sync(process.endpoint, line)
