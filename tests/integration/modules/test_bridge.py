"""An existing program joins unchanged by the bridge, and gets each command that the node does not know once."""

import asyncio
import json
import os
import pwd
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from eccmgr.control.endpoint import Endpoint
from tests.daemons import Processes, ask_sync
from tests.integration.modules.old_program import OldProgram
from tests.waiting import wait_until
from worker.modules.far_answer import receive_answer
from worker.modules.far_end import FarEnd, FarEndError, FarTerms

LISTEN = """
import os, socket, sys
path, uid = sys.argv[1:]
os.setuid(int(uid))
with socket.socket(socket.AF_UNIX) as listening:
    listening.bind(path)
    listening.listen()
    sys.stdin.read()
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def program(folder: Path) -> Iterator[OldProgram]:
    with OldProgram(folder / "2025") as running:
        yield running


def far_end(folder: Path, connections: int = 4, timeout_s: float = 30.0, longest: int = 1 << 30) -> FarEnd:
    return FarEnd(Endpoint(str(folder / "2025")), FarTerms(connections, timeout_s, 30.0, longest))


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
    asked = FarEnd(Endpoint(str(folder / "2025")), FarTerms(keep_s=0.05))
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
        ("big", r"gave an answer that has 20000000 bytes, more than answer_limit allows \(1000000\)"),
        ("liar", "gave an answer that has 4294967295 bytes, more than answer_limit"),
        ("silence", "no answer from .* within 1 s; a command that was sent goes on"),
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


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("banner", "said"),
    [
        (b"# eccmgr version: 1.0.0", "it is an eccmgr; set control"),
        (b"###\n# ECNODE VERSION: 1.0.0", "it is an ecnode; set control"),
        (b"Authentication required", "it does not say which program it is: version answers 'Authentication required'"),
        (b"Not Authorized for this command", "it does not say which program it is"),
        (b"x" * 70_000, "gave an answer that has 70000 bytes"),
    ],
)
async def test_unfit_program_is_given_no_command(program: OldProgram, folder: Path, banner: bytes, said: str) -> None:
    program.answers["version"] = lambda: banner
    asked = far_end(folder)
    with pytest.raises(FarEndError, match=said):
        await asked.ask("summary")
    assert (program.told, asked._idle) == ([], [])
    program.answers["version"] = lambda: b"# mail version: 4.3"
    assert await asked.ask("summary") == "Uptime: 1 day\nDomains: 12"
    asked.close()


@pytest.mark.asyncio
async def test_each_connection_is_asked_once_what_serves_it(program: OldProgram, folder: Path) -> None:
    asked = far_end(folder)
    for _ in range(3):
        await asked.ask("summary")
    assert program.versions == 1
    program.hang_up()
    await wait_until(lambda: not asked._idle[0].usable, "the end of the connection is noticed")
    program.answers["version"] = lambda: b"# eccmgr version: 1.0.0"
    with pytest.raises(FarEndError, match="it is an eccmgr"):
        await asked.ask("summary")
    assert len(program.told) == 3


@pytest.mark.asyncio
async def test_program_that_says_nothing_gets_no_command(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(folder / "2025"))
        silent.listen(0)
        for terms, said in (
            (FarTerms(introduction_s=0.2), "it did not say within 0.2 s which program it is"),
            (FarTerms(timeout_s=0.2), "no answer from .* within 0.2 s; the command was not sent"),
        ):
            with pytest.raises(FarEndError, match=said):
                await FarEnd(Endpoint(str(folder / "2025")), terms).ask("summary")


@pytest.mark.asyncio
async def test_connection_with_unasked_bytes_is_not_used_again(program: OldProgram, folder: Path) -> None:
    asked = far_end(folder)
    program.answers["summary"] = lambda: b"Uptime: 1 day"
    await asked.ask("summary")
    program.connections[0].sendall(b"\x00\x01\x00\x05wrong")
    await wait_until(lambda: not asked._idle[0].usable, "the bytes have come")
    assert await asked.ask("summary") == "Uptime: 1 day"
    asked.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(("sent", "taken"), [(b"x", "x"), (b"\xff", "?")])
async def test_answer_takes_little_more_memory_than_itself(sent: bytes, taken: str) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    def answer() -> None:
        with theirs:
            theirs.sendall(b"\x00\x02" + (64 << 20).to_bytes(4))
            for _ in range(64):
                theirs.sendall(sent * (1 << 20))

    tracemalloc.start()
    try:
        with ours:
            answered = asyncio.create_task(asyncio.to_thread(answer))
            received = await receive_answer(ours, 64 << 20)
            await answered
        assert tracemalloc.get_traced_memory()[1] < 80 << 20
        assert received.count(taken) == len(received) == 64 << 20
    finally:
        tracemalloc.stop()


@as_root
@pytest.mark.asyncio
async def test_only_a_known_users_program_is_asked(program: OldProgram, folder: Path) -> None:
    stranger = pwd.getpwnam("nobody").pw_uid
    folder.chmod(0o777)
    command = [sys.executable, "-c", LISTEN, str(folder / "theirs"), str(stranger)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        await wait_until((folder / "theirs").exists, "the stranger listens")
        theirs = Endpoint(str(folder / "theirs"))
        with pytest.raises(FarEndError, match="is served by nobody, not by root; where that is right, set user = nobo"):
            await FarEnd(theirs, FarTerms()).ask("summary")
        with pytest.raises(FarEndError, match=r"it did not say within 0\.2 s which program it is"):
            await FarEnd(theirs, FarTerms(server_uid=stranger, introduction_s=0.2)).ask("summary")
        process.kill()
    (folder / "link").symlink_to(folder / "2025")
    os.lchown(folder / "link", stranger, stranger)
    with pytest.raises(FarEndError, match="is a link of nobody's, which is not followed"):
        await FarEnd(Endpoint(str(folder / "link")), FarTerms()).ask("summary")
    assert (program.told, program.versions) == ([], 0)


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
    assert "control character" in ask_sync(node.endpoint, "ecelerity pid\0shutdown")
    assert ask_sync(node.endpoint, "ecelerity pid") == "Unknown command: pid"
    assert ask_sync(node.endpoint, "cluster unheard of") == "Unknown command: cluster unheard of"
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


@pytest.mark.parametrize("kind", ["eccmgr", "ecnode"])
def test_no_daemon_of_ours_is_a_far_end(processes: Processes, folder: Path, kind: str) -> None:
    manager = processes.manager()
    other = processes.node("west1", "west")
    main = folder / "bridge.conf"
    main.write_text(f'ecelerity {{ control = "{(manager if kind == "eccmgr" else other).endpoint}" }}')
    node = processes.node("east1", "east", "-c", str(main))
    for command in ("ecelerity broadcast pid", "broadcast pid", "xml ecelerity broadcast pid"):
        assert f"it is an {kind}; set control to a program that is not part of a" in ask_sync(node.endpoint, command)
    assert ask_sync(manager.endpoint, "history") == "No command has been sent to nodes lately"


def test_node_cannot_be_its_own_far_end(processes: Processes, folder: Path) -> None:
    main = folder / "bridge.conf"
    main.write_text(f'ecelerity {{ control = "{folder}/ecnode-east1" }}')
    node = processes.node("east1", "east", "-c", str(main))
    assert "it is an ecnode" in ask_sync(node.endpoint, "summary")
