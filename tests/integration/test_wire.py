"""Many calls share one connection: whatever happens to one call, every other call gets its own answer or a fault."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from eccmgr.redis.address import RedisAddress
from eccmgr.redis.client import make_pool
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.wire import OnPush, Wire
from tests.fault.proxy import FaultProxy
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]


@contextlib.asynccontextmanager
async def connected(url: str, timeout_s: float = 60.0, on_push: OnPush | None = None) -> AsyncIterator[Wire]:
    """A wire to the server at `url`."""
    connection = make_pool(RedisAddress.parse(url), 60.0).make_connection()  # type: ignore[no-untyped-call]
    wire = await Wire.open(connection, timeout_s, on_push)
    try:
        yield wire
    finally:
        wire.close()
        await asyncio.sleep(0)


@pytest_asyncio.fixture
async def wire(redis_server: EmbeddedServer) -> AsyncIterator[Wire]:
    """A connection to the real server."""
    async with connected(redis_server.url) as made:
        yield made


async def test_calls_at_once_each_get_their_own_answer(wire: Wire) -> None:
    words = [str(number) * (1 if number % 7 else 50_000) for number in range(500)]
    assert await asyncio.gather(*(wire.call("ECHO", word) for word in words)) == [word.encode() for word in words]


async def test_abandoned_call_costs_the_others_nothing(wire: Wire) -> None:
    calls = [asyncio.ensure_future(wire.call("ECHO", str(number))) for number in range(20)]
    await asyncio.sleep(0)
    for call in calls[::3]:
        call.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [a for n, a in enumerate(answers) if n % 3] == [str(n).encode() for n in range(20) if n % 3]


async def test_a_refusal_is_that_calls_alone(wire: Wire) -> None:
    refused, answered = await asyncio.gather(wire.call("NONSENSE"), wire.call("ECHO", "x"), return_exceptions=True)
    assert isinstance(refused, ResponseError)
    assert answered == b"x"
    assert wire.fault is None


async def test_messages_and_answers_are_told_apart(redis_server: EmbeddedServer) -> None:
    heard: list[Any] = []
    async with connected(redis_server.url, on_push=heard.append) as wire:
        wire.tell("SUBSCRIBE", "wired")
        answers = [wire.send(*words) for words in (("PING",), ("PUBLISH", "wired", "hello"), ("ECHO", "x"))]
        assert await asyncio.gather(*answers) == [b"PONG", 1, b"x"]
    assert heard == [[b"subscribe", b"wired", 1], [b"message", b"wired", b"hello"]]


async def test_missing_answer_ends_the_connection_and_its_queue(redis_server: EmbeddedServer, folder: Path) -> None:
    proxy = FaultProxy(redis_server.socket, folder / "proxy")
    async with proxy.running(), connected(proxy.url, timeout_s=0.1) as wire:
        await wire.call("PING")
        proxy.stall()
        for answer in await asyncio.gather(wire.call("PING"), wire.call("PING"), return_exceptions=True):
            assert isinstance(answer, RedisTimeoutError)
        with pytest.raises(RedisTimeoutError):
            await wire.call("PING")
        assert wire.lost.is_set()


async def test_cut_connection_fails_its_unanswered_calls(redis_server: EmbeddedServer, folder: Path) -> None:
    proxy = FaultProxy(redis_server.socket, folder / "proxy")
    async with proxy.running(), connected(proxy.url) as wire:
        await wire.call("PING")
        proxy.stall()
        # More than any buffer holds, so some bytes wait for their write. They must not wait for ever.
        calls = [asyncio.ensure_future(wire.call("ECHO", "x" * 1_000_000)) for _ in range(10)]
        await wait_until(lambda: not wire._writable.is_set(), "the connection is full")
        late = asyncio.ensure_future(wire.call("PING"))
        await asyncio.sleep(0)
        proxy.reset()
        for answer in await asyncio.gather(*calls, late, return_exceptions=True):
            assert isinstance(answer, RedisConnectionError)


@contextlib.asynccontextmanager
async def saying(said: bytes, path: Path) -> AsyncIterator[str]:
    """A server that says this in answer to ECHO; answers its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line.strip() == b"HELLO":
                writer.write(b"%0\r\n")
            elif line.strip() == b"ECHO":
                writer.write(said)
        writer.close()

    server = await asyncio.start_unix_server(answer, path)
    async with server:
        yield f"unix://{path}"
    await server.wait_closed()


async def test_server_talking_nonsense_is_left_with_clear_error(folder: Path) -> None:
    async with saying(b"what?\r\n", folder / "nonsense") as url, connected(url) as wire:
        with pytest.raises(RedisConnectionError, match="its answer is not understood"):
            await wire.call("ECHO", "x")


async def test_message_without_subscription_ends_the_connection(folder: Path) -> None:
    # It may stand in the place of an answer. Then each call would get the answer to the one before it.
    async with saying(b">1\r\n:7\r\n", folder / "push") as url, connected(url, on_push=None) as wire:
        with pytest.raises(RedisConnectionError, match="its answer is not understood"):
            await wire.call("ECHO", "x")
