"""A refusal of the server is reported as such and ends with its cause; all other calls go on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from eccmgr.cluster.calls.commands import draft
from eccmgr.cluster.options import ClusterOptions
from eccmgr.errors import RedisRefuses, RedisUnreachable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.subscribe import Subscription
from tests.logged import Logged, LogOf
from tests.refusing import REFUSALS, demoted, forbidden, plain_server, unsaved
from tests.servers import Server
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio
KEYS = Keys("refused")


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    """A server that does not refuse yet."""
    with plain_server(folder) as made:
        yield made


@pytest_asyncio.fixture
async def to_it(server: Server) -> AsyncIterator[Link]:
    """A link to that server."""
    made = Link(f"redis://{server.address}")
    yield made
    await made.close()


@pytest.fixture
def lines(log_of: LogOf) -> Logged:
    """The log lines of the link."""
    return log_of("eccmgr.redis.refusals")


async def write(link: Link) -> None:
    """Call a script that stores a new value, in the way of a heartbeat."""
    await link.run(draft(KEYS, ClusterOptions(command_ttl_s=1), KEYS.draft("x"), ["east1"]), probe=True)


@pytest.mark.parametrize("code", REFUSALS)
async def test_each_refusal_is_told_and_passes(server: Server, to_it: Link, code: str) -> None:
    await write(to_it)
    with REFUSALS[code](server):
        if code == "NOAUTH":
            with pytest.raises(RedisUnreachable, match="closed"):
                await write(to_it)
        with pytest.raises(RedisRefuses) as caught:
            await write(to_it)
        assert (caught.value.code, caught.value.soon) == (code, code not in ("NOPERM", "NOAUTH"))
        assert server.address in str(caught.value)
    await write(to_it)
    assert to_it.fault is None


async def test_what_is_not_refused_goes_on_beside(server: Server, to_it: Link) -> None:
    with demoted(server):
        with pytest.raises(RedisRefuses):
            await write(to_it)
        assert await to_it.call("PING") == b"PONG"


async def test_a_refusal_is_said_once_with_its_remedy(server: Server, to_it: Link, lines: Logged) -> None:
    with demoted(server):
        for _ in range(3):
            with pytest.raises(RedisRefuses):
                await write(to_it)
    said = [line for line in lines if line["event"] == "redis refuses"]
    assert [(line["code"], line["remedy"]) for line in said] == [
        ("READONLY", "promote it, or name its master in our URL of Redis")
    ]


@contextlib.asynccontextmanager
async def listening(link: Link, heard: list[bytes]) -> AsyncIterator[Subscription]:
    """A running subscription."""
    made = Subscription(link, (KEYS.events,), lambda _channel, data: heard.append(data))
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.wait([task])


async def test_a_subscription_hears_a_server_that_cannot_save(server: Server, to_it: Link) -> None:
    heard: list[bytes] = []
    with unsaved(server):
        async with listening(to_it, heard) as subscription:
            await wait_until(subscription.listening.is_set, "it listens")
            await asyncio.to_thread(server.call, "PUBLISH", KEYS.events, "x")
            await wait_until(lambda: heard == [b"x"], "it hears")


async def test_a_subscription_comes_once_it_is_allowed(server: Server, to_it: Link, lines: Logged) -> None:
    with forbidden(server, "subscribe"):
        async with listening(to_it, []) as subscription:
            await wait_until(lambda: bool(lines), "it is refused")
            assert not subscription.listening.is_set()
            await asyncio.to_thread(server.call, "ACL", "SETUSER", "default", "+subscribe")
            await wait_until(subscription.listening.is_set, "it listens")
    assert [(line["event"], line["what"]) for line in lines[:1]] == [("redis refuses", "SUBSCRIBE")]


@pytest.mark.parametrize(
    "said", [b"%1\r\n*1\r\n+a\r\n+b\r\n", b"-MOVED x\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-DENIED no\r\n"]
)
async def test_whoever_answers_in_place_of_redis_is_unreachable(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(said)
        await writer.drain()
        writer.close()

    stranger = await asyncio.start_server(answer, "127.0.0.1")
    link = Link(f"redis://127.0.0.1:{stranger.sockets[0].getsockname()[1]}")
    with pytest.raises(RedisUnreachable):
        await link.call("PING")
    assert link.fault is not None
    await link.close()
    stranger.close()
    await stranger.wait_closed()
