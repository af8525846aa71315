"""The faults of the campaign, each with the alerts that it has to raise. A fault lasts as long as its block."""

import asyncio
import contextlib
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import redis

from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.integration.scripts.cluster import Cluster, Life
from tests.observe.watched import PATIENT_LEASE_S, WatchedSite
from tests.waiting import wait_until

_MOVED_EVERY_S = 2.0
"""Prometheus notes the holder as often."""
_JOINING = 60
_GUESSES = 25


@dataclass(frozen=True)
class ObservedFault:
    """A fault: what happens, and the alerts that it raises."""

    alerts: tuple[str, ...]
    about: str
    strike: Callable[[WatchedSite], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def manager_killed(site: WatchedSite) -> AsyncIterator[None]:
    site.kill("m2")
    yield
    site.manager("m2", "main")
    await site.ready("m2")


@asynccontextmanager
async def holders_killed(site: WatchedSite) -> AsyncIterator[None]:
    for name in ("n1", "n2"):
        site.kill(name)
    yield
    for name in ("n1", "n2"):
        site.node(name, "main")
    await site.ready("n1", "n2")


@asynccontextmanager
async def slow_node_takes_over(site: WatchedSite) -> AsyncIterator[None]:
    """The cluster `slow` has no manager; its address comes to the node that is quick before that one is killed."""
    if not await asyncio.to_thread(site.carries, "s1"):
        await site.ask("s2", "cluster duravip move 10.1.1.1 to s1")
    await wait_until(lambda: site.carries("s1"), "the other node carries the address", 120)
    site.kill("s1")
    yield
    site.node("s1", "slow")
    await site.ready("s1")


@asynccontextmanager
async def address_thrown_about(site: WatchedSite) -> AsyncIterator[None]:
    async def throw() -> None:
        while True:
            owner = await site.owner()
            other = "n2" if owner == "n1" else "n1"
            if owner:
                await site.ask("m1", f"unicast {owner} cluster duravip move 10.1.1.1 to {other}")
            await asyncio.sleep(_MOVED_EVERY_S)

    async with _repeated(throw()):
        yield


@asynccontextmanager
async def configurations_differ(site: WatchedSite) -> AsyncIterator[None]:
    site.node("odd", "main", binding="post")
    await site.ready("odd")
    yield
    site.forget("odd")
    await _forgotten(site, "m1", "odd")


@asynccontextmanager
async def node_on_another_redis(site: WatchedSite) -> AsyncIterator[None]:
    with EmbeddedServer(site.folder / "other") as other:
        site.node("stray", "main", url=other.url)
        await site.ready("stray")
        yield
        site.forget("stray")


@asynccontextmanager
async def redis_stopped(site: WatchedSite) -> AsyncIterator[None]:
    with site.stopped(site.server.pid):
        yield


@asynccontextmanager
async def redis_slow(site: WatchedSite) -> AsyncIterator[None]:
    async def slow_down() -> None:
        while True:
            with site.stopped(site.server.pid):
                await asyncio.sleep(0.4)
            await asyncio.sleep(0.1)

    async with _repeated(slow_down()):
        yield


@asynccontextmanager
async def node_hangs(site: WatchedSite) -> AsyncIterator[None]:
    """A node hangs until just before its lease ends, again and again, with a command under way each time."""

    async def renewed() -> bool:
        (node,) = json.loads(await site.ask("p1", "json members p2"))["members"]
        return bool(node["lease_age_ms"] < 5000)

    async def hang() -> None:
        while True:
            with site.stopped(site.daemons["p2"].popen.pid):
                asking = asyncio.create_task(site.ask("p1", "gather --timeout 150 pid"))
                await asyncio.sleep(PATIENT_LEASE_S - 1.5)
            await asking
            await wait_until(renewed, "its lease is renewed", 60)

    async with _repeated(hang()):
        yield


@asynccontextmanager
async def manager_hangs_past_a_schedule(site: WatchedSite) -> AsyncIterator[None]:
    await site.ask("c1", "sched in 2 version")
    with site.stopped(site.daemons["c1"].popen.pid):
        # Shorter than the window of the alert: the samples before it still count.
        await asyncio.sleep(38)
    yield


@asynccontextmanager
async def commands_fail(site: WatchedSite) -> AsyncIterator[None]:
    async def fail() -> None:
        while True:
            await site.ask("m1", "gather exec:try no")
            await asyncio.sleep(1)

    async with _repeated(fail()):
        yield


@asynccontextmanager
async def jobs_queue_up(site: WatchedSite) -> AsyncIterator[None]:
    for _ in range(4):
        await site.ask("m1", "broadcast exec:try nap")
    yield
    for line in (await site.ask("m1", "history 20")).splitlines():
        if "exec:try nap" in line:
            await site.ask("m1", f"abort #{line.split()[0]}")


@asynccontextmanager
async def scheduled_commands_fail(site: WatchedSite) -> AsyncIterator[None]:
    async def fail() -> None:
        while True:
            await site.ask("m1", "sched in 1 retrieve nothing-of-this-id")
            await asyncio.sleep(3)

    async with _repeated(fail()):
        yield


@asynccontextmanager
async def passwords_guessed(site: WatchedSite) -> AsyncIterator[None]:
    def guess() -> None:
        asked = urllib.request.Request(f"http://{site.targets['c1'][1]}/nodes", headers={"Authorization": "Bearer x"})
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(asked, timeout=120):
            pass

    async def guess_on() -> None:
        while True:
            await asyncio.gather(*(asyncio.to_thread(guess) for _ in range(_GUESSES)))

    async with _repeated(guess_on()):
        yield


@asynccontextmanager
async def older_node_joins(site: WatchedSite) -> AsyncIterator[None]:
    module = "eccmgr import version; version.__version__ = '0.0.1'; from cli.ecnode"
    site.node("oldie", "main", carries=False, module=module)
    await site.ready("oldie")
    yield
    site.forget("oldie")
    await _forgotten(site, "m1", "oldie")


@asynccontextmanager
async def configuration_changed(site: WatchedSite) -> AsyncIterator[None]:
    await site.ask("m1", "config set cluster results_ttl 4711")
    yield
    await site.ask("m1", "config reload")


@asynccontextmanager
async def crowd_comes_and_goes(site: WatchedSite) -> AsyncIterator[None]:
    """Nodes of sixty subclusters join, and as many others come and go."""
    with redis.Redis.from_url(site.server.url) as client:
        crowd = Cluster(client, Keys("crowd"), lease_ms=600_000)

        def come(kind: str) -> list[Life]:
            return [crowd.join(f"{kind}{number}", f"sub{number}") for number in range(_JOINING)]

        def go(lives: Sequence[Life]) -> None:
            for life in lives:
                crowd.leave(life)

        async def come_and_go() -> None:
            while True:
                await asyncio.to_thread(go, await asyncio.to_thread(come, "passer"))
                await asyncio.sleep(3)

        guests = await asyncio.to_thread(come, "guest")
        async with _repeated(come_and_go()):
            yield
        await asyncio.to_thread(go, guests)
        for number in range(_JOINING):
            for kind in ("passer", "guest"):
                await site.ask("c1", f"forget {kind}{number}")


@asynccontextmanager
async def _repeated(work: "asyncio._CoroutineLike[None]") -> AsyncIterator[None]:
    """Work on during the block. What the work raises ends the block."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        yield
        task.cancel()


async def _forgotten(site: WatchedSite, manager: str, node: str) -> None:
    """Have a node that has left forgotten: it is not expected back."""

    async def forgotten() -> bool:
        return "still" not in await site.ask(manager, f"forget {node}")

    await wait_until(forgotten, f"{node} is forgotten", 60)


WAVES = (
    (
        ObservedFault(("ManagerDown",), "a manager is killed", manager_killed),
        ObservedFault(("VipTwoHolders",), "a node of the cluster is on another Redis", node_on_another_redis),
        ObservedFault(("CommandsFailing",), "a program that commands run fails", commands_fail),
        ObservedFault(("SchedulesFailing",), "schedules name what is not there", scheduled_commands_fail),
        ObservedFault(("ConfigUnsaved",), "the configuration is changed, and not written back", configuration_changed),
        ObservedFault(("AuthFailures",), "somebody guesses tokens", passwords_guessed),
        ObservedFault(("TakeoverSlow",), "the next holder of an address takes 7 s to add it", slow_node_takes_over),
        ObservedFault(
            ("LeasesCritical", "GatherSlow"), "a node hangs for almost its lease, and a gather waits for it", node_hangs
        ),
    ),
    (
        ObservedFault(("VipDisagreement",), "a node has another name for an address", configurations_differ),
        ObservedFault(("VersionSkew",), "a node of another release joins", older_node_joins),
        ObservedFault(("JobsStuck",), "more long commands are sent than end", jobs_queue_up),
        ObservedFault(("ViewChurn", "MetricsTruncated"), "nodes of 60 subclusters come and go", crowd_comes_and_goes),
    ),
    (ObservedFault(("ScheduleLate",), "a manager hangs while a schedule is due", manager_hangs_past_a_schedule),),
    (ObservedFault(("VipFlapping",), "an address is moved to and fro", address_thrown_about),),
    (ObservedFault(("RedisSlow",), "Redis hangs for 0.4 s of each 0.5 s", redis_slow),),
    (
        ObservedFault(
            ("NodeLost", "ManyNodesLost", "VipUnserved"),
            "both nodes that may carry an address are killed",
            holders_killed,
        ),
    ),
    (ObservedFault(("RedisDown", "NoLeader", "FenceShut"), "Redis hangs", redis_stopped),),
)
"""The faults of a wave strike together, because they do not disturb each other."""


def stop_cleanly() -> None:
    """End on SIGTERM and SIGHUP as on Ctrl-C: nothing of the site is left."""
    # A shell lets what it runs in the background ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(os.getpid(), signal.SIGINT))
