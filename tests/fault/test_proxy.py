"""The fault proxy does what it says, over Unix sockets and over TCP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import redis.asyncio

from eccmgr.cluster.calls.views import roster
from eccmgr.cluster.options import ClusterOptions
from eccmgr.errors import EccmgrError, RedisUnreachable
from eccmgr.redis.connect import Link
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.fault.plan import Moment
from tests.fault.proxy import FaultProxy, Trap
from tests.fault.vetoes import ENDS_CONNECTIONS, SAID, Veto
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]


@pytest_asyncio.fixture(params=["unix", "tcp"])
async def proxy(
    request: pytest.FixtureRequest, redis_server: EmbeddedServer, folder: Path
) -> AsyncIterator[FaultProxy]:
    """A proxy before the real server."""
    path = folder / "proxy" if request.param == "unix" else None
    async with FaultProxy(redis_server.socket, path).running() as made:
        yield made


@contextlib.asynccontextmanager
async def through(proxy: FaultProxy) -> AsyncIterator[Link]:
    """A connection through `proxy`."""
    link = Link(proxy.url)
    try:
        yield link
    finally:
        await link.close()


async def test_all_passes_while_nothing_is_wrong(proxy: FaultProxy) -> None:
    async with through(proxy) as link:
        assert await link.pipeline(("ECHO", "x" * 300_000)) == [b"x" * 300_000]


async def test_what_is_stalled_comes_later_and_whole(proxy: FaultProxy) -> None:
    async with through(proxy) as link:
        await link.pipeline(("PING",))
        proxy.stall()
        asked = asyncio.create_task(link.pipeline(("ECHO", "later")))
        done, _ = await asyncio.wait({asked}, timeout=0.1)
        assert not done
        proxy.resume()
        assert await asked == [b"later"]


async def test_what_is_delayed_comes(proxy: FaultProxy) -> None:
    proxy.delay_s = 0.01
    async with through(proxy) as link:
        assert await link.pipeline(("ECHO", "later")) == [b"later"]


async def test_reset_is_noticed_and_the_next_call_passes(proxy: FaultProxy) -> None:
    async with through(proxy) as link:
        await link.pipeline(("PING",))
        proxy.stall()
        asked = asyncio.create_task(link.pipeline(("PING",)))
        await wait_until(lambda: len(proxy.lines) == 1, "the call waits")
        proxy.reset()
        with pytest.raises(RedisUnreachable):
            await asked
        proxy.resume()
        link.fault = None
        await wait_until(lambda: not proxy.lines, "the connection is gone")
        assert await link.pipeline(("ECHO", "again")) == [b"again"]


async def test_half_open_connection_is_silent_until_healed(proxy: FaultProxy) -> None:
    async with through(proxy) as link:
        await link.pipeline(("PING",))
        proxy.half_open()
        asked = asyncio.create_task(link.pipeline(("PING",)))
        done, _ = await asyncio.wait({asked}, timeout=0.1)
        assert not done
        proxy.heal()
        with pytest.raises(RedisUnreachable):
            await asked


async def test_a_deaf_subscription_hears_nothing_while_calls_pass(proxy: FaultProxy) -> None:
    heard: list[object] = []
    async with through(proxy) as link:
        wire = await link.subscribe(["proxied"], heard.append)
        assert await link.call("PUBLISH", "proxied", "x") == 1
        await wait_until(lambda: len(heard) == 1, "the message is heard")
        proxy.deafen()
        assert await link.call("PUBLISH", "proxied", "x") == 1
        await wait_until(lambda: proxy.swallowed == 1, "the message is swallowed")
        wire.close()
        assert len(heard) == 1


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
async def test_trap_springs_before_or_after_the_server_acts(
    proxy: FaultProxy, cluster_keys: Keys, moment: Moment
) -> None:
    sprung: list[bool] = []
    call = roster(cluster_keys, ClusterOptions(), 60_000)
    async with through(proxy) as link:
        # From now on the server knows the script.
        await link.run(call)
        await link.call("DEL", cluster_keys.state)
        proxy.traps.append(Trap("roster", moment, lambda: sprung.append(True)))
        with pytest.raises(RedisUnreachable):
            await link.run(call)
        assert sprung == [True]
        link.fault = None
        assert await link.call("EXISTS", cluster_keys.state) == (moment is Moment.AFTER)


async def test_trap_may_spring_after_its_caller_has_answers(proxy: FaultProxy, cluster_keys: Keys) -> None:
    sprung: list[bool] = []
    call = roster(cluster_keys, ClusterOptions(), 60_000)
    async with through(proxy) as link:
        await link.run(call)
        proxy.traps.append(Trap("roster", Moment.LATER, lambda: sprung.append(True)))
        assert await link.run(call)
        await wait_until(lambda: sprung == [True] and not proxy.lines, "the connection is reset")


@pytest.mark.parametrize("veto", SAID)
async def test_what_is_refused_does_not_reach_the_server(
    proxy: FaultProxy, cluster_keys: Keys, redis_server: EmbeddedServer, veto: Veto
) -> None:
    key = cluster_keys.state
    async with through(proxy) as link, redis.asyncio.Redis(unix_socket_path=str(redis_server.socket)) as direct:
        assert await link.call("SET", key, "before", "PX", "60000") == b"OK"
        proxy.refuse(veto)
        with pytest.raises(EccmgrError):
            await link.call("SET", key, "after", "PX", "60000")
        assert await direct.get(key) == b"before"
        proxy.allow(veto)
        link.fault = None
        if veto in ENDS_CONNECTIONS:
            await wait_until(lambda: not proxy.lines, "the connections are gone")
        assert await link.call("SET", key, "again", "PX", "60000") == b"OK"
        assert await direct.get(key) == b"again"


async def dialled(proxy: FaultProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if proxy.path is None:
        return await asyncio.open_connection("127.0.0.1", proxy.port)
    return await asyncio.open_unix_connection(proxy.path)


async def test_a_refusal_is_said_in_its_turn(
    proxy: FaultProxy, cluster_keys: Keys, redis_server: EmbeddedServer
) -> None:
    reader, writer = await dialled(proxy)
    async with asyncio.timeout(10), redis.asyncio.Redis(unix_socket_path=str(redis_server.socket)) as direct:
        writer.write(f"BLPOP {cluster_keys.log} 0\r\n".encode())
        await wait_until(lambda: any(line.owed for line in proxy.lines), "it waits")
        proxy.refuse(Veto.TRYAGAIN)
        writer.write(b"ECHO second\r\n")
        await wait_until(lambda: proxy.refused == 1, "the second is refused")
        await direct.rpush(cluster_keys.log, "first")
        said = [await reader.readline() for _ in range(6)]
    assert said[4] == b"first\r\n"
    assert said[5].startswith(b"-TRYAGAIN ")
    writer.close()
    await writer.wait_closed()


async def test_begun_transaction_is_not_cut_by_refusals(proxy: FaultProxy, redis_server: EmbeddedServer) -> None:
    reader, writer = await dialled(proxy)
    async with asyncio.timeout(10):
        writer.write(b"MULTI\r\n")
        assert await reader.readline() == b"+OK\r\n"
        proxy.refuse(Veto.LOADING)
        writer.write(b"ECHO in\r\nEXEC\r\nECHO out\r\n")
        assert await reader.readline() == b"+QUEUED\r\n"
        assert [await reader.readline() for _ in range(3)] == [b"*1\r\n", b"$2\r\n", b"in\r\n"]
        assert (await reader.readline()).startswith(b"-LOADING ")
    writer.close()
    await writer.wait_closed()


async def test_trap_may_refuse_everything_from_its_point_on(proxy: FaultProxy, cluster_keys: Keys) -> None:
    call = roster(cluster_keys, ClusterOptions(), 60_000)
    async with through(proxy) as link:
        await link.run(call)
        for moment, comes in ((Moment.BEFORE, False), (Moment.AFTER, True)):
            proxy.traps.append(Trap("roster", moment, lambda: proxy.refuse(Veto.LOADING), resets=False))
            answered = await asyncio.gather(link.run(call), return_exceptions=True)
            assert isinstance(answered[0], EccmgrError) is not comes
            proxy.allow(Veto.LOADING)
            link.fault = None
