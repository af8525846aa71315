"""More nodes than one call writes or reads: sets, responses and views go page by page, and no page loses a node."""

import asyncio
from collections.abc import Iterator

import pytest
import redis

from eccmgr.cluster.calls.views import PAGE
from eccmgr.cluster.delivery import Delivery
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.view import EVERYONE, Target, TargetKind
from eccmgr.redis.connect import Link
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.integration.scripts.cluster import Cluster, Life
from tests.waiting import wait_until

NODES = 2 * PAGE + 10


@pytest.fixture
def cluster(redis_server: EmbeddedServer, cluster_keys: Keys) -> Iterator[Cluster]:
    """A cluster whose nodes are played by hand."""
    with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
        yield Cluster(client, cluster_keys, lease_ms=600_000)


@pytest.fixture
def lives(cluster: Cluster) -> list[Life]:
    """The lives of its nodes."""
    return [cluster.join(f"east{number}") for number in range(NODES)]


@pytest.fixture
def delivery(link: Link, cluster_keys: Keys) -> Delivery:
    """The delivery of a manager that hears no notice."""
    return Delivery(link, cluster_keys, ClusterOptions(), "nobody")


@pytest.mark.asyncio
class TestManyNodes:
    async def test_large_set_may_begin_it_but_no_other(
        self, cluster: Cluster, lives: list[Life], delivery: Delivery
    ) -> None:
        published = await delivery.publish("pid", Target(TargetKind.SET, f"east[0-{NODES - 2}]"), "root")
        assert len(published.live) == NODES - 1
        assert {cluster.claim(life, published.sent.id) for life in lives[:-1]} == {"claimed"}
        assert cluster.claim(lives[-1], published.sent.id) == "not addressed"

    async def test_all_responses_are_gathered_and_retrieved(
        self, cluster: Cluster, lives: list[Life], delivery: Delivery
    ) -> None:
        gathering = asyncio.ensure_future(delivery.gather("pid", EVERYONE, "root", 60.0))
        await wait_until(lambda: bool(cluster.history()), "it is sent")
        (sent,) = cluster.history()
        for life in lives:
            cluster.respond(life, sent.id, life.name)
        gathered = await gathering
        retrieved = await delivery.retrieve(sent.id)
        assert retrieved is not None
        for report in (gathered, retrieved):
            assert {outcome.node: outcome.text for outcome in report.outcomes} == {
                life.name: life.name for life in lives
            }
