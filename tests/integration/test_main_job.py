"""The main job: an operator sends a command, and reads back every node's answer."""

from pathlib import Path

import pytest

from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import ask, manager, node, running

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]


async def test_broadcast_reaches_every_node_and_retrieve_shows_answers(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path
) -> None:
    url, cluster = redis_server.url, cluster_keys.cluster
    async with (
        running(manager(url, cluster, folder)) as barca,
        running(node(url, cluster, folder, "east1", "east")),
        running(node(url, cluster, folder, "east2", "east")),
        running(node(url, cluster, folder, "west1", "west")),
    ):
        endpoint = barca.endpoints[0].path
        (sent,) = await ask(endpoint, "broadcast cluster nodename")
        assert sent.startswith("Broadcast ")
        assert sent.endswith(" to 3 nodes")
        (gathered,) = await ask(endpoint, "gather cluster nodename")
        header, *lines = gathered.splitlines()
        assert header.endswith("3 of 3 answered")
        assert lines == ["east1: east1", "east2: east2", "west1: west1"]
