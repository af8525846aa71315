"""Managers hand logs over to each other, whatever fails meanwhile."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from eccmgr.errors import RedisUnreachable
from eccmgr.logs.collection.gathering.catalogue import say_wishes
from eccmgr.logs.collection.gathering.checkpoint import Notes
from eccmgr.logs.collection.gathering.gatherer import Gatherer
from eccmgr.logs.collection.gathering.targets import Modes, Targets
from eccmgr.logs.collection.gathering.template import Template
from eccmgr.logs.collection.gathering.writing import Writer
from eccmgr.logs.collection.news import LogNews, Wishes
from eccmgr.logs.collection.options import GatheringOptions
from eccmgr.logs.collection.pipe import calls
from eccmgr.logs.collection.pipe.calls import PipeKeys
from eccmgr.redis.connect import Link
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.integration.scripts.cluster import Cluster

pytestmark = pytest.mark.asyncio

NODES, LOGS = ("east1", "west1"), ("mainlog", "rejectlog")


class CutOff(Link):
    """A link that is cut off before the second lease is given back."""

    released = 0

    async def run(self, call: Any, *, probe: bool = False) -> Any:
        if call.script == "logs_release":
            self.released += 1
            if self.released == 2:
                raise RedisUnreachable("cut off")
        return await super().run(call, probe=probe)


async def test_share_is_handed_over_after_a_failure(
    redis_server: EmbeddedServer, cluster_keys: Keys, tmp_path: Path
) -> None:
    keys, link = cluster_keys, CutOff(redis_server.url)
    with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
        cluster = Cluster(client, keys)
        barca, roma = (cluster.join(name, rank="manager") for name in ("barca", "roma"))
        for node in NODES:
            client.zadd(keys.logs, {node: 1})
            client.hset(keys.logs_of(node), mapping={log: LogNews(log, ("master",)).dump() for log in LOGS})
        client.expire(keys.logs, 60)
        for node in NODES:
            client.expire(keys.logs_of(node), 60)
        how = GatheringOptions(Template(f"{tmp_path}/%{{l}}/%{{n}}"), ("master",), {}, 0o640, 0o755, 10, 300.0, None)
        joined = asyncio.Event()
        joined.set()
        session: Any = SimpleNamespace(
            private_name=barca.private, joined=joined, identity=SimpleNamespace(name="barca")
        )
        writer = Writer(Targets(10, 300), Notes(str(tmp_path / "notes"), 0o755), Modes(0o640, 0o755))
        gatherer = Gatherer(link, keys, cluster.options, session, writer, how)
        await gatherer.look()
        assert len(gatherer.stands) == len(NODES) * len(LOGS)
        await say_wishes(link, keys, roma.private, Wishes("roma", ("master",)))
        with pytest.raises(RedisUnreachable):
            await gatherer.look()
        await gatherer.look()
        (node,) = {unit.node for unit in gatherer.stands}
        (given,) = {*NODES} - {node}
        for log in LOGS:
            at = PipeKeys.of(keys, given, log)
            assert cluster.run(calls.take_lease(at, cluster.options, "master", roma.private)).lease is not None
    await link.close()
