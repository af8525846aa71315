"""An operator sends commands through a manager and reads back their outcome on every node."""

import asyncio
import dataclasses
import itertools
import json
import re
import time

import pytest

from eccmgr.cluster.delivery import Delivery
from eccmgr.cluster.gathering import Audience
from eccmgr.cluster.results import Outcome
from eccmgr.cluster.view import EVERYONE
from eccmgr.commands.caller import Origin
from eccmgr.commands.table import Call, Command, Param
from tests.daemons import QUICK
from tests.integration.fleet import Fleet, die
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]


class TestIds:
    async def test_two_gathers_with_one_id_both_end(self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
        manager = await fleet.manager()
        await fleet.node("east1")
        chances = itertools.chain((1, 1), itertools.count(2))
        monkeypatch.setattr("eccmgr.cluster.publishing.secrets.randbits", lambda _bits: next(chances))
        delivery = Delivery(manager.link, manager.keys, manager.options, "unheard", lambda: 1_700_000_000_000)
        found = await asyncio.gather(*(delivery.gather("mark", EVERYONE, "root", 5.0) for _ in range(2)))
        assert [report.answered for report in found] == [1, 1]
        assert found[0].sent.id != found[1].sent.id


class TestTargets:
    async def test_a_broadcast_goes_to_every_node(self, fleet: Fleet) -> None:
        await fleet.manager()
        for name in ("east1", "west1"):
            await fleet.node(name)
        assert (await fleet.ask("broadcast mark")).endswith(" to 2 nodes")
        await fleet.shows("retrieve mark", "east1: marked", "west1: marked")

    async def test_a_subcluster_broadcast_goes_to_its_nodes_alone(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1", "East")
        await fleet.node("west1", "West")
        assert (await fleet.ask("subcluster broadcast EAST mark")).endswith(" to 1 node")
        await fleet.shows("retrieve mark", "east1: marked")
        assert fleet.ran == ["east1"]

    async def test_unicast_reaches_one_node_by_either_name(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1")
        await fleet.node("west1.example.com")
        for name in ("EAST1", "east1.example.com"):
            assert re.fullmatch("Sent [0-9A-Z]{12} to [a-z0-9.]+", await fleet.ask(f"unicast {name} mark"))
            await fleet.shows("retrieve mark", "east1: marked")
        assert (await fleet.ask("unicast west1 mark")).endswith(" to west1.example.com")
        await fleet.shows("retrieve mark", "west1.example.com: marked")
        assert fleet.ran == ["east1", "east1", "west1.example.com"]

    async def test_set_reaches_only_its_nodes_whatever_the_command(self, fleet: Fleet) -> None:
        await fleet.manager()
        nodes = [await fleet.node(name, name[:4]) for name in ("East1", "east2", "east3", "west1")]
        begun: list[str] = []
        for node in nodes:
            node.executor._execute = _noting(begun, node.executor._execute)  # type: ignore[method-assign]
        assert await fleet.lines("gather east[1,3],WEST1 mark") == ["East1: marked", "east3: marked", "west1: marked"]
        assert await fleet.lines("gather @west,east2 cluster nodename") == ["east2: east2", "west1: west1"]
        assert await fleet.lines("retrieve_node EAST3 mark") == ["east3: marked"]
        assert sorted(fleet.ran) == ["East1", "east3", "west1"]
        assert len(begun) == 5

    @pytest.mark.parametrize(
        ("command", "answer"),
        [
            ("gather east[1-9] mark", "Unknown nodes 'east[3-9]'; known: east[1-2],west1"),
            ("gather west1,nobody mark", "Unknown node 'nobody'; known: east[1-2],west1"),
            ("gather n[1-100000] mark", "A node set may name at most 10000 nodes"),
            ("unicast nobody mark", "Unknown node 'nobody'; known: east[1-2],west1"),
            ("subcluster broadcast north mark", "Unknown subcluster 'north'; known: east,west"),
            ("gather @north mark", "Unknown subcluster 'north'; known: east,west"),
            ("retrieve mark", "Nothing to retrieve for 'mark'"),
            ("retrieve_node east1 mark", "Nothing to retrieve for 'mark'"),
            ("subcluster retrieve east mark", "Nothing to retrieve for 'mark'"),
            ("retrieve #01KB3ZC0WV9Y", "Nothing to retrieve for '#01KB3ZC0WV9Y'"),
        ],
    )
    async def test_what_cannot_be_is_said(self, fleet: Fleet, command: str, answer: str) -> None:
        await fleet.manager()
        for name in ("east1", "east2", "west1"):
            await fleet.node(name, name[:4])
        assert await fleet.ask(command) == answer
        assert fleet.ran == []

    async def test_with_nobody_there_nothing_is_sent(self, fleet: Fleet) -> None:
        await fleet.manager()
        assert await fleet.ask("broadcast mark") == "No node is alive in the cluster; nothing was sent"
        dead = await fleet.node("east1", "east")
        await die(dead)
        await wait_until(lambda: fleet.managers[0].session.view > dead.session.view, "the death is noticed")
        since = r"since \d\d:\d\d; nothing was sent"
        assert re.fullmatch(f"Node 'east1' is absent {since}", await fleet.ask("unicast EAST1 mark"))
        assert re.fullmatch(f"Node 'east1' is absent {since}", await fleet.ask("gather EAST1 mark"))
        said = await fleet.ask("subcluster broadcast EAST mark")
        assert re.fullmatch(f"No node of subcluster 'east' is alive; absent: east1 {since}", said)
        assert await fleet.ask("retrieve mark") == "Nothing to retrieve for 'mark'"


class TestRetrieve:
    async def test_results_can_be_limited_to_subcluster_or_node(self, fleet: Fleet) -> None:
        await fleet.manager()
        for name in ("east1", "east2", "west1"):
            await fleet.node(name, name[:4])
        await fleet.ask("gather mark")
        assert await fleet.lines("subcluster retrieve EAST mark") == ["east1: marked", "east2: marked"]
        assert await fleet.lines("retrieve_node WEST1.example.com mark") == ["west1: marked"]
        assert "1 of 1 answered" in await fleet.ask("retrieve_node west1 mark")
        sent = (await fleet.ask("gather @east pid")).split()[1]
        others = f"it was sent to @east as {sent}"
        assert await fleet.ask("subcluster retrieve west pid") == f"'pid' was not sent to subcluster 'west'; {others}"
        assert await fleet.ask("retrieve_node west1 pid") == f"'pid' was not sent to node 'west1'; {others}"
        assert (await fleet.ask("retrieve_node nobody pid")).startswith("Unknown node 'nobody'; known: ")

    async def test_later_run_for_others_hides_no_earlier_one(self, fleet: Fleet) -> None:
        await fleet.manager()
        for name in ("east1", "east2", "west1"):
            await fleet.node(name, name[:4])
        everyone = (await fleet.ask("gather mark")).split()[1]
        east = (await fleet.ask("gather @east mark")).split()[1]
        east1 = (await fleet.ask("gather east1 mark")).split()[1]
        both = (await fleet.ask("gather east2,west1 mark")).split()[1]
        west1 = (await fleet.ask("gather west1 mark")).split()[1]
        for command, shown in (
            ("retrieve mark", west1),
            ("subcluster retrieve west mark", west1),
            ("subcluster retrieve east mark", both),
            ("retrieve_node east1 mark", east1),
            ("retrieve_node east2 mark", both),
            (f"retrieve_node east2 {east}", east),
            (f"subcluster retrieve west #{everyone}", everyone),
        ):
            assert (await fleet.ask(command)).split()[1] == shown, command
        assert (await fleet.ask(f"retrieve_node west1 {east}")).startswith(f"'{east}' was not sent to node 'west1'; ")
        await fleet.ask("flush control cache")
        assert await fleet.ask("retrieve_node east1 mark") == "Nothing to retrieve for 'mark'"

    async def test_every_spelling_of_a_command_finds_its_run(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1")
        sent = (await fleet.ask('gather "cluster nodename"')).split()[1]
        assert await fleet.lines("retrieve cluster nodename") == ["east1: east1"]
        for spelling in ('"cluster nodename"', "CLUSTER  nodename", "'cluster' \"nodename\""):
            assert (await fleet.ask(f"retrieve {spelling}")).split()[1] == sent
        repeated = (await fleet.ask("gather repeat 3")).split()[1]
        assert (await fleet.ask('retrieve Repeat "3"')).split()[1] == repeated

    async def test_text_or_id_names_a_command(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1")
        first = (await fleet.ask('gather repeat  "3"')).split()[1]
        second = (await fleet.ask('gather repeat "3"')).split()[1]
        assert first != second
        for named, found in (
            ('repeat    "3" ', second),
            (first, first),
            (f"#{first}", first),
            (f"#{first.lower()}", first),
            ("repeat 3", second),
        ):
            assert (await fleet.ask(f"retrieve {named}")).split()[1] == found
        assert await fleet.ask('retrieve repeat " 3"') == "Nothing to retrieve for 'repeat \" 3\"'"

    async def test_silent_nodes_are_listed_by_name(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east10", deaf=True)
        await fleet.node("east2")
        await fleet.node("east1", deaf=True)
        await fleet.broadcast("mark")
        await fleet.shows("retrieve_node east2 mark", "east2: marked")
        header, *lines = (await fleet.ask("retrieve mark")).splitlines()
        assert header.endswith("1 of 3 answered")
        assert [line.partition(",")[0] for line in lines] == ["east1: (pending", "east2: marked", "east10: (pending"]

    async def test_every_manager_sees_the_same_results(self, fleet: Fleet) -> None:
        await fleet.manager("barca")
        await fleet.manager("milan")
        await fleet.node("east1")
        gathered = await fleet.ask("gather mark", manager=0)
        assert await fleet.ask("retrieve mark", manager=1) == gathered
        await fleet.ask("flush control cache", manager=1)
        assert await fleet.ask("retrieve mark", manager=0) == "Nothing to retrieve for 'mark'"

    async def test_two_gathers_at_once_are_not_mixed_up(self, fleet: Fleet) -> None:
        await fleet.manager("barca")
        await fleet.manager("milan")
        for name in ("east1", "east2"):
            await fleet.node(name)
        wanted = {f"gather repeat {number}": "x" * number for number in range(1, 21)}
        answers = await asyncio.gather(*(fleet.ask(command, manager=len(command) % 2) for command in wanted))
        for answer, text in zip(answers, wanted.values(), strict=True):
            assert answer.splitlines()[1:] == [f"east1: {text}", f"east2: {text}"]

    async def test_many_read_old_results_of_many_views(self, fleet: Fleet) -> None:
        await fleet.manager()
        node = await fleet.node("east1")
        sent = []
        for _ in range(12):
            sent.append((await fleet.ask("gather pid")).split()[1])
            await node.session.reset()
        answers = await asyncio.gather(*(fleet.ask(f"retrieve {each}") for each in sent * 4))
        assert [answer.partition("  ")[0] for answer in answers] == [f"# {each}" for each in sent * 4]


class TestFlush:
    async def test_it_counts_what_it_clears(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1")
        await fleet.ask("gather mark")
        sent = (await fleet.ask("gather pid")).split()[1]
        assert await fleet.ask("flush control cache") == "Flushed 2 commands"
        assert await fleet.ask("flush control cache") == "Flushed 0 commands"
        assert await fleet.ask(f"retrieve #{sent}") == f"Nothing to retrieve for '#{sent}'"
        await fleet.ask("gather mark")
        assert await fleet.ask("flush control cache") == "Flushed 1 command"

    async def test_running_gather_still_accounts_for_every_node(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1")
        silent = await fleet.node("east2", deaf=True)
        gathering = asyncio.create_task(fleet.ask("gather --timeout 3600 hold"))
        await wait_until(lambda: fleet.ran == ["east1"], "the command runs")
        assert await fleet.ask("flush control cache") == "Flushed 1 command"
        fleet.gate.set()
        await die(silent)
        header, *lines = (await gathering).splitlines()
        assert header.endswith("1 of 2 answered, 1 lost")
        assert lines == ["east1: held", "east2: (lost)"]


class TestGather:
    async def test_it_streams_each_response_as_it_comes(self, fleet: Fleet) -> None:
        manager = await fleet.manager()
        for name in ("east1", "east2"):
            await fleet.node(name)
        heard: list[Outcome] = []

        async def hear(outcome: Outcome) -> None:
            heard.append(outcome)

        report = await manager.delivery.gather("mark", EVERYONE, "root", 30, Audience(on_outcome=hear))
        assert sorted(heard, key=lambda o: o.node) == list(report.outcomes)

    async def test_finished_command_shows_late_answers_as_late(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1")
        await fleet.node("east2", deaf=True)
        header, *lines = (await fleet.ask("gather --timeout 2 hold")).splitlines()
        assert header.endswith("0 of 2 answered")
        assert [line.partition(",")[0] for line in lines] == ["east1: (running", "east2: (pending"]
        fleet.gate.set()

        async def late() -> bool:
            return (await fleet.lines("retrieve_node east1 hold"))[0].startswith("east1: held (late, ")

        await wait_until(late, "the late answer is shown")

    async def test_node_that_dies_meanwhile_is_lost_without_waiting(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1")
        dying = await fleet.node("east2")
        gathering = asyncio.create_task(fleet.ask("gather --timeout 3600 hold"))
        await wait_until(lambda: sorted(fleet.ran) == ["east1", "east2"], "both have begun")
        await die(dying)
        await wait_until(lambda: fleet.managers[0].session.view > dying.session.view, "the death is noticed")
        fleet.gate.set()
        header, *lines = (await gathering).splitlines()
        assert header.endswith("1 of 2 answered, 1 lost")
        assert lines == ["east1: held", "east2: (lost)"]

    async def test_a_node_lost_before_is_absent_and_named(self, fleet: Fleet) -> None:
        manager = await fleet.manager()
        await fleet.node("east1")
        dead = await fleet.node("east2")
        await die(dead)
        await wait_until(lambda: manager.session.view > dead.session.view, "the death is noticed")
        header, *lines = (await fleet.ask("gather --timeout 3600 mark")).splitlines()
        assert header.endswith("1 of 2 answered, 1 absent")
        assert lines[0] == "east1: marked"
        assert re.fullmatch(r"east2: \(absent since \d\d:\d\d\)", lines[1])
        assert (await fleet.ask("broadcast mark")).endswith(" to 1 node; 1 absent: east2")
        assert json.loads(await fleet.ask("json retrieve mark"))["nodes"][1]["state"] == "absent"
        assert '<Response Node="east2" State="absent">' in await fleet.ask("xml retrieve mark")

    async def test_reset_nodes_have_answered_and_are_not_lost(self, fleet: Fleet) -> None:
        await fleet.manager()
        nodes = [await fleet.node("east1"), await fleet.node("east2")]
        before = {node.session.private_name for node in nodes}
        lines = await fleet.lines("gather cluster reset")
        fresh = [node.session.private_name for node in nodes]
        assert lines == [f"east{n}: Cluster connection reset: {private}" for n, private in enumerate(fresh, 1)]
        assert not before & set(fresh)
        assert await fleet.lines("gather mark") == ["east1: marked", "east2: marked"]

    async def test_command_not_run_in_time_is_missed(self, fleet: Fleet) -> None:
        quick = dataclasses.replace(QUICK, command_ttl_s=0.5)
        await fleet.manager(options=quick)
        await fleet.node("east1", deaf=True, options=quick)
        assert await fleet.lines("gather --timeout 3600 mark") == ["east1: (missed)"]


class TestAnswers:
    async def test_long_command_passes_the_gate_before_its_job(self, fleet: Fleet) -> None:
        await fleet.manager()
        node = await fleet.node("east1")

        async def never(_call: Call) -> str:
            raise AssertionError("the gate has let it through")

        node.table.add(Command("dig", "", never, (Param("DEPTH"),), long=True))
        sent = await fleet.broadcast("dig")
        await fleet.shows(f"retrieve {sent}", "east1: failed: Usage: dig DEPTH")
        assert node.jobs.ids == []
        assert node.gate.passed[Origin.CARRIED] == 0

    async def test_a_failure_is_shown_as_one(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1")
        assert await fleet.lines("gather fail") == ["east1: failed: it cannot be done"]
        (line,) = await fleet.lines("gather nonsense")
        assert line.startswith("east1: failed: Unknown command: 'nonsense'.")

    async def test_large_answers_are_whole_or_visibly_cut(self, fleet: Fleet) -> None:
        manager = await fleet.manager()
        await fleet.node("east1", options=dataclasses.replace(QUICK, max_response_bytes=200_000))
        assert await fleet.lines("gather repeat 200000") == ["east1: " + "x" * 200_000]
        kept = await manager.link.call(
            "HGET", manager.keys.responses((await fleet.ask("retrieve repeat 200000")).split()[1]), "east1"
        )
        assert len(kept) < 10_000
        lines = await fleet.lines("gather repeat 200001")
        assert lines[0] == "east1:"
        assert lines[-1] == "  (cut: 200001 bytes, limit 200000)"
        assert len(lines[1].strip("x ")) == 0

    async def test_overlong_command_is_cancelled_and_says_so(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1", options=dataclasses.replace(QUICK, command_timeout_s=0.2))
        assert await fleet.lines("gather hold") == ["east1: failed: timed out after 0.2 s"]

    async def test_running_commands_stay_within_the_bound(self, fleet: Fleet) -> None:
        await fleet.manager()
        node = await fleet.node("east1", options=dataclasses.replace(QUICK, max_running=2))
        for _ in range(4):
            await fleet.broadcast("hold")
        sent = await fleet.broadcast("mark")
        await wait_until(lambda: len(node.executor._waiting) == 3, "the others wait")
        assert fleet.ran == ["east1", "east1"]
        fleet.gate.set()
        await fleet.shows(f"retrieve {sent}", "east1: marked")
        assert len(fleet.ran) == 5

    async def test_command_over_the_waiting_bound_is_refused(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1", options=dataclasses.replace(QUICK, max_running=1, max_waiting=1))
        await fleet.broadcast("hold")
        await wait_until(lambda: len(fleet.ran) == 1, "the first runs")
        waiting = await fleet.broadcast("hold")
        assert await fleet.lines("gather mark") == ["east1: refused: too many commands are waiting (limit 1)"]
        fleet.gate.set()
        await fleet.shows(f"retrieve {waiting}", "east1: held")

    @pytest.mark.parametrize("command", ["mark", "version"])
    async def test_command_that_waited_too_long_does_not_run(self, fleet: Fleet, command: str) -> None:
        quick = dataclasses.replace(QUICK, command_ttl_s=0.8, max_running=1)
        manager = await fleet.manager(options=quick)
        node = await fleet.node("east1", options=quick)
        await fleet.broadcast("hold")
        await wait_until(lambda: len(fleet.ran) == 1, "the first runs")
        ran: list[str] = []
        node.executor._execute = _noting(ran, node.executor._execute)  # type: ignore[method-assign]
        await fleet.broadcast(command)
        await fleet.shows(f"retrieve {command}", "east1: (missed)")
        # For a command without a claim, the node counts on its own clock, from the time at which it heard the command.
        (waiting,) = node.executor._waiting
        await wait_until(lambda: time.monotonic() > waiting.begin_by, "its time is over there too")
        fleet.gate.set()
        await fleet.shows("retrieve hold", "east1: held")
        await wait_until(lambda: node.executor._busy == 0 and not node.executor._waiting, "all is done")
        assert ran == []
        assert await fleet.lines(f"retrieve {command}") == ["east1: (missed)"]
        assert manager.session.joined.is_set()


def _noting(ran: list[str], execute):  # type: ignore[no-untyped-def]
    async def noted(message, life):  # type: ignore[no-untyped-def]
        ran.append(message.text)
        return await execute(message, life)

    return noted
