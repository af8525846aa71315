"""A Redis Cluster of real nodes: during traffic, the slot of all our keys moves, or its owner dies."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from redis.crc import key_slot
from redis.exceptions import RedisError

from eccmgr.cluster.calls.views import roster
from eccmgr.cluster.options import ClusterOptions
from eccmgr.errors import RedisUnreachable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from tests.daemons import QUICK
from tests.integration.fleet import Fleet
from tests.servers import Server
from tests.waiting import wait_until, wait_until_sync

SECRET = "hunter2"
# The lease is longer than any pause of this machine.
CALM = dataclasses.replace(QUICK, session_lease_s=4.0)


@dataclass
class RedisCluster:
    """Three masters, and one replica for the owner of the tested slot."""

    nodes: list[Server]
    slot: int

    @property
    def url(self) -> str:
        """The URL for daemons. It names two of the nodes, and the first of them may be dead."""
        return f"redis+cluster://{self.nodes[1].address},{self.nodes[2].address}/"

    @property
    def owner(self) -> Server:
        """The master that owns the slot, as a live node sees it."""
        for node in self.nodes:
            with contextlib.suppress(RedisError):
                for first, last, master, *_ in node.call("CLUSTER", "SLOTS"):
                    if first <= self.slot <= last:
                        return next(server for server in self.nodes if server.port == master[1])
        raise AssertionError("nobody owns the slot")

    def form(self) -> None:
        """Have the nodes meet, share the slots, and agree."""
        first, *others = self.nodes
        spans = ((0, 5460), (5461, 10922), (10923, 16383))
        for node, span in zip(self.nodes, spans, strict=False):
            node.call("CLUSTER", "ADDSLOTSRANGE", *span)
        for epoch, node in enumerate(self.nodes, 1):
            node.call("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for node in others:
            node.call("CLUSTER", "MEET", "127.0.0.1", first.port)
        wait_until_sync(
            lambda: all("cluster_state:ok" in n.call("CLUSTER", "INFO") for n in self.nodes), "it is formed"
        )
        wait_until_sync(self._all_met, "the nodes know each other")
        self.nodes[3].call("CLUSTER", "REPLICATE", self.owner.call("CLUSTER", "MYID"))
        wait_until_sync(lambda: "connected" in self.nodes[3].call("ROLE"), "it replicates")

    def move(self, target: Server) -> None:
        """Move the slot to `target` key by key, as resharding does."""
        self.begin_move(target)
        self.end_move(target)

    def begin_move(self, target: Server) -> None:
        """Move only the first keys: the slot is on its way."""
        source, slot = self.owner, self.slot
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.call("CLUSTER", "MYID"))
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.call("CLUSTER", "MYID"))
        self._move_some(source, target)

    def end_move(self, target: Server) -> None:
        """Move the other keys, and tell all nodes of the new owner."""
        source, slot = self.owner, self.slot
        while self._move_some(source, target):
            pass
        for node in (target, source, *self.nodes[:3]):
            node.call("CLUSTER", "SETSLOT", slot, "NODE", target.call("CLUSTER", "MYID"))

    def _move_some(self, source: Server, target: Server) -> bool:
        keys = source.call("CLUSTER", "GETKEYSINSLOT", self.slot, 3)
        if keys:
            source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        return bool(keys)

    def _all_met(self) -> bool:
        return all("cluster_known_nodes:4" in node.call("CLUSTER", "INFO") for node in self.nodes)


@pytest.fixture
def redis_cluster(each_server: Path, folder: Path, keys: Keys) -> Iterator[RedisCluster]:
    """A Redis Cluster for this test alone."""
    options = ("cluster-enabled yes", "cluster-node-timeout 1000", "cluster-replica-validity-factor 0")
    made = RedisCluster([Server(folder / f"c{i}", *options) for i in range(4)], key_slot(keys.tag.encode()))
    try:
        for node in made.nodes:
            node.start()
        made.form()
        yield made
    finally:
        for node in made.nodes:
            node.stop()


@pytest_asyncio.fixture
async def fleet(redis_cluster: RedisCluster, keys: Keys, folder: Path) -> AsyncIterator[Fleet]:
    """A manager and two nodes on it."""
    async with contextlib.AsyncExitStack() as stack:
        made = Fleet(redis_cluster.url, keys.cluster, folder, stack)
        await made.manager(options=CALM)
        await made.node("east1", options=CALM)
        await made.node("east2", options=CALM)
        yield made


async def _both_answer(fleet: Fleet) -> bool:
    return "2 of 2 answered" in await fleet.ask("gather --timeout 1 pid")


@contextlib.asynccontextmanager
async def _traffic(fleet: Fleet) -> AsyncIterator[list[str]]:
    """Send commands one after another; return the answers, after checking that each is true."""
    answers: list[str] = []
    before = len(fleet.ran)

    async def send() -> None:
        while True:
            answers.append(await fleet.ask("gather --timeout 1 mark"))
            await asyncio.sleep(0.01)

    sending = asyncio.create_task(send())
    try:
        await wait_until(lambda: len(answers) > 3, "commands flow")
        yield answers
    finally:
        sending.cancel()
        await asyncio.wait([sending])
    assert sum(answer.count(": marked") for answer in answers) <= len(fleet.ran) - before <= 2 * (len(answers) + 1)
    for answer in answers:
        assert answer.startswith(("# ", "Redis is not reachable: ", "No node is alive")), answer


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_tasks_left")
class TestRedisCluster:
    async def test_a_slot_that_moves_is_followed(self, redis_cluster: RedisCluster, fleet: Fleet) -> None:
        first = await asyncio.to_thread(lambda: redis_cluster.owner)
        assert f" cluster {first.address}, round trip " in await fleet.ask("info")
        sent = await fleet.broadcast("mark")
        await fleet.shows(f"retrieve {sent}", "east1: marked", "east2: marked")
        target = next(node for node in redis_cluster.nodes[:3] if node is not first)
        async with _traffic(fleet):
            await asyncio.to_thread(redis_cluster.move, target)
            await wait_until(lambda: _both_answer(fleet), "commands flow again")
        assert f" cluster {target.address}, round trip " in await fleet.ask("info")
        await fleet.shows(f"retrieve {sent}", "east1: marked", "east2: marked")
        assert not await asyncio.to_thread(first.call, "CLUSTER", "COUNTKEYSINSLOT", redis_cluster.slot)

    async def test_moving_slot_refuses_commands_without_losing_nodes(
        self, redis_cluster: RedisCluster, fleet: Fleet
    ) -> None:
        first = await asyncio.to_thread(lambda: redis_cluster.owner)
        target = next(node for node in redis_cluster.nodes[:3] if node is not first)
        members = await fleet.ask("show cluster membership")
        async with _traffic(fleet) as answers:
            await asyncio.to_thread(redis_cluster.begin_move, target)
            refused = "Redis is not reachable: the cluster is being changed, or is down"
            await wait_until(lambda: answers[-1].startswith(refused), "it is said")
            begun, lease_s = time.monotonic(), CALM.session_lease_s
            await wait_until(lambda: time.monotonic() > begun + lease_s, "every lease would be over")
            assert all(answer.startswith(refused) for answer in answers[-3:])
            await asyncio.to_thread(redis_cluster.end_move, target)
            await wait_until(lambda: _both_answer(fleet), "commands flow again")
        assert await fleet.ask("show cluster membership") == members, "no session has ended"

    async def test_replica_takes_over_from_a_dead_owner(self, redis_cluster: RedisCluster, fleet: Fleet) -> None:
        first = await asyncio.to_thread(lambda: redis_cluster.owner)
        async with _traffic(fleet) as answers:
            await asyncio.to_thread(first.stop)
            await wait_until(lambda: any("not reachable" in answer for answer in answers), "it is noticed")
            await wait_until(lambda: _both_answer(fleet), "commands flow again")
        assert f" cluster {redis_cluster.nodes[3].address}, round trip " in await fleet.ask("info")

    async def test_all_nodes_away_are_said(self, redis_cluster: RedisCluster, keys: Keys) -> None:
        link = Link(redis_cluster.url.replace("//", f"//:{SECRET}@"), tag=keys.tag)
        assert await link.pipeline(("PING",)) == [b"PONG"]
        for node in redis_cluster.nodes:
            await asyncio.to_thread(node.stop)
        with pytest.raises(RedisUnreachable):
            await link.pipeline(("PING",))
        with pytest.raises(RedisUnreachable, match=r"no node of the cluster answers \(127\.0\.0\.1:\d+,127") as caught:
            await link.run(roster(keys, ClusterOptions(), 1), probe=True)
        assert SECRET not in str(caught.value)
        await link.close()
