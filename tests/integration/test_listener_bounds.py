"""At a listener, one client can take no descriptor, no memory and no log that other clients need."""

import asyncio
import struct
from pathlib import Path

import pytest

from eccmgr.commands.gate import HEAVY_AT_ONCE
from eccmgr.control import connection as connections
from eccmgr.control import frames, limits
from eccmgr.control.limits import Limits
from tests.listeners import Client, ask, listening
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]

MIB = 1024 * 1024
HALF = struct.pack("!HI", frames.LONG, MIB) + b"x" * (MIB - 1)


async def close(*clients: Client) -> None:
    """Close connections."""
    await asyncio.gather(*(client.__aexit__() for client in clients))


async def test_half_frames_of_one_peer_are_bounded(folder: Path) -> None:
    async with listening(folder) as listener:
        clients = [await Client.open(listener.path) for _ in range(40)]
        for client in clients:
            client.send_raw(HALF)
            await client.writer.drain()
        await wait_until(lambda: listener.server.gate.refused.counts["broken or oversized frames"] > 20, "refused")
        (opened,) = listener.server.opened.values()
        assert opened.terms.unread.total <= 17 * MIB
        refused = await clients[-1].answer()
        assert refused.startswith("Too many unfinished commands: uid ")
        assert await ask(listener.path, "echo on") == "on"
        # A client within the bounds goes on.
        clients[0].send_raw(b"x")
        assert (await clients[0].answer()).startswith("Command too long (1048576 bytes, limit 65536)")
        await close(*clients)
        await wait_until(lambda: opened.terms.unread.total == 0, "nothing of it is held any more")


async def test_half_a_frame_ends_without_idle_timeout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FRAME_S", 0.1)
    async with (
        listening(folder, Limits(idle_timeout_s=0)) as listener,
        await Client.open(listener.path) as half,
        await Client.open(listener.path) as idle,
    ):
        half.send_raw(HALF[:100])
        assert await half.rest() == b""
        assert await idle.ask("echo on") == "on"


async def test_reader_of_drops_is_closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FRAME_S", 0.1)
    async with listening(folder, Limits(idle_timeout_s=0)) as listener:
        reader, writer = await asyncio.open_unix_connection(str(listener.path), limit=1)
        client = Client(reader, writer)
        client.send("big 4000000")
        assert await reader.readexactly(10)
        refused = listener.server.gate.refused.counts
        await wait_until(lambda: refused["clients that do not read their answers"] == 1, "it is closed")
        await wait_until(lambda: listener.server.crowd.unsent.total == 0, "its answer is dropped")
        await close(client)


async def test_answers_nobody_reads_hold_back_more_commands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ROOM_S", 0.05)
    async with listening(folder) as listener:
        clients = [Client(*await asyncio.open_unix_connection(str(listener.path), limit=1)) for _ in range(8)]
        unsent = listener.server.crowd.unsent
        for client in clients[:-1]:
            before = unsent.total
            client.send("big 10000000")
            await wait_until(lambda before=before: unsent.total > before, "the answer waits")  # type: ignore[misc]
        refused = await clients[-1].ask("echo more")
        assert refused.startswith("Too many answers wait to be read: uid ")
        clients[-1].request("echo more", id=5)
        assert (await clients[-1].fields(frames.RESULT))["id"] == 5
        assert await ask(listener.path, "name") == "listener"
        await close(*clients)
        await wait_until(lambda: unsent.total == 0, "nothing waits any more")
        assert await ask(listener.path, "echo on") == "on"


async def test_connection_beyond_the_number_is_told_why(folder: Path) -> None:
    async with listening(folder, Limits(max_connections_of_peer=2)) as listener:
        first, second = await Client.open(listener.path), await Client.open(listener.path)
        first.send("wait")
        second.send("wait")
        await wait_until(lambda: listener.waiting == 2, "both are busy")
        async with await Client.open(listener.path) as third:
            assert (await third.ask("echo 3")).startswith("Too many connections: uid ")
            assert await third.rest() == b""
        assert listener.server.gate.refused.counts == {"too many connections": 1}
        listener.release.set()
        assert [await first.answer(), await second.answer()] == ["waited"] * 2
        await close(first, second)
        await wait_until(lambda: listener.connections == 0, "they are over")
        assert await ask(listener.path, "echo on") == "on"


async def test_idle_connections_give_way_to_a_new_one(folder: Path) -> None:
    async with listening(folder, Limits(max_connections_of_peer=2)) as listener:
        idle, busy = await Client.open(listener.path), await Client.open(listener.path)
        busy.send("wait")
        await wait_until(lambda: listener.waiting == 1, "one is busy")
        guests = listener.server.connections
        await wait_until(lambda: max(guest.idle_s() for guest in guests) > 1.0, "the other is idle")
        assert await ask(listener.path, "echo on") == "on"
        assert await idle.rest() == b""
        listener.release.set()
        assert await busy.answer() == "waited"
        await close(idle, busy)


async def test_too_long_command_leaves_its_connection_open(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        for prefix in ("echo ", "json echo ", "xml xml ", ""):
            assert "Command too long (" in await client.ask(prefix + "x" * 100_000)
        assert await client.ask("echo " + "x" * 65_000) == "x" * 65_000
        client.request("echo " + "x" * 100_000, id=7)
        assert "Command too long (100005 bytes, limit 65536)" in (await client.fields(frames.RESULT))["body"]
        client.request("echo " + "x" * 900_000, id=7)
        assert "Command too long (" in (await client.fields(frames.RESULT))["body"]
        assert await client.ask("echo on") == "on"
        assert listener.echoed == ["x" * 65_000, "on"]


async def test_few_heavy_commands_run_at_a_time(folder: Path) -> None:
    async with listening(folder) as listener:
        clients = [await Client.open(listener.path) for _ in range(HEAVY_AT_ONCE + 3)]
        for client in clients:
            client.send("heavy")
        await wait_until(lambda: listener.waiting == HEAVY_AT_ONCE, "as many as may run")
        assert await ask(listener.path, "echo on") == "on"
        assert listener.waiting == HEAVY_AT_ONCE
        listener.release.set()
        assert [await client.answer() for client in clients] == ["waited"] * len(clients)
        await close(*clients)
