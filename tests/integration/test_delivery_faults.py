"""Nodes, managers and Redis itself fail during a command: nothing runs twice, and no node is left out."""

import asyncio
import dataclasses
import os
import signal
import socket
from collections.abc import Awaitable, Callable

import pytest

from eccmgr.control import frames
from eccmgr.errors import RedisUnreachable
from eccmgr.redis.connect import Link
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.scripts import ReadAs, ScriptCall
from tests.daemons import QUICK, Processes, ask_sync
from tests.integration.fleet import Fleet, hearing
from tests.waiting import wait_until, wait_until_sync


class LossyLink(Link):
    """Loses the answers to the first `losses` calls of one script. The calls themselves are carried out."""

    script, losses = "", 0
    on_loss: Callable[[str], Awaitable[None]] | None = None
    """Called with the third key of the call."""

    async def run(self, call: ScriptCall[ReadAs], *, probe: bool = False) -> ReadAs:
        answer = await super().run(call, probe=probe)
        if call.script == self.script and self.losses:
            self.losses -= 1
            if self.on_loss is not None:
                await self.on_loss(call.keys[2])
            raise RedisUnreachable("Redis is not reachable: the answer was lost", asked=True)
        return answer


@pytest.mark.asyncio
@pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")
class TestBlips:
    @pytest.mark.parametrize("script", ["claim", "respond"])
    async def test_lost_answer_of_redis_loses_no_command(self, fleet: Fleet, script: str) -> None:
        await fleet.manager()
        link = LossyLink(fleet.url)
        link.script, link.losses = script, 2
        await fleet.node("east1", link=link)
        assert await fleet.lines("gather mark") == ["east1: marked"]
        assert fleet.ran == ["east1"]

    @pytest.mark.parametrize("verb", ["broadcast", "gather"])
    async def test_caller_learns_when_sending_is_uncertain(self, fleet: Fleet, verb: str) -> None:
        link = LossyLink(fleet.url)
        link.script, link.losses = "publish", 1
        await fleet.manager(link=link)
        await fleet.node("east1")
        said, _, sent = (await fleet.ask(f"{verb} mark")).partition("retrieve #")
        assert said == "Redis is not reachable: the answer was lost; the command may have been sent, ask later: "
        await fleet.shows(f"retrieve {sent}", "east1: marked")

    @pytest.mark.parametrize("meanwhile", ["joined anew", "expired"])
    async def test_claim_unknown_to_its_node_is_answered_late(self, fleet: Fleet, meanwhile: str) -> None:
        await fleet.manager()
        link = LossyLink(fleet.url)
        node = await fleet.node("east1", link=link)

        async def too_late(claimed: str) -> None:
            if meanwhile == "expired":
                await link.call("HSET", claimed, "expires", 0)
            else:
                await node.session.reset()

        link.script, link.losses, link.on_loss = "claim", 1, too_late
        sent = await fleet.broadcast("mark")
        await fleet.shows(f"retrieve {sent}", "east1: (missed)")
        assert fleet.ran == []

    async def test_a_command_that_is_delivered_twice_runs_once(self, fleet: Fleet) -> None:
        manager = await fleet.manager()
        node = await fleet.node("east1")
        hear = node.executor.heard
        async with hearing(manager.link, manager.keys.everyone) as heard:
            await fleet.ask("gather mark")
            await wait_until(lambda: bool(heard), "the command is heard")
        hear(manager.keys.everyone, heard[0])
        node.executor._claims._until.clear()
        hear(manager.keys.everyone, heard[0])
        await fleet.lines("gather mark")
        assert fleet.ran == ["east1", "east1"]

    @pytest.mark.parametrize("garbage", [b"", b"\xff\xfe", b"{", b"[]", b"[" * 100_000, b'{"id": 1}'])
    async def test_what_anybody_may_publish_ends_no_daemon(self, fleet: Fleet, garbage: bytes) -> None:
        manager = await fleet.manager()
        await fleet.node("east1")
        for channel in (manager.keys.everyone, manager.keys.events, manager.keys.node("east1"), manager._notices):
            await manager.link.call("PUBLISH", channel, garbage)
        assert await fleet.lines("gather mark") == ["east1: marked"]


@pytest.mark.asyncio
@pytest.mark.usefixtures("nothing_left", "no_tasks_left")
class TestRedisAway:
    async def test_unwritten_answer_is_delivered_when_redis_returns(
        self, server: EmbeddedServer, lonely: Fleet
    ) -> None:
        await lonely.manager()
        node = await lonely.node("east1")
        sent = await lonely.broadcast("hold")
        await wait_until(lambda: lonely.ran == ["east1"], "the command runs")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            lonely.gate.set()
            await wait_until(lambda: node.link.fault is not None, "the node finds Redis silent")
            assert len(node.outbox) == 1
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await lonely.shows(f"retrieve {sent}", "east1: held")
        assert lonely.ran == ["east1"]

    async def test_killed_and_emptied_server_gets_all_members_back(self, server: EmbeddedServer, lonely: Fleet) -> None:
        await lonely.manager()
        nodes = [await lonely.node("east1"), await lonely.node("east2")]
        before = {node.session.private_name for node in nodes}
        await lonely.ask("gather mark")
        await asyncio.to_thread(server.stop, signal.SIGKILL)
        await wait_until(lambda: all(node.link.fault is not None for node in nodes), "the nodes notice")
        assert (await lonely.ask("broadcast mark")).startswith("Redis is not reachable: ")
        await asyncio.to_thread(server.start)
        await _two_answer(lonely)
        assert not before & {node.session.private_name for node in nodes}
        assert await lonely.ask("retrieve pid") == "Nothing to retrieve for 'pid'"

    async def test_gather_over_empty_restart_accounts_for_every_node(
        self, server: EmbeddedServer, lonely: Fleet
    ) -> None:
        await lonely.manager()
        await lonely.node("east1")
        await lonely.node("east2", deaf=True)
        gathering = asyncio.create_task(lonely.ask("gather --timeout 3600 hold"))
        await wait_until(lambda: lonely.ran == ["east1"], "the command runs")
        await asyncio.to_thread(server.stop, signal.SIGKILL)
        await asyncio.to_thread(server.start)
        header, *lines = (await gathering).splitlines()
        assert header.endswith("hold  " + header.split("  ")[2] + "  0 of 2 answered, 2 lost")
        assert lines == ["east1: (lost)", "east2: (lost)"]
        lonely.gate.set()

    async def test_gather_without_redis_leaves_the_manager_free(self, lonely: Fleet) -> None:
        manager = await lonely.manager()
        await lonely.node("east1")
        gathering = asyncio.create_task(lonely.ask("gather hold"))
        await wait_until(lambda: lonely.ran == ["east1"], "the command runs")
        manager.link.fault = "this is a test"
        manager.delivery.heard_event()
        assert "eccmgr version:" in await lonely.ask("version")
        lonely.gate.set()
        assert "1 of 1 answered" in await gathering

    async def test_running_command_is_not_repeated_after_empty_restart(
        self, server: EmbeddedServer, lonely: Fleet
    ) -> None:
        await lonely.manager()
        node = await lonely.node("east1")
        await lonely.broadcast("hold")
        await wait_until(lambda: lonely.ran == ["east1"], "the command runs")
        await asyncio.to_thread(server.stop, signal.SIGKILL)
        await asyncio.to_thread(server.start)
        await wait_until(lambda: _answers(lonely, "gather pid", 1), "the node is back")
        lonely.gate.set()
        await wait_until(lambda: not node.executor._busy and not node.outbox, "the command ends")
        assert lonely.ran == ["east1"]
        assert await lonely.ask("retrieve hold") == "Nothing to retrieve for 'hold'"


async def _answers(fleet: Fleet, command: str, nodes: int) -> bool:
    return f"{nodes} of {nodes} answered" in await fleet.ask(command)


async def _two_answer(fleet: Fleet) -> None:
    await wait_until(lambda: _answers(fleet, "gather uptime", 2), "both nodes are back")
    fleet.ran.clear()
    assert await fleet.lines("gather mark") == ["east1: marked", "east2: marked"]
    assert sorted(fleet.ran) == ["east1", "east2"]


@pytest.mark.asyncio
@pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")
class TestSlowNode:
    async def test_one_slow_node_holds_up_nobody_else(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1", options=dataclasses.replace(QUICK, max_running=1))
        await fleet.node("east2")
        await fleet.ask("unicast east1 hold")
        await wait_until(lambda: fleet.ran == ["east1"], "the slow one is busy")
        await fleet.broadcast("mark")
        await fleet.shows("retrieve_node east2 mark", "east2: marked")
        assert (await fleet.lines("retrieve_node east1 mark"))[0].startswith("east1: (pending, ")
        fleet.gate.set()
        await fleet.shows("retrieve mark", "east1: marked", "east2: marked")


@pytest.mark.usefixtures("nothing_left")
class TestProcesses:
    def test_node_killed_during_gather_is_lost_with_lease(self, processes: Processes) -> None:
        manager, _, killed = processes.manager(), processes.node("east1"), processes.node("east2")
        killed.popen.send_signal(signal.SIGKILL)
        answer = ask_sync(manager.endpoint, "gather --timeout 3600 pid")
        assert "1 of 2 answered" in answer
        assert answer.endswith("east2: (lost)")

    def test_another_manager_finishes_a_killed_ones_gather(self, processes: Processes) -> None:
        first, second = processes.manager("barca"), processes.manager("roma")
        processes.node("east1")
        silent = processes.node("east2")
        silent.popen.send_signal(signal.SIGSTOP)
        with socket.socket(socket.AF_UNIX) as console:
            console.connect(str(first.endpoint))
            console.sendall(frames.encode_text("gather --timeout 3600 pid"))
            wait_until_sync(lambda: "1 of 2 answered" in ask_sync(second.endpoint, "retrieve pid"), "one has answered")
            first.end(signal.SIGKILL)
            assert console.recv(1) == b""
        wait_until_sync(
            lambda: ask_sync(second.endpoint, "retrieve pid").endswith("east2: (lost)"), "the other one is lost"
        )
        wait_until_sync(lambda: "(roma is leader)" in ask_sync(second.endpoint, "info"), "another leads")
        assert "1 of 2 answered" in ask_sync(second.endpoint, "retrieve pid")

    def test_paused_node_does_not_run_old_commands_afterwards(self, processes: Processes) -> None:
        manager, node = processes.manager(), processes.node("east1")
        node.popen.send_signal(signal.SIGSTOP)
        try:
            assert ask_sync(manager.endpoint, "gather --timeout 3600 cluster reset").endswith("east1: (lost)")
        finally:
            node.popen.send_signal(signal.SIGCONT)
        wait_until_sync(
            lambda: "1 of 1 answered" in ask_sync(manager.endpoint, "gather --timeout 1 pid"), "it has joined again"
        )
        assert "session ended" in node.log
        assert "text=cluster reset" not in node.log.replace('"', "")
        assert ask_sync(manager.endpoint, "retrieve cluster reset").endswith("east1: (lost)")
