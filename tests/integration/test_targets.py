"""An operator looks first which nodes a target means, and later which commands were sent."""

import json
import re
from typing import Any

import pytest

from eccmgr.cluster.view import Target, TargetKind
from eccmgr.commands.table import prompt
from eccmgr.manager import Manager
from eccmgr.node.messages import Message
from eccmgr.redis.connect import Link
from tests.integration.fleet import Fleet, die
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]


class TestPreview:
    @pytest.mark.parametrize(
        ("target", "shown"),
        [
            ("@all", "east[1-3],west1  (4 nodes)"),
            ("@EAST", "east[1-3]  (3 nodes)"),
            ("East2", "east2  (1 node)"),
            ("east2.example.com", "east2  (1 node)"),
            ("east[1-2],west1", "east[1-2],west1  (3 nodes)"),
            ("@west,east3", "east3,west1  (2 nodes)"),
            ("@east&os:linux!east3", "east[1-2]  (2 nodes)"),
            ('"( @west , east1 ) ^ @all"', "east[2-3]  (2 nodes)"),
            ("!east3", "'!east3' is not a TARGET: write a set before the '!', such as @all!east3"),
            ("@north", "Unknown subcluster 'north'; known: east,west"),
            ("east[1-9]", "Unknown nodes 'east[4-9]'; known: east[1-3],west1"),
            ("nobody", "Unknown node 'nobody'; known: east[1-3],west1"),
            ("east[1-", "Not a node set: 'east[1-'; write it like east[1-3,7],west1"),
            ("east1 east2", "Usage: preview TARGET"),
        ],
    )
    async def test_it_says_which_nodes_a_target_means(self, fleet: Fleet, target: str, shown: str) -> None:
        await fleet.manager()
        for name in ("east1", "east2", "east3", "west1"):
            await fleet.node(name, name[:4])
        assert await fleet.ask(f"preview {target}") == shown
        assert await fleet.ask("history") == "No command has been sent to nodes lately"

    async def test_a_dead_node_is_not_meant(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1")
        dead = await fleet.node("east2")
        await die(dead)
        await wait_until(lambda: fleet.managers[0].session.view > dead.session.view, "the death is noticed")
        assert await fleet.ask("preview east[1-2]") == "east1  (1 node)"
        assert re.fullmatch(r"Node 'east2' is absent since \d\d:\d\d", await fleet.ask("preview east2"))


class TestGatherOfOne:
    async def test_newest_node_is_a_target_without_extra_questions(self, fleet: Fleet) -> None:
        manager = await fleet.manager()
        asked = _count(manager.link, "roster")
        await fleet.node("east1")
        assert "east1: " in await fleet.ask("gather east1 pid")
        before = asked[0]
        for _ in range(3):
            assert "1 of 1 answered" in await fleet.ask("gather cluster nodename")
        assert asked[0] == before
        await fleet.node("pid")
        assert "pid: pid" in await fleet.ask("gather pid cluster nodename")


class TestMistypedTarget:
    async def test_modules_command_behind_unknown_node_is_not_sent(self, fleet: Fleet) -> None:
        manager = await fleet.manager()
        await fleet.node("east1.example.com")
        await wait_until(lambda: _said(manager, "mark"), "the node has said its words")
        said = await fleet.ask("gather east33 mark")
        known = "Unknown node 'east33'; known: east1.example.com"
        assert said == f"{known}. To send it as a command: gather -- east33 mark"
        assert fleet.ran == []
        assert await fleet.lines("gather east1 mark") == ["east1.example.com: marked"]
        assert (await fleet.lines("gather -- east33 mark"))[0].startswith("east1.example.com: failed: Unknown command")

    async def test_words_of_later_commands_are_known(self, fleet: Fleet) -> None:
        manager = await fleet.manager()
        node = await fleet.node("east1")
        await wait_until(lambda: _said(manager, "mark"), "the node has said its words")
        node.table.add(prompt("price", "a price", lambda: "3"))
        await wait_until(lambda: _said(manager, "price"), "the node has said its new word")


async def _said(manager: Manager, word: str) -> bool:
    return word in await manager.delivery.vocabulary()


def _count(link: Link, name: str) -> list[int]:
    """Count the calls of the script `name` from now on."""
    called, run = [0], link.run

    async def counting(wanted: str, *args: Any, **more: Any) -> Any:
        called[0] += wanted == name
        return await run(wanted, *args, **more)

    link.run = counting  # type: ignore[method-assign]
    return called


class TestLargeSet:
    async def test_node_outside_the_target_begins_nothing(self, fleet: Fleet) -> None:
        manager = await fleet.manager()
        await fleet.node("east1")
        other = await fleet.node("west1")
        begun: list[str] = []

        async def begin(message: Message, _life: object) -> None:
            begun.append(message.text)

        other.executor._execute = begin  # type: ignore[method-assign,assignment]
        large = Target(TargetKind.SET, "east[1-101]")
        for command in ("mark", "cluster nodename"):
            report = await manager.delivery.gather(command, large, "root", 30)
            assert [(found.node, found.state.value) for found in report.outcomes] == [("east1", "ok")]
        assert await fleet.lines("gather east1 pid") != []
        await wait_until(lambda: not other.executor._runs, "the other node is done with both")
        assert begun == []


class TestHistory:
    async def test_history_shows_sender_target_and_number_of_answers(self, fleet: Fleet) -> None:
        await fleet.manager()
        for name in ("east1", "east2", "west1"):
            await fleet.node(name, name[:4], deaf=name == "west1")
        sent = [(await fleet.ask(f"gather {command}")).split()[1] for command in ("@east mark", "east[1-2] pid")]
        sent.append(await fleet.broadcast("fail"))

        async def answered() -> bool:
            return "  2/3  " in (await fleet.ask("history")).splitlines()[-1]

        await wait_until(answered, "the two that hear have answered")
        lines = [line.split("  ") for line in (await fleet.ask("history")).splitlines()]
        user = lines[0][2]
        assert [[line[0], *line[2:]] for line in lines] == [
            [sent[0], user, "@east", "2/2", "mark"],
            [sent[1], user, "east[1-2]", "2/2", "pid"],
            [sent[2], user, "@all", "2/3", "fail"],
        ]
        assert (await fleet.ask("history 1")).split()[0] == sent[2]
        facts = json.loads(await fleet.ask("json history 2"))["commands"]
        assert [(fact["id"], fact["answered"], fact["expected"]) for fact in facts] == [
            (sent[1], 2, 2),
            (sent[2], 2, 3),
        ]

    @pytest.mark.parametrize("number", ["0", "1001", "-1", "x", "9" * 200])
    async def test_a_number_that_makes_no_sense_is_refused(self, fleet: Fleet, number: str) -> None:
        await fleet.manager()
        said = await fleet.ask(f"history {number}")
        assert said == f"history takes a number from 1 to 1000, not '{number[:80]}'"
