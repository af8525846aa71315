"""On a server with full memory the cluster stays up, loses no answer, and can free memory."""

import asyncio
import random

import pytest

from eccmgr.commands.table import Call, Command
from tests.integration.fleet import Fleet
from tests.refusing import full
from tests.servers import Server
from tests.waiting import wait_until
from worker.node import EcNode

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]
_MEBIBYTE = 1 << 20


async def limit(server: Server, memory: int | str) -> None:
    """Limit the server to this much memory."""
    await asyncio.to_thread(server.call, "CONFIG", "SET", "maxmemory", str(memory))


async def noisy(fleet: Fleet, name: str, size: int = _MEBIBYTE) -> EcNode:
    """A node that answers `noise` once the gate is open. The answer is long and compresses badly."""
    node = await fleet.node(name)

    async def noise(_call: Call) -> str:
        fleet.ran.append(name)
        await fleet.gate.wait()
        return random.Random(1).randbytes(size // 2).hex()

    node.table.add(Command("noise", "", noise))
    return node


async def state_of(fleet: Fleet, sent: str) -> str:
    """The text that a report shows for the one node of a command."""
    header, *lines = (await fleet.ask(f"retrieve {sent}")).splitlines()
    return lines[0][:300] if lines else header


async def test_members_stay_and_an_operator_can_free_memory(server: Server, fleet: Fleet) -> None:
    await fleet.manager()
    nodes = [await fleet.node("east1"), await fleet.node("east2")]
    names = [node.session.private_name for node in nodes]
    sent = await fleet.broadcast("hold")
    await wait_until(lambda: len(fleet.ran) == 2, "both run it")
    with full(server):
        refused = await fleet.ask("broadcast mark")
        assert refused.startswith("Redis refused: its memory is full (")
        assert refused.endswith("; raise maxmemory or free memory")
        assert (await fleet.ask(f"retrieve {sent}")).splitlines()[1].startswith("east1: (running")
        await fleet.ask(f"abort {sent}")
        await fleet.shows(f"retrieve {sent}", "east1: (aborted)", "east2: (aborted)")
        assert "Members: 2 nodes, 1 manager" in await fleet.ask("info")
        assert sent in await fleet.ask("history")
        assert await fleet.ask("flush control cache") == "Flushed 1 command"
        late = await fleet.node("east3")
        assert late.session.joined.is_set()
        late.stop()
        await wait_until(lambda: not late.session.joined.is_set(), "it leaves")
        assert "Members: 2 nodes, 1 manager" in await fleet.ask("info")
    assert [node.session.private_name for node in nodes] == names


async def test_answer_waits_for_memory_without_delaying_others(server: Server, fleet: Fleet) -> None:
    await fleet.manager()
    node = await noisy(fleet, "east1")
    sent, short = await fleet.broadcast("noise"), await fleet.broadcast("hold")
    await wait_until(lambda: len(fleet.ran) == 2, "both run")
    await asyncio.to_thread(server.call, "SET", "other", "x" * 3 * _MEBIBYTE)
    await limit(server, "4mb")
    fleet.gate.set()
    await fleet.shows(f"retrieve {short}", "east1: held")
    await wait_until(lambda: len(node.outbox) == 1, "the long answer is refused")
    assert (await state_of(fleet, sent)).startswith("east1: (running")

    async def is_told() -> bool:
        return " is not kept yet: the memory of Redis is full" in await state_of(fleet, sent)

    await wait_until(is_told, "a short one stands in for it")
    await asyncio.to_thread(server.call, "DEL", "other")
    await wait_until(lambda: not node.outbox, "it is taken")
    header, *lines = (await fleet.ask(f"retrieve {sent}")).splitlines()
    assert header.endswith("1 of 1 answered")
    assert sum(map(len, lines)) > _MEBIBYTE


async def test_an_answer_that_never_fits_says_so(server: Server, fleet: Fleet) -> None:
    await fleet.manager()
    await noisy(fleet, "east1", 3 * _MEBIBYTE)
    sent = await fleet.broadcast("noise")
    await wait_until(lambda: fleet.ran == ["east1"], "it runs")
    await limit(server, "2mb")
    fleet.gate.set()

    async def said() -> bool:
        return "failed: it ran and ended as ok, but its answer of " in await state_of(fleet, sent)

    await wait_until(said, "it says so")
    assert " cannot be kept: the memory of Redis is full (maxmemory is 2.0 MiB): raise" in await state_of(fleet, sent)


async def test_an_answer_longer_than_redis_takes_says_so(server: Server, fleet: Fleet) -> None:
    await fleet.manager()
    await noisy(fleet, "east1", 3 * _MEBIBYTE)
    await asyncio.to_thread(server.call, "CONFIG", "SET", "proto-max-bulk-len", str(_MEBIBYTE))
    fleet.gate.set()
    sent = await fleet.broadcast("noise")

    async def said() -> bool:
        return "Redis takes no answer this long (proto-max-bulk-len)" in await state_of(fleet, sent)

    await wait_until(said, "it says so")
