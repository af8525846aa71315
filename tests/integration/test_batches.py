"""An operator sends a command in batches. It stops if too many nodes fail."""

import asyncio
import dataclasses
import json

import pytest

from eccmgr.control import frames
from tests.daemons import QUICK
from tests.integration.fleet import Fleet, die
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]


class TestBatches:
    async def test_every_targeted_node_runs_it_once_in_order(self, fleet: Fleet) -> None:
        await fleet.manager()
        for name in ("east10", "east2", "east1", "west1"):
            await fleet.node(name, name[:4])
        answer = await fleet.ask("gather --batch 1 @east mark")
        assert answer.splitlines()[1:] == ["east1: marked", "east2: marked", "east10: marked"]
        assert "3 of 3 answered" in answer
        assert fleet.ran == ["east1", "east2", "east10"]
        assert await fleet.ask("retrieve mark") == answer
        assert await fleet.lines("gather --batch 50% west1,east[1-2] pid") == await fleet.lines("retrieve pid")
        assert [line.split("  ")[3:] for line in (await fleet.ask("history")).splitlines()] == [
            ["@east", "3/3", "mark"],
            ["east[1-2],west1", "3/3", "pid"],
        ]

    async def test_batch_bounds_the_nodes_running_at_once(self, fleet: Fleet) -> None:
        await fleet.manager()
        for number in range(1, 6):
            await fleet.node(f"east{number}")
        gathering = asyncio.create_task(fleet.ask("gather --batch 2 hold"))
        await wait_until(lambda: len(fleet.ran) == 2, "the first two have begun")
        assert sorted(fleet.ran) == ["east1", "east2"]
        lines = await fleet.lines("retrieve hold")
        assert [line.partition(",")[0].partition("(")[2] for line in lines] == ["running"] * 2 + ["pending"] * 3
        fleet.gate.set()
        assert (await gathering).splitlines()[1:] == [f"east{number}: held" for number in range(1, 6)]

    async def test_too_many_failures_skip_the_others(self, fleet: Fleet) -> None:
        await fleet.manager()
        for number in range(1, 6):
            await fleet.node(f"east{number}")
        lines = ["east1: failed: it cannot be done", "east2: failed: it cannot be done"]
        lines += [f"east{number}: (skipped)" for number in (3, 4, 5)]
        assert await fleet.lines("gather --batch 1 --max-failures 1 fail") == lines
        assert await fleet.lines("retrieve fail") == lines

    async def test_node_dying_in_its_batch_counts_as_failure(self, fleet: Fleet) -> None:
        await fleet.manager()
        dying = await fleet.node("east1")
        await fleet.node("east2")
        gathering = asyncio.create_task(fleet.ask("gather --timeout 3600 --batch 1 --max-failures 0 hold"))
        await wait_until(lambda: fleet.ran == ["east1"], "it has begun")
        await die(dying)
        assert (await gathering).splitlines()[1:] == ["east1: (lost)", "east2: (skipped)"]
        assert fleet.ran == ["east1"]

    async def test_silent_node_holds_its_place_only_briefly(self, fleet: Fleet) -> None:
        quick = dataclasses.replace(QUICK, command_ttl_s=0.5)
        await fleet.manager(options=quick)
        await fleet.node("east1", deaf=True, options=quick)
        await fleet.node("east2", options=quick)
        lines = await fleet.lines("gather --timeout 3600 --batch 1 mark")
        assert lines == ["east1: (missed)", "east2: marked"]

    async def test_command_without_its_sender_skips_untold_nodes(self, fleet: Fleet) -> None:
        manager = await fleet.manager()
        await fleet.node("east1")
        await fleet.node("east2")
        _, writer = await asyncio.open_unix_connection(manager.endpoints[0].path)
        request = {"id": 1, "command": "gather --timeout 3600 --batch 1 hold", "stream": True}
        writer.write(frames.encode(frames.REQUEST, json.dumps(request).encode()))
        await wait_until(lambda: fleet.ran == ["east1"], "the first has begun")
        writer.transport.abort()

        async def shown(first: str) -> bool:
            lines = await fleet.lines("retrieve hold")
            return lines[0].startswith(first) and lines[1] == "east2: (skipped)"

        await wait_until(lambda: shown("east1: (running, "), "the second is skipped while the first is at it")
        fleet.gate.set()
        await wait_until(lambda: shown("east1: held"), "the first has answered")
        assert fleet.ran == ["east1"]

    async def test_command_past_its_time_skips_untold_nodes(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1", deaf=True)
        await fleet.node("east2")
        first, second = await fleet.lines("gather --timeout 1 --batch 1 mark")
        assert first.startswith("east1: (pending, ")
        assert second == "east2: (skipped)"
        assert fleet.ran == []
