"""No answer at the address of Redis ends a daemon: neither replies of every wrong kind, nor bytes that are not a
reply."""

import asyncio
import os
import random
from pathlib import Path

import pytest

from eccmgr.cluster.calls import views
from eccmgr.cluster.options import ClusterOptions
from eccmgr.errors import EccmgrError
from eccmgr.redis.connect import Link
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.fault.proxy import FaultProxy
from tests.integration.site import Site
from tests.waiting import wait_until

REPLIES = (
    (b"+OK\r\n", b":7\r\n", b":-1\r\n", b"(" + b"9" * 400 + b"\r\n", b",nan\r\n", b",inf\r\n", b"#t\r\n", b"_\r\n"),
    (b"$-1\r\n", b"$0\r\n\r\n", b"$4\r\njunk\r\n", b"$2\r\n\xff\xfe\r\n", b"=8\r\ntxt:junk\r\n", b"!4\r\nJUNK\r\n"),
    (
        b"*0\r\n",
        b"*-1\r\n",
        b"*1\r\n:7\r\n",
        b"*2\r\n*0\r\n*0\r\n",
        b"*1\r\n*1\r\n$4\r\njunk\r\n",
        b"*3\r\n_\r\n_\r\n_\r\n",
    ),
    (b"%0\r\n", b"%1\r\n+a\r\n:7\r\n", b"%1\r\n:7\r\n%0\r\n", b"~1\r\n:7\r\n"),
    (b"-JUNK\r\n", b"-\r\n", b"-ERR a\r\n", b"*6\r\n" + b":0\r\n" * 6, b"*1\r\n$4\r\njunk\r\n"),
    (
        b"*3\r\n$4\r\njunk\r\n:0\r\n*0\r\n",
        b"*4\r\n$2\r\nok\r\n:1\r\n$1\r\nm\r\n*0\r\n",
        b"*9\r\n$7\r\nrenewed\r\n:7\r\n:7\r\n*0\r\n$0\r\n\r\n:0\r\n$1\r\n1\r\n*0\r\n$0\r\n\r\n",
        b"*9\r\n$7\r\nrenewed\r\n" + b":7\r\n" * 8,
        b"*6\r\n$6\r\njoined\r\n" + b"$3\r\n1e9\r\n" * 5,
    ),
)
"""Replies of each kind, together with those that are like it."""
NO_REPLIES = (
    (b"%1\r\n*0\r\n+x\r\n", b"~1\r\n*0\r\n", b"-MOVED 1\r\n", b"-ASK x y\r\n", b"|1\r\n+a\r\n+b\r\n"),
    (b"*4294967295\r\n", b"(" + b"9" * 5000 + b"\r\n"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\0"),
    (b":junk\r\n", b",junk\r\n", b"-\xff\r\n", b"*x\r\n"),
)
PENDING = (
    (b">0\r\n", b">1\r\n:7\r\n", b">3\r\n$7\r\nmessage\r\n:7\r\n:7\r\n"),
    (b"*1\r\n" * 20, b"$99999999999\r\n"),
)
"""After these a caller waits until its time is over. Those of a kind are drawn together, and waited for once."""
ROUNDS = int(os.environ.get("GARBLED_ROUNDS", "1"))
"""With more rounds, each test asks longer."""


class Garbler:
    """Replaces a share of the replies, drawn from a seed, by one of `shapes`, and counts them."""

    def __init__(self, share: float, *shapes: bytes) -> None:
        self._shapes, self._share, self._random = shapes, share, random.Random(b"".join(shapes))
        self.garbled = 0

    def __call__(self, reply: bytes) -> bytes:
        if self._random.random() >= self._share:
            return reply
        self.garbled += 1
        return self._random.choice(self._shapes)


SOME = (b">0\r\n", b"-JUNK\r\n", b"*1\r\n$4\r\njunk\r\n", b"*-1\r\n", b":7\r\n", b"%1\r\n+a\r\n:7\r\n", b"*1\r\n" * 20)


@pytest.mark.asyncio
@pytest.mark.timeout(900)
async def test_no_reply_of_a_server_ends_a_daemon(server: EmbeddedServer, folder: Path) -> None:
    proxy = FaultProxy(server.socket, folder / "proxy")
    async with proxy.running():
        site = await asyncio.to_thread(Site, folder, proxy.url)
        try:
            await asyncio.to_thread(site.wait_well, "the site is at work")
            alone = [[(shape,) for shape in shapes] for shapes in (*REPLIES, *NO_REPLIES)]
            for kind in (*alone, *([shapes] for shapes in PENDING)) * ROUNDS:
                await asyncio.to_thread(site.work)
                for drawn in kind:
                    proxy.garbled = garbler = Garbler(1.0, *drawn)
                    await asyncio.to_thread(_ask_all, site, drawn[0])
                    least, heard = 20 * len(drawn), f"daemons have heard {drawn}"
                    await wait_until(lambda: garbler.garbled >= least, heard, 60)  # noqa: B023
                    proxy.garbled = bytes
                    _check(site)
                await asyncio.to_thread(_ask_all, site, kind[0][0])
                _check(site)
            await asyncio.to_thread(site.wait_well, "the site is at work again")
            _check(site)
        finally:
            proxy.garbled = bytes
            await asyncio.to_thread(site.processes.end)


@pytest.mark.asyncio
@pytest.mark.timeout(900)
async def test_a_garbled_reply_in_five_ends_no_daemon(server: EmbeddedServer, folder: Path) -> None:
    proxy = FaultProxy(server.socket, folder / "proxy")
    async with proxy.running():
        site = await asyncio.to_thread(Site, folder, proxy.url)
        try:
            await asyncio.to_thread(site.wait_well, "the site is at work")
            for shape in SOME:
                proxy.garbled = garbler = Garbler(0.2, shape)
                await asyncio.to_thread(site.work)
                for _ in range(1 + ROUNDS):
                    await asyncio.to_thread(_ask_all, site, shape)
                await wait_until(lambda: garbler.garbled >= 40, f"daemons have heard {shape[:40]!r}", 60)  # noqa: B023
                for process in site.daemons:
                    assert process.popen.poll() is None, process.log
                    assert "Traceback" not in process.log, process.log
            proxy.garbled = bytes
            await asyncio.to_thread(site.wait_well, "the site is at work again")
        finally:
            proxy.garbled = bytes
            await asyncio.to_thread(site.processes.end)


@pytest.mark.asyncio
async def test_answers_to_other_calls_end_the_connection(server: EmbeddedServer, folder: Path) -> None:
    proxy, keys, options = FaultProxy(server.socket, folder / "proxy"), Keys("c"), ClusterOptions()
    async with proxy.running():
        link = Link(proxy.url)
        assert await link.call("PING") == b"PONG"
        # This takes the next reply for its own item, and from then on each call gets the reply to the one before it.
        begun = [b"*1\r\n"]
        proxy.garbled = lambda reply: begun.pop() if begun else reply
        others = asyncio.gather(*(link.call("ECHO", str(number)) for number in range(2)))
        with pytest.raises(EccmgrError):
            await link.run(views.roster(keys, options, 1000))
        proxy.garbled = bytes
        await link.run(views.roster(keys, options, 1000), probe=True)
        await asyncio.gather(others, return_exceptions=True)
        await link.close()


def _ask_all(site: Site, shape: bytes) -> None:
    for line, answer in site.ask_all().items():
        assert "Internal error" not in answer, f"{shape[:40]!r}: {line}: {answer}"


def _check(site: Site) -> None:
    """Check that no daemon has died or logged a trace. A job worker may end, because its agent starts another."""
    for process in site.daemons:
        assert process.popen.poll() is None, process.log
        traces = [line for line in process.log.splitlines() if "Traceback" in line and "ecnode job" not in line]
        assert traces == []
