"""Redis comes back with old data: forgotten commands do not run again, and old records are not believed."""

import asyncio
import dataclasses
import datetime as dt
import signal
import time

import pytest

from eccmgr.access.keys import SigningKey, write_key_files
from eccmgr.redis.embedded import EmbeddedServer
from tests.daemons import QUICK
from tests.integration.fleet import Fleet, die, hearing
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]

STANDING = dataclasses.replace(QUICK, max_step_s=0.001, command_ttl_s=0.5)
"""Options with which the lease clock nearly stands still, as it does while Redis is away."""


async def test_renumbered_views_are_not_taken_for_earlier_ones(server: EmbeddedServer, lonely: Fleet) -> None:
    options = dataclasses.replace(QUICK, session_lease_s=30.0)
    manager = await lonely.manager(options=options)
    stays = await lonely.node("east1", options=options)
    await manager.link.call("SAVE")
    forgotten = await lonely.node("east2", options=options)
    assert await lonely.lines("gather mark") == ["east1: marked", "east2: marked"]
    await die(forgotten)
    await wait_until(lambda: not (lonely.folder / "n-east2").exists(), "it has ended")
    await asyncio.to_thread(server.stop, signal.SIGKILL)
    await asyncio.to_thread(server.start)
    await lonely.node("east3", options=options)
    assert stays.heartbeats.listening is not None
    await wait_until(lambda: not manager.link.fault and stays.heartbeats.listening.is_set(), "all are back")
    assert await lonely.lines("gather mark") == ["east1: marked", "east3: marked"]


async def test_late_copy_does_not_run_after_forgotten_claim(lonely: Fleet) -> None:
    manager = await lonely.manager(options=STANDING)
    node = await lonely.node("east1", options=STANDING)
    hear = node.executor.heard
    async with hearing(manager.link, manager.keys.everyone) as heard:
        sent = await lonely.broadcast("mark")
        await wait_until(lambda: lonely.ran == ["east1"], "the command runs")
        await wait_until(lambda: bool(heard), "the command is heard")
    await lonely.shows(f"retrieve {sent}", "east1: marked")
    since = time.monotonic()
    await wait_until(lambda: time.monotonic() > since + 3 * STANDING.command_ttl_s, "time passes")
    await manager.link.call("DEL", manager.keys.responses(sent))
    hear(manager.keys.everyone, heard[0])
    await lonely.broadcast("hold")
    lonely.gate.set()
    await lonely.shows("retrieve hold", "east1: held")
    await wait_until(lambda: not node.executor._busy and not node.outbox, "all has ended")
    assert lonely.ran == ["east1", "east1"]


async def test_command_expired_on_nodes_clock_does_not_begin(lonely: Fleet) -> None:
    options = dataclasses.replace(STANDING, max_running=1)
    await lonely.manager(options=options)
    await lonely.node("east1", options=options)
    await lonely.broadcast("hold")
    await wait_until(lambda: lonely.ran == ["east1"], "the node is busy")
    sent = await lonely.broadcast("mark")
    since = time.monotonic()
    await wait_until(lambda: time.monotonic() > since + 2 * STANDING.command_ttl_s, "time passes")
    lonely.gate.set()
    await lonely.shows(f"retrieve {sent}", "east1: (missed)")
    assert lonely.ran == ["east1"]


async def test_signed_command_runs_once_though_redis_forgets(server: EmbeddedServer, lonely: Fleet) -> None:
    key = SigningKey(b"k" * 32, "m1", dt.date(2999, 1, 1))
    (lonely.folder / "keys").mkdir()
    private, _ = write_key_files(lonely.folder / "keys", key)
    options = dataclasses.replace(QUICK, session_lease_s=30.0)
    manager = await lonely.manager(configuration=f'cluster {{ signing_key = "{private}" }}\n', options=options)
    trusting = f'cluster {{ trusted_managers = ( "{key.public}" ) }}\n'
    node = await lonely.node("east1", configuration=trusting, options=options)
    await manager.link.call("SAVE")
    async with hearing(manager.link, manager.keys.everyone) as heard:
        assert await lonely.lines("gather mark") == ["east1: marked"]
        await wait_until(lambda: bool(heard), "the command is heard")
    await asyncio.to_thread(server.stop, signal.SIGKILL)
    await asyncio.to_thread(server.start)
    assert node.heartbeats.listening is not None
    await wait_until(lambda: not manager.link.fault and node.heartbeats.listening.is_set(), "all are back")
    for _ in range(3):
        await manager.link.call("PUBLISH", manager.keys.everyone, heard[0])
        node.executor.read_up(heard[0])
    lonely.gate.set()
    assert await lonely.lines("gather hold") == ["east1: held"]
    assert lonely.ran == ["east1", "east1"]
