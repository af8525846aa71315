"""A listener answers broken input or closes the connection, and no other client notices."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from eccmgr.control import frames
from eccmgr.control.limits import Limits
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import manager, node, running
from tests.listeners import Client, Listener, ask, listening
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]


@pytest_asyncio.fixture
async def listener(folder: Path) -> AsyncIterator[Listener]:
    """A listener. After the test it must serve others as before, and have no session left."""
    async with listening(folder, Limits(max_command_bytes=1000)) as made:
        yield made
        assert "eccmgr version:" in await ask(made.path, "version")
        await wait_until(lambda: made.connections == 0, "every session is over")


async def sent(listener: Listener, data: bytes) -> bytes:
    """The whole answer to `data`, from a listener that then closes."""
    async with await Client.open(listener.path) as client:
        client.send_raw(data)
        return await client.rest()


@pytest.mark.parametrize("kind", [0, 3, 15, 18, 19, 20, 0x4745, 0xFFFF])
async def test_unknown_type_is_named_before_closing(listener: Listener, kind: int) -> None:
    data = struct.pack("!HI", kind, 0) + frames.encode_text("echo never")
    assert await sent(listener, data) == frames.encode_text(f"Unknown frame type {kind}")
    assert listener.echoed == []


async def test_unknown_type_is_named_after_earlier_answers(listener: Listener) -> None:
    data = frames.encode_text("echo 1") + frames.encode_text("echo 2") + b"GET / HTTP/1.1\r\n\r\n"
    said = [frames.encode_text(text) for text in ("1", "2", "Unknown frame type 18245")]
    assert await sent(listener, data) == b"".join(said)


async def test_command_up_to_the_limit_is_accepted(listener: Listener) -> None:
    assert await ask(listener.path, "echo " + "x" * 995) == "x" * 995
    refusal = frames.encode_text("Command too long (1001 bytes, limit 1000)")
    assert await sent(listener, frames.encode_text("x" * 1001)) == refusal


@pytest.mark.parametrize("kind", [frames.LONG, frames.AUTH, frames.REQUEST])
async def test_giant_length_is_refused_without_waiting(listener: Listener, kind: int) -> None:
    refusal = frames.encode_text("Command too long (4294967295 bytes, limit 1000)")
    assert await sent(listener, struct.pack("!HI", kind, 0xFFFFFFFF)) == refusal


async def test_sender_of_an_overlong_command_reads_why(listener: Listener) -> None:
    def talk() -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(listener.path))
            client.sendall(frames.encode_text("x" * 4_000_000))
            return client.recv(1000)

    answer = await asyncio.to_thread(talk)
    assert answer == frames.encode_text("Command too long (4000000 bytes, limit 1000)")


async def test_who_never_stops_sending_is_ended(listener: Listener) -> None:
    async with await Client.open(listener.path) as client:
        client.send_raw(b"\xff\xff")
        assert await client.answer() == "Unknown frame type 65535"

        async def send_for_ever() -> None:
            while True:
                client.send_raw(bytes(100_000))
                await client.writer.drain()

        with pytest.raises(ConnectionError):
            await send_for_ever()


@pytest.mark.parametrize("payload", [b"\xff", b"echo \xc3", b"\xed\xa0\x80", b"\xc0\x80"])
async def test_invalid_utf_8_is_answered_and_session_continues(listener: Listener, payload: bytes) -> None:
    async with await Client.open(listener.path) as client:
        for kind in (frames.SHORT, frames.LONG):
            client.send_raw(frames.encode(kind, payload))
            assert await client.answer() == "Command is not valid UTF-8"
        assert await client.ask("echo on") == "on"


@pytest.mark.parametrize(
    "whole", [frames.encode_text("echo a"), frames.encode(frames.REQUEST, b'{"command": "echo a"}')]
)
async def test_client_may_vanish_within_any_frame(listener: Listener, whole: bytes) -> None:
    for length in range(len(whole)):
        async with await Client.open(listener.path) as client:
            client.send_raw(whole[:length])
            client.writer.write_eof()
            assert await client.rest() == b""
    assert listener.echoed == []


async def test_a_client_may_vanish_without_reading_its_answers(listener: Listener) -> None:
    for _ in range(20):
        async with await Client.open(listener.path) as client:
            client.send(*["big 100000"] * 20)
            await client.writer.drain()
            client.writer.transport.abort()


@pytest.mark.parametrize("seed", range(10))
async def test_random_bytes_end_their_own_connection_at_most(listener: Listener, seed: int) -> None:
    chaos = random.Random(seed)
    async with await Client.open(listener.path) as client:
        client.send_raw(chaos.randbytes(chaos.randrange(1, 5000)))
        client.writer.write_eof()
        await client.rest()


async def test_a_fault_in_a_handler_is_an_answer(listener: Listener) -> None:
    async with await Client.open(listener.path) as client:
        assert await client.ask("crash") == "Internal error: ZeroDivisionError (see the log)"
        assert await client.ask("echo on") == "on"


LINES = [
    "xml",
    "xml ",
    "json",
    "json \n",
    "\nversion",
    "\n\n\r\nshow cluster membership",
    "version   ",
    "version\0",
    "version\n\0",
    "",
    " ",
    "\0",
    "broadcast",
    "broadcast ",
    "unicast",
    "unicast east1",
    "unicast nobody pid",
    "unicast '' pid",
    "subcluster",
    "subcluster broadcast",
    "subcluster broadcast nowhere",
    "subcluster broadcast nowhere pid",
    "subcluster retrieve",
    "subcluster retrieve nowhere pid",
    "retrieve",
    "retrieve pid",
    "retrieve #",
    "retrieve #01KB3ZC0WV9Y",
    "retrieve 01KB3ZC0WV9Y",
    "retrieve '",
    "retrieve_node",
    "retrieve_node nobody",
    "retrieve_node nobody pid",
    "retrieve_node east1 never sent",
    "gather",
    "gather --timeout",
    "gather --timeout 5",
    "gather --timeout x pid",
    "gather --timeout=",
    "gather --timeout 99999999999999999999 pid",
    "gather --nonsense pid",
    "gather '--timeout pid",
    "gather @",
    "gather @nowhere pid",
    "gather @all",
    "gather east[1-",
    "gather east[1-3] pid",
    "gather a,b pid",
    "abort",
    "abort #1",
    "preview",
    "history x",
    "flush control cache now",
    "flush control",
    "show",
    "help nonsense",
    "help '",
    "config",
    "config set",
    "cluster",
    "cluster duravip",
    "sched",
    "authz",
    "complete '",
    'complete "gather --timeout "',
    'complete "unicast \\""',
    "\ud7ff\u2028\u0007",
    "%s%n{0}",
    "*" * 100_000,
    '"' * 9_999,
]


@pytest.mark.parametrize("form", ["", "json ", "xml "])
async def test_no_line_is_an_internal_fault_anywhere(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path, form: str
) -> None:
    url, cluster = redis_server.url, cluster_keys.cluster
    async with (
        running(manager(url, cluster, folder)) as barca,
        running(node(url, cluster, folder, "east1")) as east1,
    ):
        for daemon in (barca, east1):
            async with await Client.open(str(daemon.endpoints[0].path)) as client:
                for line in LINES:
                    answer = await client.ask(form + line)
                    assert "Internal error" not in answer, line
                assert " version: " in await client.ask("version")
