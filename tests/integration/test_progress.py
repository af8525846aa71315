"""A streamed gather tells how far it is, and when it will know about silent nodes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from eccmgr.control import frames
from eccmgr.manager import Manager
from tests.integration.fleet import Fleet, die
from tests.listeners import Client
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]


@contextlib.asynccontextmanager
async def streaming(manager: Manager, command: str) -> AsyncIterator[list[tuple[float, dict[str, Any]]]]:
    """The events of a streamed `command`, each with the time of its arrival, as they come during the block."""
    events: list[tuple[float, dict[str, Any]]] = []

    async def read(client: Client) -> None:
        while True:
            events.append((time.monotonic(), await client.fields(frames.CHUNK)))

    path = manager.endpoints[0].path
    assert path is not None
    async with await Client.open(path) as client:
        client.request(command, stream=True)
        reading = asyncio.create_task(read(client))
        try:
            yield events
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, AssertionError):
                await reading


def groups(event: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(group["state"], group["nodes"], group["count"]) for group in event.get("open", ())]


async def test_progress_names_the_open_nodes_by_state(fleet: Fleet) -> None:
    manager = await fleet.manager()
    for name in ("east1", "east2", "east3"):
        await fleet.node(name)
    await fleet.node("west1", deaf=True)
    async with streaming(manager, "gather hold") as events:
        expected = [("running", "east[1-3]", 3), ("silent", "west1", 1)]
        await wait_until(lambda: any(groups(event) == expected for _, event in events), "the four are open")
        event = next(event for _, event in events if groups(event) == expected)
        assert event["counts"] == {"running": 3, "pending": 1}
        assert (event["told"], event["untold"], "batch" in event) == (4, 0, False)
        assert event["open"][1]["settles_in_s"] > 0
        assert "command_id" in events[0][1]
        fleet.gate.set()
        await wait_until(
            lambda: any(event.get("counts", {}).get("ok") == 3 for _, event in events), "three have answered"
        )


async def test_progress_counts_nodes_that_were_not_told(fleet: Fleet) -> None:
    manager = await fleet.manager()
    for number in range(1, 6):
        await fleet.node(f"east{number}")
    async with streaming(manager, "gather --batch 2 hold") as events:
        expected = [("running", "east[1-2]", 2), ("pending", "east[3-5]", 3)]
        await wait_until(lambda: any(groups(event) == expected for _, event in events), "the first batch runs")
        event = next(event for _, event in events if groups(event) == expected)
        assert (event["told"], event["untold"], event["batch"]) == (2, 3, [1, 3])
        fleet.gate.set()


async def test_silent_node_is_lost_when_it_was_said(fleet: Fleet) -> None:
    manager = await fleet.manager()
    await fleet.node("east1")
    dying = await fleet.node("west1", deaf=True)
    async with streaming(manager, "gather hold") as events:
        await wait_until(lambda: any(groups(event) for _, event in events), "the gather waits")
        await die(dying)
        await wait_until(lambda: any(event.get("state") == "lost" for _, event in events), "it is lost")
        lost_at = next(at for at, event in events if event.get("state") == "lost")
        said = [
            at + group["settles_in_s"]
            for at, event in events
            for group in event.get("open", ())
            if at < lost_at and group["nodes"] == "west1"
        ]
        assert abs(said[-1] - lost_at) < 5, "generous, because this machine may be busy"
        fleet.gate.set()
