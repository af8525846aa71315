"""The control protocol of existing clients, on a real manager and a real node."""

import asyncio
import json
import re
import socket
import time
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from eccmgr.commands.table import Command
from eccmgr.control import frames
from eccmgr.control.endpoint import Endpoint
from eccmgr.daemon import Daemon
from eccmgr.errors import ListenError
from eccmgr.manager import Manager
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import manager, node, running
from tests.listeners import Client, ask, listen_too
from tests.waiting import wait_until
from worker.node import EcNode

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]


@pytest_asyncio.fixture
async def daemons(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path
) -> AsyncIterator[tuple[Manager, EcNode]]:
    """A manager and the node east1."""
    url, cluster = redis_server.url, cluster_keys.cluster
    barca, east1 = manager(url, cluster, folder), node(url, cluster, folder, "east1", "east")
    async with running(barca), running(east1):
        yield barca, east1


def path(daemon: Daemon) -> str:
    """The path on which it listens."""
    return str(daemon.endpoints[0].path)


def add_slow(east1: EcNode) -> asyncio.Event:
    """Give the node a command `slow`, which ends when the event is set."""
    release = asyncio.Event()

    async def slow(_call: object) -> str:
        await release.wait()
        return "done at last"

    east1.table.add(Command("slow", "end when the test says so", slow))
    return release


async def test_the_worked_example(daemons: tuple[Manager, EcNode]) -> None:
    for daemon, program in zip(daemons, ("eccmgr", "ecnode"), strict=True):
        async with await Client.open(path(daemon)) as client:
            client.send_raw(bytes.fromhex("00 01 00 07 76 65 72 73 69 6f 6e"))
            kind, payload = await client.frame()
            assert kind == frames.SHORT
            assert payload.startswith(b"###")
            assert re.search(rf"# {program} version: .*\n", payload.decode())


async def test_classic_client_gets_the_answer_in_one_recv(daemons: tuple[Manager, EcNode]) -> None:
    def classic(command: str) -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(path(daemons[0]))
            client.send(frames.encode_text(command))
            kind = int.from_bytes(client.recv(2))
            assert kind == frames.SHORT
            length = int.from_bytes(client.recv(2))
            payload = client.recv(length)
            assert len(payload) == length
            return payload

    assert (await asyncio.to_thread(classic, "version")).startswith(b"###")
    assert (await asyncio.to_thread(classic, "help")).count(b"\n") > 10


async def test_no_answer_of_a_newer_kind_comes_unasked(daemons: tuple[Manager, EcNode]) -> None:
    commands = ["version", "help", "info", "broadcast pid", "gather pid", "json gather pid", "nonsense", "broadcast"]
    async with await Client.open(path(daemons[0])) as client:
        for command in commands:
            client.send(command)
            kind, _ = await client.frame()
            assert kind in (frames.SHORT, frames.LONG), command


async def test_hundred_commands_are_answered_in_order_once_each(daemons: tuple[Manager, EcNode]) -> None:
    async with await Client.open(path(daemons[0])) as client:
        for _ in range(20):
            client.send("version", "gather pid", "info", "show cluster membership", "nonsense")
        for _ in range(20):
            assert "eccmgr version:" in await client.answer()
            assert "1 of 1 answered" in await client.answer()
            assert (await client.answer()).startswith("Cluster Group: ")
            assert (await client.answer()).startswith("<ClusterMembership ")
            assert (await client.answer()).startswith("Unknown command: 'nonsense'")
        client.writer.write_eof()
        assert await client.rest() == b""


async def test_help_lists_and_explains_every_working_command(daemons: tuple[Manager, EcNode]) -> None:
    for daemon in daemons:
        async with await Client.open(path(daemon)) as client:
            listed = (await client.ask("help")).splitlines()
            working = [command for command in daemon.server.gate.table.commands.values() if not command.refusal]
            assert len(listed) == len(working)
            for command in working:
                assert [line for line in listed if line.startswith(f"{command.usage} ")], command.name
                assert command.brief
                assert (await client.ask(f"help {command.name}")).startswith(f"Usage: {command.usage}\n")


async def test_what_help_does_not_list_is_refused(daemons: tuple[Manager, EcNode]) -> None:
    async with await Client.open(path(daemons[0])) as client:
        listed = (await client.ask("help")).splitlines()
        shown = [command.name for command in daemons[0].table.listed()]
        strange = [line for line in listed if not line.startswith(tuple(shown))]
        for command in daemons[0].table.commands.values():
            if command.refusal:
                assert command.name not in shown
                assert not any(line.startswith(f"{command.name} ") for line in strange)
                client.request(command.name)
                assert (await client.fields(frames.RESULT))["status"] == "error"


async def test_completion_works_against_a_manager(daemons: tuple[Manager, EcNode]) -> None:
    async with await Client.open(path(daemons[0])) as client:
        assert await client.ask('complete "unicast "') == "east1"
        assert await client.ask('complete "subcluster broadcast e"') == "east"
        assert "broadcast" in (await client.ask("complete")).split()
        candidates = json.loads(await client.ask('json complete "gather @"'))["candidates"]
        assert {"@all", "@east", "@os:linux"} <= set(candidates)


async def test_simultaneous_broadcasts_of_two_sessions_stay_apart(daemons: tuple[Manager, EcNode]) -> None:
    async def round_trip(command: str) -> list[str]:
        async with await Client.open(path(daemons[0])) as client:
            ids = []
            for _ in range(10):
                sent = await client.ask(f"broadcast {command}")
                ids.append(sent.split()[1])
            return ids

    first, second = await asyncio.gather(round_trip("cluster nodename"), round_trip("nonsense"))
    assert len({*first, *second}) == 20
    async with await Client.open(path(daemons[0])) as client:
        for wanted in first:
            await wait_for(client, f"retrieve #{wanted}", "  cluster nodename  .*\neast1: east1$")
        for wanted in second:
            await wait_for(client, f"retrieve {wanted}", "  nonsense  .*\neast1: failed: Unknown command: 'nonsense'")


async def wait_for(client: Client, command: str, pattern: str) -> None:
    """Ask until the answer fits `pattern`."""

    async def fits() -> bool:
        return re.search(pattern, await client.ask(command)) is not None

    await wait_until(fits, f"{command} answers {pattern}")


async def test_simultaneous_gathers_get_their_own_answers(daemons: tuple[Manager, EcNode]) -> None:
    async def gather(number: int) -> str:
        return await ask(path(daemons[0]), f"gather help nothing{number}")

    answers = await asyncio.gather(*(gather(number) for number in range(30)))
    for number, answer in enumerate(answers):
        assert f"  help nothing{number}  " in answer
        assert answer.count("Unknown command: ") == 1
        assert f"'nothing{number}'" in answer


async def test_answers_of_megabytes_from_nodes_arrive_whole(daemons: tuple[Manager, EcNode]) -> None:
    async def big(_call: object) -> str:
        return "<é>\n" * 400_000

    daemons[1].table.add(Command("big", "much", big, idempotent=True))
    assert await ask(path(daemons[1]), "big") == "<é>\n" * 400_000
    answer = await ask(path(daemons[0]), "gather big")
    assert answer.count("<é>") == 400_000


async def test_streaming_gather_shows_responses_then_the_header(daemons: tuple[Manager, EcNode]) -> None:
    async with await Client.open(path(daemons[0])) as client:
        client.request("gather cluster nodename", id=1, stream=True)
        first = await client.fields(frames.CHUNK)
        event = await client.fields(frames.CHUNK)
        result = await client.fields(frames.RESULT)
        assert first["command_id"] == result["body"].split()[1]
        assert {key: first[key] for key in ("id", "event", "target", "expected", "nodes", "absent")} == {
            "id": 1,
            "event": "progress",
            "target": "@all",
            "expected": 1,
            "nodes": ["east1"],
            "absent": [],
        }
        assert {key: event[key] for key in ("id", "event", "node", "state", "text", "line")} == {
            "id": 1,
            "event": "response",
            "node": "east1",
            "state": "ok",
            "text": "east1",
            "line": "east1: east1",
        }
        assert (result["id"], result["status"], result["exit"]) == (1, "ok", 0)
        assert re.fullmatch(r"# \w+  cluster nodename  [\d:]+  1 of 1 answered", result["body"])


async def test_vanished_gather_client_ends_waiting_not_the_command(
    daemons: tuple[Manager, EcNode],
) -> None:
    barca, release = daemons[0], add_slow(daemons[1])
    async with await Client.open(path(barca)) as client:
        client.request("gather slow", stream=True)
        progress = await client.fields(frames.CHUNK)
        assert progress["event"] == "progress", "the command is sent"
    await wait_until(lambda: not barca.delivery._waiting, "nobody waits any more")
    await wait_until(lambda: not barca.server.connections, "the session is over")
    async with await Client.open(path(barca)) as client:
        await wait_for(client, "retrieve slow", r"0 of 1 answered\neast1: \((pending|running), ")
        noted = time.monotonic()
        await wait_until(lambda: time.monotonic() > noted + 0.05, "the lease clock has moved on")
        release.set()
        await wait_for(client, "retrieve slow", r"1 of 1 answered\neast1: done at last \(late, \d+ s\)$")


async def test_a_gather_that_waits_delays_no_other_session(daemons: tuple[Manager, EcNode]) -> None:
    barca, release = daemons[0], add_slow(daemons[1])
    async with await Client.open(path(barca)) as waiting:
        waiting.send("gather slow")
        await wait_until(lambda: len(barca.delivery._waiting) == 1, "it waits")
        assert "1 of 1 answered" in await ask(path(barca), "gather pid")
        assert "eccmgr version:" in await ask(path(barca), "version")
        release.set()
        assert "east1: done at last" in await waiting.answer()


async def test_one_slow_node_does_not_hold_the_command(daemons: tuple[Manager, EcNode]) -> None:
    release = add_slow(daemons[1])
    answer = await ask(path(daemons[0]), "gather --timeout 0.2 slow")
    assert re.search(r"0 of 1 answered\neast1: \((pending|running), ", answer)
    release.set()


async def test_fleet_commands_are_well_formed_in_every_form(daemons: tuple[Manager, EcNode]) -> None:
    async with await Client.open(path(daemons[0])) as client:
        fields = json.loads(await client.ask("json gather cluster nodename"))
        assert (fields["expected"], fields["answered"], fields["nodes"][0]["text"]) == (1, 1, "east1")
        element = ET.fromstring(await client.ask("xml gather cluster nodename"))
        assert [(each.attrib["Node"], each.attrib["State"], each.text) for each in element] == [
            ("east1", "ok", "east1")
        ]
        assert ET.fromstring(await client.ask("xml show cluster membership")).tag == "ClusterMembership"
        for command in ("unicast nobody pid", "retrieve never sent", "gather", "nonsense"):
            assert json.loads(await client.ask(f"json {command}"))["status"] == "error"
            assert ET.fromstring(await client.ask(f"xml {command}")).attrib["Status"] == "error"


async def test_missing_name_is_answered_with_known_ones(daemons: tuple[Manager, EcNode]) -> None:
    async with await Client.open(path(daemons[0])) as client:
        assert await client.ask("unicast nobody pid") == "Unknown node 'nobody'; known: east1"
        assert await client.ask("subcluster broadcast none pid") == "Unknown subcluster 'none'; known: east"
        assert await client.ask("retrieve never  sent") == "Nothing to retrieve for 'never  sent'"


async def test_commands_before_the_end_of_start_are_answered(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, cluster = redis_server.url, cluster_keys.cluster
    # `config writeback east1` writes a file.
    monkeypatch.chdir(folder)
    for daemon in (manager(url, cluster, folder), node(url, cluster, folder, "east1")):
        await listen_too(daemon.server, daemon.endpoints[0])
        async with await Client.open(path(daemon)) as client:
            for command in daemon.server.gate.table.listed():
                if command.name in ("shutdown", "cluster reset"):
                    continue
                for line in (command.name, f"{command.name} east1", f"{command.name} east1 pid"):
                    answer = await client.ask(line)
                    assert "Internal error" not in answer, line
        await daemon.server.close()
        await daemon.link.close()


async def test_idle_session_closes_but_waiting_gather_stays(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path
) -> None:
    url, cluster = redis_server.url, cluster_keys.cluster
    configuration = "Control_Listener { Timeout = 0.2 }"
    impatient = await asyncio.to_thread(manager, url, cluster, folder, configuration=configuration)
    east1 = node(url, cluster, folder, "east1")
    release = add_slow(east1)
    async with running(impatient), running(east1), await Client.open(path(impatient)) as waiting:
        waiting.send("gather slow")
        for _ in range(2):
            async with await Client.open(path(impatient)) as idle:
                assert await idle.rest() == b""
        release.set()
        assert "east1: done at last" in await waiting.answer()
        assert await waiting.rest() == b""
        assert not impatient.server.connections


async def test_second_daemon_neither_starts_nor_harms_the_first(
    daemons: tuple[Manager, EcNode], redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path
) -> None:
    second = manager(redis_server.url, cluster_keys.cluster, folder)
    with pytest.raises(ListenError, match="is in use by pid"):
        await second.run()
    assert "eccmgr version:" in await ask(path(daemons[0]), "version")


async def test_daemon_replaces_a_stale_socket_and_leaves_none(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "m-barca"))
    barca = manager(redis_server.url, cluster_keys.cluster, folder)
    async with running(barca):
        assert "eccmgr version:" in await ask(path(barca), "version")
    assert not (folder / "m-barca").exists()


async def test_shutdown_is_answered_to_its_caller(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path
) -> None:
    barca = manager(redis_server.url, cluster_keys.cluster, folder)
    async with running(barca), await Client.open(path(barca)) as client:
        client.send("shutdown", "version")
        assert await client.answer() == "Shutting down"
        assert "eccmgr version:" in await client.answer()
        assert await client.rest() == b""


async def test_a_listener_may_be_on_loopback_too(daemons: tuple[Manager, EcNode]) -> None:
    server = daemons[0].server
    await listen_too(server, Endpoint(host="127.0.0.1", port=0))
    client = Client(*await asyncio.open_connection("127.0.0.1", server.endpoints[-1].port))
    async with client:
        assert "eccmgr version:" in await client.ask("version")
