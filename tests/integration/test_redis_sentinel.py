"""Redis under Sentinel: a real master, two replicas and three sentinels, which die during traffic."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from eccmgr.cluster.calls.membership import Joined, join
from eccmgr.cluster.carrier import CarrierState
from eccmgr.cluster.members import Identity, Role
from eccmgr.cluster.options import ClusterOptions
from eccmgr.duravip.records import Era
from eccmgr.errors import RedisUnreachable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from tests.integration.fleet import Fleet
from tests.servers import Server
from tests.waiting import wait_until, wait_until_sync
from worker.duravip.calls import acquire
from worker.duravip.calls import say as say_of_node
from worker.duravip.model.actions import Acquire, Wish

SECRET = "hunter2"


@dataclass
class Deployment:
    """A deployment of Redis with the service name `ecc`."""

    data: list[Server]
    sentinels: list[Server]

    @property
    def url(self) -> str:
        """The URL for daemons."""
        hosts = ",".join(sentinel.address for sentinel in self.sentinels)
        return f"redis+sentinel://:{SECRET}@{hosts}/ecc/0"

    @property
    def master(self) -> Server:
        """The master that the sentinels name."""
        for sentinel in self.sentinels:
            with contextlib.suppress(OSError):
                port = int(sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "ecc")[1])
                return next(server for server in self.data if server.port == port)
        raise AssertionError("no sentinel answers")

    def ready(self) -> bool:
        """Whether the sentinels know each other and the replicas, and the replicas follow."""
        states = [_fields(sentinel.call("SENTINEL", "MASTER", "ecc")) for sentinel in self.sentinels]
        replicas = [_fields(replica) for replica in self.sentinels[0].call("SENTINEL", "REPLICAS", "ecc")]
        return all((state["num-other-sentinels"], state["num-slaves"]) == ("2", "2") for state in states) and all(
            replica["master-link-status"] == "ok" for replica in replicas
        )


def _fields(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


@pytest.fixture
def deployment(each_server: Path, folder: Path) -> Iterator[Deployment]:
    """A deployment for this test alone, parts of which it kills."""
    login = (f"requirepass {SECRET}", f"masterauth {SECRET}")
    master = Server(folder / "d0", *login)
    replicas = [Server(folder / f"d{i}", *login, f"replicaof 127.0.0.1 {master.port}") for i in (1, 2)]
    watch = (
        f"sentinel monitor ecc 127.0.0.1 {master.port} 2",
        f"sentinel auth-pass ecc {SECRET}",
        "sentinel down-after-milliseconds ecc 500",
        "sentinel failover-timeout ecc 2000",
    )
    sentinels = [Server(folder / f"s{i}", *watch, sentinel=True) for i in range(3)]
    made = Deployment([master, *replicas], sentinels)
    try:
        for server in (*made.data, *made.sentinels):
            server.start()
        wait_until_sync(made.ready, "the sentinels know each other and the replicas")
        yield made
    finally:
        for server in (*made.data, *made.sentinels):
            server.stop()


@pytest_asyncio.fixture
async def fleet(deployment: Deployment, keys: Keys, folder: Path) -> AsyncIterator[Fleet]:
    """A manager and two nodes on it."""
    async with contextlib.AsyncExitStack() as stack:
        made = Fleet(deployment.url, keys.cluster, folder, stack)
        await made.manager()
        await made.node("east1")
        await made.node("east2")
        yield made


async def _both_answer(fleet: Fleet) -> bool:
    return "2 of 2 answered" in await fleet.ask("gather --timeout 1 pid")


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_tasks_left")
class TestFailover:
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
    async def test_traffic_survives_a_master_that_dies_or_hangs(
        self, deployment: Deployment, fleet: Fleet, number: signal.Signals
    ) -> None:
        first = await asyncio.to_thread(lambda: deployment.master)
        assert f" sentinel {first.address}, round trip " in await fleet.ask("info")
        answers: list[str] = []

        async def traffic() -> None:
            while True:
                answers.append(await fleet.ask("gather --timeout 1 mark"))
                await asyncio.sleep(0.01)

        sending = asyncio.create_task(traffic())
        try:
            await wait_until(lambda: len(answers) > 3, "commands flow")
            first.send(number)
            await wait_until(lambda: any("not reachable" in answer for answer in answers), "it is noticed")
            await wait_until(lambda: _both_answer(fleet), "commands flow again")
        finally:
            sending.cancel()
            await asyncio.wait([sending])
            first.send(signal.SIGCONT)
        # A master that hung is back and still takes itself for the master. Nobody believes it.
        sent = await fleet.broadcast("mark")
        await fleet.shows(f"retrieve {sent}", "east1: marked", "east2: marked")
        await wait_until(lambda: deployment.master is not first, "the sentinel that is asked has heard of it")
        second = await asyncio.to_thread(lambda: deployment.master)
        assert f" sentinel {second.address}, round trip " in await fleet.ask("info")
        # The answers are true: each command that answered `marked` ran, and no command ran twice.
        marked = sum(answer.count(": marked") for answer in answers)
        assert marked <= len(fleet.ran) <= 2 * (len(answers) + 2)
        assert not any(SECRET in answer for answer in answers)
        for answer in answers:
            assert answer.startswith(("# ", "Redis is not reachable: ", "No node is alive")), answer

    async def test_all_sentinels_but_one_may_die(self, deployment: Deployment) -> None:
        link = Link(deployment.url.replace("/ecc/", "/other/"))
        with pytest.raises(RedisUnreachable, match=r"the sentinels do not know this service \(other at "):
            await link.pipeline(("PING",))
        await link.close()
        for sentinel in deployment.sentinels[:2]:
            await asyncio.to_thread(sentinel.stop)
        link = Link(deployment.url)
        assert await link.pipeline(("PING",)) == [b"PONG"]
        await link.close()
        await asyncio.to_thread(deployment.sentinels[2].stop)
        link = Link(deployment.url)
        with pytest.raises(RedisUnreachable, match=r"no sentinel answers \(ecc at 127\.0\.0\.1:\d+,") as caught:
            await link.pipeline(("PING",))
        assert SECRET not in str(caught.value)
        await link.close()

    async def test_majority_waits_for_as_many_copies_as_known(self, deployment: Deployment, keys: Keys) -> None:
        link, numbers = Link(deployment.url), count(1)

        async def say(copies: int = 0) -> bool:
            # Each of these writes, so the copies have everything that was written before.
            return (await link.run_durably(say_of_node(keys, Era(), "!east1", str(next(numbers))), copies))[1]

        first, second = (server for server in deployment.data if server is not deployment.master)
        try:
            assert await say()
            first.send(signal.SIGSTOP)
            assert await say(), "two of three have it"
            second.send(signal.SIGSTOP)
            assert not await say(), "the master alone has it"
            assert await say(copies=1), "the operator says that this suffices"
        finally:
            for server in (first, second):
                server.send(signal.SIGCONT)
            await link.close()

    async def test_repeated_grant_waits_for_copies_too(self, deployment: Deployment, keys: Keys) -> None:
        session, others = "#ec0-1#east1", [server for server in deployment.data if server is not deployment.master]
        link = Link(deployment.url)
        try:
            options, who = ClusterOptions(session_lease_s=60), Identity(Role.OTHER, "")
            joining = join(keys, options, who, session, rate=0, standing=CarrierState(session))
            joined, _ = await link.run_durably(joining, 0)
            assert isinstance(joined, Joined)
            assert joined.vips is not None
            await link.pipeline(("HSET", keys.state, "open", "1"))
            era = Era(joined.vips.era, joined.vips.memory)
            asked = acquire(Acquire(session, era, (Wish("10.0.0.1", 0, ""),)), keys, options, "east1")
            for server in others:
                server.send(signal.SIGSTOP)
            first = await link.run_durably(asked, 0)
            await link.close()
            link = Link(deployment.url)
            again = await link.run_durably(asked, 0)
        finally:
            for server in others:
                server.send(signal.SIGCONT)
            await link.close()
        assert first[0].epochs == again[0].epochs == (1,)
        assert (first[1], again[1]) == (False, False), "the master alone has it"

    async def test_another_look_finds_the_new_master_anyway(self, deployment: Deployment) -> None:
        link = Link(deployment.url)
        moves: list[str] = []
        link.on_move.append(lambda: moves.append(str(link.server)))
        try:
            await link.pipeline(("PING",))
            before = link.server.port
            await asyncio.to_thread(deployment.sentinels[0].call, "SENTINEL", "FAILOVER", "ecc")

            async def found() -> bool:
                await link.look_again()
                return bool(moves)

            await wait_until(found, "it has moved")
            assert link.server.port != before
            await wait_until(deployment.ready, "all follow it")
            assert link.server.port == deployment.master.port
        finally:
            await link.close()
