"""`describe LINE` on a manager: what a line would hit, whatever carries the dangerous command."""

import json

import pytest

from eccmgr.commands.danger import Danger
from eccmgr.commands.table import Call, Command
from tests.integration.fleet import Fleet
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]


async def described(fleet: Fleet, line: str) -> tuple[str, str, bool]:
    """What the line would do, its question, and whether it changes something."""
    answer = json.loads(await fleet.ask(f"json describe {line}"))
    return answer["what"], answer["danger"], answer["changes"]


async def test_the_carried_command_counts(fleet: Fleet) -> None:
    await fleet.manager()
    for name, subcluster in (("east1", "east"), ("east2", "east"), ("west1", "west")):
        await fleet.node(name, subcluster)
    lines = {
        "gather pid": ("pid", "none", False),
        "json broadcast version": ("version", "none", False),
        "broadcast shutdown": ("shutdown on 3 nodes of @all", "asks_number", True),
        "BROADCAST 'shutdown'": ("shutdown on 3 nodes of @all", "asks_number", True),
        "gather --batch 1 @east json shutdown": ("shutdown on 2 nodes of @east", "asks_number", True),
        "gather east[1-2] -- cluster reset": ("cluster reset on 2 nodes of east[1-2]", "asks_number", True),
        "subcluster broadcast west shutdown": ("shutdown on west1", "asks", True),
        "unicast east2 config unset a": ("config unset a on east2", "asks", True),
        "gather cluster abort 01KB3ZD4P1QX": ("cluster abort 01KB3ZD4P1QX on 3 nodes of @all", "asks", True),
        "sched in 5 broadcast shutdown": ("sched in 5: shutdown on 3 nodes of @all", "asks_number", True),
        "sched in 5 flush control cache": ("sched in 5: flush control cache", "asks", True),
        "gather sched in 5 shutdown": ("shutdown on 3 nodes of @all", "asks_number", True),
        "sched in 5 gather pid": ("sched in 5: pid", "none", True),
        "retrieve shutdown": ("retrieve shutdown", "none", False),
        "help shutdown": ("help shutdown", "none", False),
        "describe shutdown": ("describe shutdown", "none", False),
        "config set x = 1": ("config set x = ********", "none", True),
    }
    assert {line: await described(fleet, line) for line in lines} == lines


async def test_abort_says_where_the_command_still_runs(fleet: Fleet) -> None:
    await fleet.manager()
    await fleet.node("east1")
    await fleet.node("east2", deaf=True)
    sent = await fleet.broadcast("mark")

    async def left() -> bool:
        what = f"abort {sent} on 1 of 2 nodes, where 'mark' has not ended"
        return await described(fleet, f"abort {sent}") == (what, "asks", True)

    await wait_until(left, "one node is left")
    assert await described(fleet, "abort 01KB3ZD4P1QX") == ("abort 01KB3ZD4P1QX", "asks", True)


async def test_a_faulty_line_is_refused_as_ever(fleet: Fleet) -> None:
    await fleet.manager()
    await fleet.node("east1")
    for line in ("nonsense", "broadcast", "cluster info", "unicast nobody shutdown"):
        assert await fleet.ask(f"describe {line}") == await fleet.ask(line)
    assert await fleet.ask("describe") == await fleet.ask("describe json") == "Usage: describe LINE"


async def test_nodes_tell_which_module_commands_are_dangerous(fleet: Fleet) -> None:
    await fleet.manager()
    node = await fleet.node("east1")

    async def sell(_call: Call) -> str:
        return "sold"

    node.table.add(Command("shop:corner sell all", "", sell, danger=Danger.ASKS))

    async def known() -> bool:
        return (await described(fleet, "gather shop:corner sell all now"))[1] == "asks"

    await wait_until(known, "the manager knows the danger")
    assert await described(fleet, "broadcast SHOP:corner sell all") == ("shop:corner sell all on east1", "asks", True)
    assert (await described(fleet, "gather shop:corner sell"))[1] == "none"
    assert await fleet.lines("gather shop:corner sell all") == ["east1: sold"]
