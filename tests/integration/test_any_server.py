"""The cluster works in the same way on each server program: Redis and Valkey."""

import asyncio
import dataclasses
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from eccmgr.redis.embedded import EmbeddedServer
from tests.daemons import QUICK
from tests.integration.fleet import Fleet
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_tasks_left")]

CALM = dataclasses.replace(QUICK, session_lease_s=4.0)


@pytest_asyncio.fixture
async def own_server(each_server: Path, folder: Path) -> AsyncIterator[EmbeddedServer]:
    """A server of that program, for this test alone."""
    made = EmbeddedServer(folder / "redis", program=each_server)
    await asyncio.to_thread(made.start)
    yield made
    await asyncio.to_thread(made.stop)


@pytest_asyncio.fixture
async def fleet(own_server: EmbeddedServer, folder: Path) -> AsyncIterator[Fleet]:
    """A manager and three nodes on that server."""
    async with AsyncExitStack() as stack:
        made = Fleet(own_server.url, "any", folder, stack)
        await made.manager(options=CALM)
        for name, subcluster in (("east1", "east"), ("east2", "east"), ("west1", "west")):
            await made.node(name, subcluster, options=CALM)
        yield made


async def test_every_way_of_sending_reaches_nodes_once(fleet: Fleet) -> None:
    assert await fleet.lines("gather mark") == ["east1: marked", "east2: marked", "west1: marked"]
    assert await fleet.lines("gather @east mark") == ["east1: marked", "east2: marked"]
    assert await fleet.lines("gather east1,west1 mark") == ["east1: marked", "west1: marked"]
    assert await fleet.lines("gather --batch 1 --max-failures 0 fail") == [
        *("east1: failed: it cannot be done", "east2: (skipped)", "west1: (skipped)")
    ]
    await fleet.ask("unicast west1 mark")
    await fleet.shows("retrieve_node west1 mark", "west1: marked")
    assert sorted(fleet.ran) == ["east1"] * 3 + ["east2"] * 2 + ["west1"] * 3


async def test_answers_of_any_size_are_kept_and_flushed(fleet: Fleet) -> None:
    assert await fleet.lines("gather west1 repeat 300000") == ["west1: " + "x" * 300_000]
    sent = await fleet.broadcast("hold")
    await wait_until(lambda: len(fleet.ran) == 3, "it runs")
    assert (await fleet.ask(f"abort #{sent}")).splitlines()[1:] == [
        *("east1: (aborted)", "east2: (aborted)", "west1: (aborted)")
    ]
    assert [line.split()[3:] for line in (await fleet.ask("history")).splitlines()] == [
        ["west1", "1/1", "repeat", "300000"],
        ["@all", "0/3", "hold"],
    ]
    assert await fleet.ask("flush control cache") == "Flushed 2 commands"
    assert await fleet.ask("retrieve hold") == "Nothing to retrieve for 'hold'"


async def test_killed_server_that_returns_empty_is_followed(fleet: Fleet, own_server: EmbeddedServer) -> None:
    await asyncio.to_thread(own_server.stop, signal.SIGKILL)
    await asyncio.to_thread(own_server.start)

    async def all_answer() -> bool:
        return "3 of 3 answered" in await fleet.ask("gather --timeout 1 pid")

    await wait_until(all_answer, "everybody is a member again")
    assert await fleet.lines("gather mark") == ["east1: marked", "east2: marked", "west1: marked"]
