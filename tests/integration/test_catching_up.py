"""A short outage loses no command: a node reads the commands that it missed, and runs each once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from eccmgr.cluster.view import EVERYONE
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.wire import OnPush, Wire
from tests import daemons
from tests.integration.fleet import Fleet
from tests.waiting import wait_until
from worker.node import EcNode

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]


async def cut_subscriptions(node: EcNode) -> None:
    """End every subscription at the server."""
    await node.link.call("CLIENT", "KILL", "TYPE", "PUBSUB")


class Deafness:
    """While it lasts, new subscriptions stay connected and never hear a message."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, channel: str) -> None:
        self.lasts = True
        self.lost = 0
        """The messages on `channel` that were not heard."""
        subscribe = Link.subscribe

        async def deafened(link: Link, channels: Sequence[str], on_push: OnPush) -> Wire:
            deaf = self.lasts

            def hear(push: list[Any]) -> None:
                if deaf and push[0] == b"message":
                    self.lost += push[1].decode() == channel
                else:
                    on_push(push)

            return await subscribe(link, channels, hear)

        monkeypatch.setattr(Link, "subscribe", deafened)


async def test_command_sent_during_resubscription_is_run(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = await fleet.manager()
    node = await fleet.node("east1")
    subscribe = Link.subscribe
    cut, hold = asyncio.Event(), asyncio.Event()

    async def later(link: Link, channels: Sequence[str], on_push: OnPush) -> Wire:
        cut.set()
        await hold.wait()
        return await subscribe(link, channels, on_push)

    monkeypatch.setattr(Link, "subscribe", later)
    await cut_subscriptions(node)
    await cut.wait()
    published = await manager.delivery.publish("mark", EVERYONE, "root")
    hold.set()
    await fleet.shows(f"retrieve {published.sent.id}", "east1: marked")
    assert fleet.ran == ["east1"]


async def test_deaf_subscription_is_noticed_and_caught_up_once(
    fleet: Fleet, cluster_keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    deafness = Deafness(monkeypatch, cluster_keys.everyone)
    await fleet.manager()
    await fleet.node("east1")
    deafness.lasts = False
    for _ in range(2):
        sent = await fleet.broadcast("mark")
        await fleet.shows(f"retrieve {sent}", "east1: marked")
    assert fleet.ran == ["east1", "east1"]
    assert deafness.lost == 1, "it listens on another connection since"


@contextlib.asynccontextmanager
async def hard_of_hearing(fleet: Fleet, name: str) -> AsyncIterator[tuple[EcNode, list[bytes]]]:
    """A node that loses its first message, and does not learn of it by a heartbeat; also the lost messages."""
    node = daemons.node(fleet.url, fleet.cluster, fleet.folder, name)
    node.table.add(*fleet.trial_commands(node))
    heard, lost = node.executor.heard, []

    def hear(channel: str, raw: bytes) -> None:
        if lost:
            heard(channel, raw)
        else:
            lost.append(raw)

    node.executor.heard = hear  # type: ignore[method-assign]
    async with daemons.running(node):
        node.heartbeats.on_heads = lambda _heads: None
        yield node, lost


@dataclass
class HardOfHearing:
    """Makes a node deaf for as long as it `lasts`: the node hears no message, and everything else of it works."""

    lasts: bool = True


async def deaf_node(fleet: Fleet, name: str) -> HardOfHearing:
    """Add a node that is deaf from the beginning."""
    node = daemons.node(fleet.url, fleet.cluster, fleet.folder, name)
    node.table.add(*fleet.trial_commands(node))
    heard, deafness = node.executor.heard, HardOfHearing()

    def hear(channel: str, raw: bytes) -> None:
        if not deafness.lasts:
            heard(channel, raw)

    node.executor.heard = hear  # type: ignore[method-assign]
    await fleet.stack.enter_async_context(daemons.running(node))
    return deafness


async def test_deaf_node_catches_up_on_its_batch(fleet: Fleet) -> None:
    await fleet.manager()
    await deaf_node(fleet, "east1")
    await fleet.node("east2")
    assert await fleet.lines("gather --timeout 30 --batch 1 mark") == ["east1: marked", "east2: marked"]
    assert fleet.ran == ["east1", "east2"]


async def test_deaf_node_catches_up_on_a_withdrawal(fleet: Fleet) -> None:
    await fleet.manager()
    deafness = await deaf_node(fleet, "east1")
    deafness.lasts = False
    sent = await fleet.broadcast("hold")
    await wait_until(lambda: fleet.ran == ["east1"], "it has begun")
    deafness.lasts = True
    await fleet.ask(f"abort #{sent}")
    await fleet.shows(f"retrieve #{sent}", "east1: (aborted)")


async def test_node_notices_a_missed_message_at_the_next(fleet: Fleet) -> None:
    await fleet.manager()
    async with hard_of_hearing(fleet, "east1") as (_, lost):
        sent = [await fleet.broadcast("mark") for _ in range(2)]
        for each in sent:
            await fleet.shows(f"retrieve {each}", "east1: marked")
        assert fleet.ran == ["east1", "east1"]
        assert len(lost) == 1


async def test_earlier_lifes_command_is_not_caught_up(fleet: Fleet) -> None:
    await fleet.manager()
    async with hard_of_hearing(fleet, "east1") as (node, lost):
        await fleet.broadcast("mark")
        await wait_until(lambda: len(lost) == 1, "the message is lost")
        await node.session.reset()
        assert await fleet.lines("gather cluster nodename") == ["east1: east1"]
        assert fleet.ran == []


async def test_unreadable_log_entries_are_dropped_and_nodes_continue(fleet: Fleet, cluster_keys: Keys) -> None:
    manager = await fleet.manager()
    async with hard_of_hearing(fleet, "east1") as (_, lost):
        broken = await fleet.broadcast("mark")
        await wait_until(lambda: len(lost) == 1, "the message is lost")
        await manager.link.call("HSET", cluster_keys.command(broken), "text", b"\xff")
        for _ in range(2):
            sent = await fleet.broadcast("mark")
            await fleet.shows(f"retrieve {sent}", "east1: marked")
        assert fleet.ran == ["east1", "east1"]


async def test_latest_entry_missing_in_log_is_sought_once(fleet: Fleet, cluster_keys: Keys) -> None:
    node = await fleet.node("east1")
    heartbeats, heads = [0], node.heartbeats.on_heads

    def count(found: dict[str, str]) -> None:
        heartbeats[0] += 1
        heads(found)

    async def subscription() -> set[bytes]:
        clients = (await node.link.call("CLIENT", "LIST", "TYPE", "pubsub")).splitlines()
        return {line.split()[0] for line in clients}

    node.heartbeats.on_heads = count
    first = await subscription()
    await node.link.call("HSET", cluster_keys.heads, cluster_keys.everyone, "9999999999999-0")
    await wait_until(lambda: _unlike(subscription, first), "it listens on another connection")
    second = await subscription()
    seen = heartbeats[0]
    await wait_until(lambda: heartbeats[0] >= seen + 10, "ten more heartbeats have told of it")
    assert await subscription() == second


async def _unlike(look: Callable[[], Awaitable[set[bytes]]], before: set[bytes]) -> bool:
    now = await look()
    return bool(now) and now.isdisjoint(before)
