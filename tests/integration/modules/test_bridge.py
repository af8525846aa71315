"""An existing program joins unchanged by the bridge, and gets each command that the node does not know, once."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from eccmgr.control.endpoint import Endpoint
from tests.daemons import Processes, ask_sync
from tests.integration.modules.old_program import OldProgram
from tests.waiting import wait_until
from worker.modules.far_end import FarEnd, FarEndError

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def program(folder: Path) -> Iterator[OldProgram]:
    with OldProgram(folder / "2025") as running:
        yield running


def far_end(folder: Path, connections: int = 4, timeout_s: float = 30.0, longest: int = 1 << 30) -> FarEnd:
    return FarEnd(Endpoint(str(folder / "2025")), connections, timeout_s, 30.0, longest, own_pid=0)


@pytest.mark.asyncio
async def test_answers_come_as_they_are_whatever_their_size(program: OldProgram, folder: Path) -> None:
    asked = far_end(folder)
    assert await asked.ask("summary") == "Uptime: 1 day\nDomains: 12"
    assert await asked.ask("big") == "x" * 20_000_000
    assert await asked.ask("empty") == ""
    assert await asked.ask("binary") == "a\ufffdb"
    assert await asked.ask("größe " + "y" * 70_000) == "Unknown command: größe " + "y" * 70_000
    assert len(program.connections) == 1
    asked.close()


@pytest.mark.asyncio
async def test_reconnecting_sends_no_command_twice(program: OldProgram, folder: Path) -> None:
    asked = far_end(folder)
    await asked.ask("summary")
    program.hang_up()
    await wait_until(lambda: not asked._idle[0].usable, "the end of the connection is noticed")
    await asked.ask("summary")
    for command in ("reset", "half", "garbage"):
        with pytest.raises(FarEndError):
            await asked.ask(command)
    assert program.told == ["summary", "summary", "reset", "half", "garbage"]
    asked.close()


@pytest.mark.asyncio
async def test_idle_connection_is_closed_in_time(program: OldProgram, folder: Path) -> None:
    asked = FarEnd(Endpoint(str(folder / "2025")), 4, 30.0, 0.05, 1 << 30, own_pid=0)
    await asked.ask("summary")
    await wait_until(lambda: not asked._idle, "it is closed")
    await wait_until(lambda: program.connections[0].fileno() == -1, "the program sees that")


@pytest.mark.asyncio
async def test_bridge_closed_during_an_answer_keeps_no_connection(program: OldProgram, folder: Path) -> None:
    asked = far_end(folder)
    answer = asyncio.create_task(asked.ask("big"))
    await wait_until(lambda: program.told == ["big"], "it has been asked")
    asked.close()
    assert await answer == "x" * 20_000_000
    await wait_until(lambda: not asked._idle, "it is closed")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("reset", "broke before the answer: .*; the command may have been carried out"),
        ("half", "broke before the answer: it was closed by the other side; the command may have been carried out"),
        ("garbage", "answered with an unknown frame type 99"),
        ("big", "has 20000000 bytes, more than answer_limit"),
        ("sleep 5", "no answer from .* within 1 s; a command that was sent goes on"),
    ],
)
async def test_where_no_answer_comes_it_is_said_why(program: OldProgram, folder: Path, command: str, said: str) -> None:
    asked = far_end(folder, timeout_s=1.0, longest=1_000_000)
    with pytest.raises(FarEndError, match=said):
        await asked.ask(command)
    assert await asked.ask("summary") == "Uptime: 1 day\nDomains: 12"
    asked.close()


@pytest.mark.asyncio
async def test_a_program_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(FarEndError, match=f"cannot reach {folder}/2025: No such file or directory"):
        await far_end(folder).ask("summary")


@pytest.mark.asyncio
async def test_slow_command_delays_no_other_within_the_bound(program: OldProgram, folder: Path) -> None:
    asked = far_end(folder, connections=2)
    slow = asyncio.create_task(asked.ask("sleep 1"))
    await wait_until(lambda: "sleep 1" in program.told, "the slow one is under way")
    answers = await asyncio.gather(*(asked.ask(f"no {number}") for number in range(10)))
    assert answers == [f"Unknown command: no {number}" for number in range(10)]
    assert not slow.done()
    await slow
    assert len(program.connections) == 2
    asked.close()


def test_an_existing_program_is_managed_through_its_node(
    program: OldProgram, processes: Processes, folder: Path
) -> None:
    main = folder / "bridge.conf"
    main.write_text(f'ecelerity {{ control = "{folder}/2025"  timeout = 5 }}')
    manager = processes.manager()
    node = processes.node("east1", "east", "-c", str(main))
    summary = "east1:\n  Uptime: 1 day\n  Domains: 12"
    assert ask_sync(manager.endpoint, "gather summary").endswith(summary)
    assert ask_sync(manager.endpoint, "gather pid").endswith(str(node.popen.pid))
    assert "pid" not in program.told
    assert ask_sync(node.endpoint, "ecelerity pid") == "Unknown command: pid"
    assert ask_sync(node.endpoint, "cluster unheard 'of") == "Unknown command: cluster unheard 'of"
    assert ask_sync(node.endpoint, "xml summary") == "<Summary><Domains>12</Domains></Summary>"
    assert json.loads(ask_sync(node.endpoint, "json summary"))["body"] == "Uptime: 1 day\nDomains: 12"
    assert ask_sync(node.endpoint, "big") == "x" * 20_000_000
    assert "anything else" in ask_sync(node.endpoint, "help")
    big = ask_sync(manager.endpoint, "gather big")
    assert "(cut: 20000000 bytes, limit 4194304)" in big
    program.close()
    assert "failed: ecelerity: " in ask_sync(manager.endpoint, "gather summary")
    with OldProgram(folder / "2025"):
        assert ask_sync(manager.endpoint, "gather summary").endswith(summary)


def test_node_cannot_be_its_own_far_end(processes: Processes, folder: Path) -> None:
    main = folder / "bridge.conf"
    main.write_text(f'ecelerity {{ control = "{folder}/ecnode-east1" }}')
    node = processes.node("east1", "east", "-c", str(main))
    assert "is this node's own listener" in ask_sync(node.endpoint, "summary")


def test_another_node_may_be_the_far_end(processes: Processes, folder: Path) -> None:
    main = folder / "bridge.conf"
    main.write_text(f'ecelerity {{ control = "{folder}/eccmgr-barca" }}')
    processes.manager()
    node = processes.node("east1", "east", "-c", str(main))
    assert "1 node, 1 manager" in ask_sync(node.endpoint, "info")
