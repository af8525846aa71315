"""Redis cuts off a node that reads too slowly. The node subscribes again, and misses no command that has not
expired."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import Processes, ask_sync
from tests.waiting import wait_until_sync

CLUSTER = "slow"
# A lease longer than any pause of this machine: Redis should cut the node off, and its session should not lapse.
LEASE = "cluster { session_lease = 60 }\n"


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedServer]:
    """A server that soon cuts off a client that does not read."""
    with EmbeddedServer(folder / "redis") as made:
        with redis.Redis(unix_socket_path=str(made.socket)) as client:
            client.config_set("client-output-buffer-limit", "pubsub 256kb 128kb 1")
        yield made


@pytest.fixture
def slow(server: EmbeddedServer, folder: Path) -> Iterator[Processes]:
    """Processes on that server."""
    made = Processes(server.url, CLUSTER, folder)
    yield made
    made.end()


def test_reconnected_node_answers_missed_and_later_commands(
    server: EmbeddedServer, slow: Processes, folder: Path
) -> None:
    (folder / "main.conf").write_text(LEASE)
    flags = ("--config", str(folder / "main.conf"))
    manager = slow.manager("barca", *flags)
    node = slow.node("east1", "default", *flags)
    channel = Keys(CLUSTER).node("east1")
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        os.kill(node.popen.pid, signal.SIGSTOP)
        try:
            before = ask_sync(manager.endpoint, "unicast east1 cluster nodename")
            for _ in range(1000):
                if not client.pubsub_numsub(channel)[0][1]:
                    break
                client.publish(channel, b"x" * 4_000)
            assert not client.pubsub_numsub(channel)[0][1], "it is not cut off"
            unheard = ask_sync(manager.endpoint, "broadcast uptime")
        finally:
            os.kill(node.popen.pid, signal.SIGCONT)
        for sent in (before, unheard):
            wanted = f"retrieve #{sent.split()[1]}"
            wait_until_sync(lambda wanted=wanted: "1 of 1 answered" in ask_sync(manager.endpoint, wanted), wanted)
        assert "1 of 1 answered" in ask_sync(manager.endpoint, "gather cluster nodename")
        assert client.pubsub_numsub(channel)[0][1] == 1
