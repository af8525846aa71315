"""An operator withdraws a command: nodes that have not begun it never begin it, and nodes that run it end it."""

import asyncio
import dataclasses

import pytest

from tests.daemons import QUICK, ask
from tests.integration.fleet import Fleet
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]
ONE_AT_A_TIME = dataclasses.replace(QUICK, max_running=1)


class TestAbort:
    async def test_running_command_is_ended_and_answers_stand(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1")
        await fleet.node("east2", deaf=True)
        sent = await fleet.broadcast("hold")
        await wait_until(lambda: fleet.ran == ["east1"], "it has begun")
        header, *lines = (await fleet.ask(f"abort #{sent.lower()}")).splitlines()
        assert header.startswith(f"# {sent}  hold  ")
        assert lines == ["east1: (aborted)", "east2: (aborted)"]
        assert await fleet.lines(f"abort {sent}") == lines
        done = (await fleet.ask("gather east1 pid")).split()[1]
        assert await fleet.lines(f"abort {done}") == await fleet.lines(f"retrieve {done}")

    async def test_what_waits_for_its_turn_never_runs(self, fleet: Fleet) -> None:
        await fleet.manager()
        node = await fleet.node("east1", options=ONE_AT_A_TIME)
        await fleet.broadcast("hold")
        await wait_until(lambda: fleet.ran == ["east1"], "the first runs")
        sent = [await fleet.broadcast(command) for command in ("mark", "mark", "version")]
        await wait_until(lambda: len(node.executor._waiting) >= 2, "the others wait")
        for each in sent:
            assert await fleet.lines(f"abort #{each}") == ["east1: (aborted)"]
        fleet.gate.set()
        await fleet.shows("retrieve hold", "east1: held")
        assert await fleet.lines("gather pid") != []
        for each in sent:
            assert await fleet.lines(f"retrieve {each}") == ["east1: (aborted)"]
        assert fleet.ran == ["east1"]

    async def test_a_gather_that_waits_ends_with_it(self, fleet: Fleet) -> None:
        await fleet.manager("barca")
        await fleet.manager("milan")
        await fleet.node("east1")
        await fleet.node("east2", deaf=True)
        gathering = asyncio.create_task(fleet.ask("gather --timeout 3600 hold"))
        await wait_until(lambda: fleet.ran == ["east1"], "it has begun")
        sent = (await fleet.ask("history")).split()[0]
        aborted = await fleet.ask(f"abort #{sent}", manager=1)
        assert aborted.splitlines()[1:] == ["east1: (aborted)", "east2: (aborted)"]
        assert await gathering == aborted

    async def test_a_gather_in_batches_goes_no_further(self, fleet: Fleet) -> None:
        await fleet.manager()
        for number in range(1, 4):
            await fleet.node(f"east{number}")
        gathering = asyncio.create_task(fleet.ask("gather --timeout 3600 --batch 1 hold"))
        await wait_until(lambda: fleet.ran == ["east1"], "the first has begun")
        await fleet.ask(f"abort #{(await fleet.ask('history')).split()[0]}")
        assert (await gathering).splitlines()[1:] == [f"east{number}: (aborted)" for number in (1, 2, 3)]
        assert fleet.ran == ["east1"]

    @pytest.mark.parametrize("named", ["#01KB3ZC0WV9Y", "#1", "mark"])
    async def test_what_was_never_sent_cannot_be_aborted(self, fleet: Fleet, named: str) -> None:
        await fleet.manager()
        assert await fleet.ask(f"abort {named}") == f"Nothing to abort for '{named}'"


class TestAbortOnANode:
    async def test_it_ends_the_command_there_and_nowhere_else(self, fleet: Fleet) -> None:
        await fleet.manager()
        east = await fleet.node("east1")
        await fleet.node("east2")
        sent = await fleet.broadcast("hold")
        await wait_until(lambda: len(fleet.ran) == 2, "both have begun")
        path = str(east.endpoints[0].path)
        assert await ask(path, f"cluster abort #{sent}") == [f"Aborted {sent}"]
        await fleet.shows("retrieve_node east1 hold", "east1: (aborted)")
        assert await ask(path, f"cluster abort {sent}") == [f"Command '{sent}' neither waits nor runs on this node"]
        fleet.gate.set()
        await fleet.shows("retrieve hold", "east1: (aborted)", "east2: held")
