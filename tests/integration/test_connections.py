"""One connection to a listener: the order of answers, its patience, its idleness, and its end when the client goes."""

import asyncio
import errno
import json
import resource
import socket
import stat
from pathlib import Path

import pytest

from eccmgr.control import frames
from eccmgr.control.endpoint import Endpoint, SocketFile
from eccmgr.control.limits import Limits
from tests.listeners import Client, Settings, ask, listen_too, listening
from tests.logged import LogOf
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]

QUICKLY_IDLE = Limits(idle_timeout_s=0.1)


async def test_hundred_pipelined_commands_are_answered_in_order(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.send(*(f"echo {number}" for number in range(100)))
        assert [await client.answer() for _ in range(100)] == [str(number) for number in range(100)]


async def test_read_ahead_excess_is_answered_in_order(folder: Path) -> None:
    number, text = 30_000, "x" * 50
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.send(*(f"echo {each} {text}" for each in range(number)))
        for each in range(number):
            assert await client.answer() == f"{each} {text}"


async def test_read_ahead_of_a_slow_command_is_bounded(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.send("wait", *["echo " + "x" * 60_000] * 100)
        await wait_until(lambda: listener.waiting == 1, "the slow command runs")
        (connection,) = listener.server.connections
        await wait_until(lambda: not connection._transport.is_reading(), "no more is read")
        assert connection._decoder.pending < 1_000_000
        listener.release.set()
        assert await client.answer() == "waited"
        for _ in range(100):
            assert len(await client.answer()) == 60_000


async def test_slow_command_delays_only_its_own_connection(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as slow:
        slow.send("echo before", "wait", "echo behind")
        assert await slow.answer() == "before"
        await wait_until(lambda: listener.waiting == 1, "the slow command runs")
        assert await ask(listener.path, "echo other") == "other"
        listener.release.set()
        assert [await slow.answer(), await slow.answer()] == ["waited", "behind"]


async def test_answer_does_not_wait_for_slow_later_commands(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.send("wait", "echo between", "wait")
        await wait_until(lambda: listener.waiting == 1, "the first slow command runs")
        listener.release.set()
        assert await client.answer() == "waited"
        listener.release.clear()
        assert await client.answer() == "between"


async def test_client_sending_thousands_leaves_others_their_turn(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as greedy:
        async with await Client.open(listener.path) as other:
            await wait_until(lambda: listener.connections == 2, "both are connected")
            greedy.send(*["echo g"] * 15_000)
            other.send("echo other")
            assert await other.answer() == "other"
        assert listener.echoed.index("other") < 7_500
        for _ in range(15_000):
            assert await greedy.answer() == "g"


async def test_stream_events_follow_the_earlier_answers(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.send("echo before")
        client.request("wait", id=1, stream=True)
        assert await client.answer() == "before"
        assert await client.fields(frames.CHUNK) == {"id": 1, "event": "text", "text": "waiting"}
        listener.release.set()
        assert (await client.fields(frames.RESULT))["body"] == "the rest"


async def test_a_stream_may_end_in_the_whole_answer(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        listener.release.set()
        client.request("wait", stream=True, whole=True)
        await client.fields(frames.CHUNK)
        assert (await client.fields(frames.RESULT))["body"] == "waited"


async def test_client_that_ends_sending_still_gets_answers(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.send("wait", "echo last")
        client.writer.write_eof()
        await wait_until(lambda: listener.waiting == 1, "the command runs")
        listener.release.set()
        assert [await client.answer(), await client.answer()] == ["waited", "last"]
        assert await client.rest() == b""


async def test_vanished_stream_client_cancels_the_waiting(folder: Path) -> None:
    async with listening(folder) as listener:
        async with await Client.open(listener.path) as client:
            client.request("wait", stream=True)
            await client.fields(frames.CHUNK)
        await wait_until(lambda: listener.waiting == 0, "the waiting is cancelled")
        await wait_until(lambda: listener.connections == 0, "the connection is over")


async def test_reset_client_connection_cancels_the_waiting(folder: Path) -> None:
    async with listening(folder) as listener:
        await listen_too(listener.server, Endpoint(host="127.0.0.1", port=0), Limits(insecure=True))
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.server.endpoints[1].port)
        client = Client(reader, writer)
        client.send("wait")
        await wait_until(lambda: listener.waiting == 1, "the command runs")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()
        await wait_until(lambda: listener.waiting == 0 and listener.connections == 0, "nothing of it is left")


async def test_an_idle_session_is_closed(folder: Path) -> None:
    async with listening(folder, QUICKLY_IDLE) as listener:
        async with await Client.open(listener.path) as silent, await Client.open(listener.path) as client:
            assert await client.ask("echo a") == "a"
            assert await client.rest() == b""
            assert await silent.rest() == b""
        assert listener.connections == 0


async def test_half_a_command_is_idle_too(folder: Path) -> None:
    async with listening(folder, QUICKLY_IDLE) as listener, await Client.open(listener.path) as client:
        client.send_raw(bytes.fromhex("0002 0000"))
        assert await client.rest() == b""


async def test_a_running_command_is_not_idle(folder: Path) -> None:
    async with (
        listening(folder, QUICKLY_IDLE) as listener,
        await Client.open(listener.path) as client,
        await Client.open(listener.path) as idle,
    ):
        client.send("wait")
        await wait_until(lambda: listener.waiting == 1, "the command runs")
        for _ in range(3):
            assert await idle.rest() == b""
            async with await Client.open(listener.path) as another:
                assert await another.rest() == b""
        listener.release.set()
        assert await client.answer() == "waited"
        assert await client.rest() == b""


async def test_without_an_idle_timeout_a_session_stays(folder: Path) -> None:
    async with listening(folder, Limits(idle_timeout_s=0)) as listener, await Client.open(listener.path) as client:
        await client.ask("version")
        (connection,) = listener.server.connections
        connection._check_idle()


async def test_frame_has_idle_time_from_its_first_byte(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        await client.ask("version")
        (connection,) = listener.server.connections
        before = connection._last_active
        client.send_raw(b"\0")
        await wait_until(lambda: connection._decoder.pending == 1, "the byte is there")
        begun = connection._last_active
        assert begun > before
        client.send_raw(b"\1")
        await wait_until(lambda: connection._decoder.pending == 2, "the next byte is there")
        assert connection._last_active == begun


async def test_client_reading_no_answers_is_given_up_whole(folder: Path) -> None:
    async with listening(folder, QUICKLY_IDLE) as listener, await Client.open(listener.path) as deaf:
        deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
        deaf.send(*["big 1000000"] * 20)
        await wait_until(lambda: listener.connections == 1, "it is connected")
        await wait_until(lambda: listener.connections == 0, "it is given up")


async def test_command_sent_before_reading_answers_is_answered(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await wait_until(lambda: listener.connections == 1, "it is connected")
        (connection,) = listener.server.connections
        sent = 0
        while connection._writable.is_set():
            client.send("echo " + "x" * 60_000)
            sent += 1
            await wait_until(lambda: len(listener.echoed) == sent, "it is carried out")  # noqa: B023
        client.send("echo late")
        await wait_until(lambda: connection._decoder.pending > 0, "the command is there")
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(sent):
            assert len(await client.answer()) == 60_000
        assert await client.answer() == "late"


async def test_client_leaving_an_answer_unread_is_given_up(folder: Path) -> None:
    async with listening(folder, QUICKLY_IDLE) as listener:
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.setblocking(False)
            deaf.connect(str(listener.path))
            await wait_until(lambda: listener.connections == 1, "it is connected")
            (connection,) = listener.server.connections
            waiting = connection._transport.get_write_buffer_size
            # So few bytes remain behind the full socket that the transport does not ask the server to wait.
            while waiting() == 0 and listener.connections:
                deaf.send(frames.encode_text("big 10000"))
                await asyncio.sleep(0.001)
            await wait_until(lambda: listener.connections == 0, "it is given up")


async def test_stream_is_held_while_its_client_reads_nothing(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.request("flood", stream=True)
        await wait_until(lambda: listener.connections == 1 and listener.emitted > 0, "it streams")
        (connection,) = listener.server.connections
        await wait_until(lambda: not connection._writable.is_set(), "its socket is full")
        held = listener.emitted
        assert await ask(listener.path, "echo other") == "other"
        assert listener.emitted == held
        assert connection._transport.get_write_buffer_size() < 1_000_000


@pytest.mark.parametrize("size", [65_535, 65_536, 8_000_000])
async def test_an_answer_of_any_size_arrives_whole(folder: Path, size: int) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.send(f"big {size}", "echo behind")
        kind, payload = await client.frame()
        assert kind == (frames.SHORT if size <= 65_535 else frames.LONG)
        assert payload == b"x" * size
        assert await client.answer() == "behind"


async def test_slow_reader_gets_megabytes_beyond_the_idle_time(
    folder: Path,
) -> None:
    async with listening(folder, Limits(idle_timeout_s=0.2)) as listener:
        with socket.socket(socket.AF_UNIX) as slow:
            slow.setblocking(False)
            slow.connect(str(listener.path))
            loop, size, got = asyncio.get_running_loop(), 3_000_000, 0
            await loop.sock_sendall(slow, frames.encode_text(f"big {size}"))
            started = loop.time()
            while got < size + 6:
                data = await loop.sock_recv(slow, 65536)
                assert data, f"closed after {got} bytes"
                got += len(data)
                await asyncio.sleep(0.015)
            assert loop.time() - started > 0.2, "this was not slow enough to tell"


async def test_client_sending_single_bytes_is_answered(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        for byte in frames.encode_text("echo slowly") + frames.encode(frames.LONG, b"echo again"):
            client.send_raw(bytes([byte]))
            await asyncio.sleep(0)
        assert [await client.answer(), await client.answer()] == ["slowly", "again"]


async def test_five_hundred_connections_at_once_are_all_answered(folder: Path) -> None:
    async with listening(folder, Limits(max_connections_of_peer=500)) as listener:
        clients = await asyncio.gather(*(Client.open(listener.path) for _ in range(500)))
        await wait_until(lambda: listener.connections == 500, "all are connected")
        answers = await asyncio.gather(*(client.ask(f"echo {number}") for number, client in enumerate(clients)))
        assert answers == [str(number) for number in range(500)]
        await asyncio.gather(*(client.__aexit__() for client in clients))
        await wait_until(lambda: listener.connections == 0, "all are gone")


async def test_excess_connections_are_closed_and_others_served(folder: Path) -> None:
    async with listening(folder, Limits(max_connections=2)) as listener:
        async with await Client.open(listener.path) as first, await Client.open(listener.path) as second:
            assert [await first.ask("echo 1"), await second.ask("echo 2")] == ["1", "2"]
            async with await Client.open(listener.path) as third:
                refused = await third.ask("echo 3")
                assert refused == "Too many connections: 2 are open, and none is idle; try again later"
                assert await third.rest() == b""
            assert await first.ask("echo still") == "still"
        await wait_until(lambda: listener.connections == 0, "they are gone")
        assert await ask(listener.path, "echo again") == "again"


async def test_clients_cannot_take_the_daemons_descriptors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (200, 200))
    async with listening(folder) as listener:
        (opened,) = listener.server.opened.values()
        assert opened.terms.limits.max_connections == 72


async def test_a_closing_server_lets_answers_under_way_leave(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.send("wait", "echo behind")
        await wait_until(lambda: listener.waiting == 1, "the command runs")
        closing = asyncio.create_task(listener.server.close(grace_s=30))
        await wait_until(lambda: not listener.path.exists(), "the socket is unlinked")
        listener.release.set()
        assert [await client.answer(), await client.answer()] == ["waited", "behind"]
        await closing
        assert await client.rest() == b""


async def test_a_closing_server_does_not_wait_for_ever(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.send("wait")
        await wait_until(lambda: listener.waiting == 1, "the command runs")
        await listener.server.close(grace_s=0)
        assert (listener.waiting, listener.connections) == (0, 0)
        assert await client.rest() == b""


@pytest.mark.parametrize("command", ["name", "NAME", " name "])
async def test_immediate_answers_are_alike_however_requested(folder: Path, command: str) -> None:
    async with listening(folder) as listener:
        assert await ask(listener.path, command) == "listener"
        answer = json.loads(await ask(listener.path, f"json {command}"))
        assert answer == {"command": command.strip(), "status": "ok", "body": "listener"}


async def test_immediate_answers_overtake_no_earlier_command(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.send("wait")
        await wait_until(lambda: listener.waiting == 1, "the slow command runs")
        client.send("name")
        assert await ask(listener.path, "name") == "listener"
        listener.release.set()
        assert [await client.answer(), await client.answer()] == ["waited", "listener"]


async def test_socket_is_for_owner_and_group_then_unlinked(folder: Path) -> None:
    async with listening(folder) as listener:
        assert stat.S_IMODE(listener.path.stat().st_mode) == 0o660
    assert not listener.path.exists()


async def test_mode_that_cannot_be_changed_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, log_of: LogOf
) -> None:
    def refuse(_file: SocketFile, _mode: int) -> None:
        raise PermissionError(errno.EPERM, "no")

    async with listening(folder) as listener:
        said = log_of("eccmgr.control.server")
        monkeypatch.setattr(SocketFile, "set_mode", refuse)
        await listener.server.follow({Endpoint(path=str(listener.path)): Settings(listener.limits, 0o600)})
    told = next(event for event in said if event["event"] == "listener not changed")
    assert (told["endpoint"], told["lacks"], told["reason"]) == (str(listener.path), "mode", "no")


async def test_the_server_never_speaks_first(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        await wait_until(lambda: listener.connections == 1, "it is connected")
        assert await ask(listener.path, "echo other") == "other"
        client.writer.write_eof()
        assert await client.rest() == b""
