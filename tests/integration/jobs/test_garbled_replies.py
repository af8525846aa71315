"""Replies of a wrong kind reach a job worker: it asks again, records the end of each job, and logs no trace."""

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import ROOT
from tests.fault.proxy import FaultProxy
from tests.waiting import wait_until
from worker.jobs.journal import JobJournal
from worker.jobs.mending import NotUnderstood
from worker.jobs.patience import JobRedis, Whereabouts
from worker.jobs.requests import Requests
from worker.jobs.rq_job import LONG_COMMAND, Home, NodeJob, NodeQueue

pytestmark = pytest.mark.asyncio
JUNK = b"*1\r\n$4\r\njunk\r\n"
MARK = "the replies that follow are garbled"
WORKER = f"""
import os, sys
url, os.environ["RQ_KEY_PREFIX"] = sys.argv[1:3]
from pathlib import Path
from rq.serializers import JSONSerializer
from worker.jobs import patience
from worker.jobs.journal import JobJournal
from worker.jobs.patience import JobRedis, Whereabouts
from worker.jobs.rq_job import LONG_COMMAND, Home, NodeJob, NodeQueue
from worker.jobs.rq_worker import NodeWorker

NodeJob.home = Home("q", 60, JobJournal(Path("/nonexistent")), lambda record: {{}})
client = JobRedis.of(url, Whereabouts(), patient=True)
queue = NodeQueue("q", connection=client, serializer=JSONSerializer)

class Marked(NodeWorker):
    def check_for_suspension(self, burst):
        patience._BAFFLED_S = 0.1
        client.echo({MARK!r})
        super().check_for_suspension(burst)

worker = Marked(queue, "w")
"""
FAILS = f"""
job = queue.enqueue_call(LONG_COMMAND, job_id="j")
client.echo({MARK!r})
worker.handle_job_failure(job, queue, exc_string="it fails")
print(client.hget(job.key, "status").decode())
client.unlink(*client.keys("*:rq:*"))
"""
WORKS = """
worker.work(logging_level="WARNING")
print("ended in order")
"""


class Garbling:
    """Replaces replies that begin with `begins` by `junk`, at most `number` of them, once the mark has passed."""

    def __init__(self, junk: bytes, begins: bytes = b"", number: int = sys.maxsize) -> None:
        self.junk, self.begins, self.left = junk, begins, number
        self.is_marked = False

    def __call__(self, reply: bytes) -> bytes:
        was_marked, self.is_marked = self.is_marked, self.is_marked or MARK.encode() in reply
        if not (was_marked and self.left and reply.startswith(self.begins)):
            return reply
        self.left -= 1
        return self.junk


@pytest_asyncio.fixture
async def proxy(redis_server: EmbeddedServer, folder: Path) -> AsyncIterator[FaultProxy]:
    made = FaultProxy(redis_server.socket, folder / "proxy")
    async with made.running():
        yield made


async def worker_does(proxy: FaultProxy, keys: Keys, what: str) -> "subprocess.CompletedProcess[str]":
    """Run a job worker in a process of its own."""
    command = [sys.executable, "-c", WORKER + what, proxy.url, f"{keys.tag}:rq"]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )


async def test_the_end_of_a_job_outlasts_garbled_replies(proxy: FaultProxy, cluster_keys: Keys) -> None:
    # The first two lists answer the transaction that records the end.
    proxy.garbled = garbling = Garbling(JUNK, b"*", 2)
    said = await worker_does(proxy, cluster_keys, FAILS)
    assert garbling.left == 0
    assert said.stdout.splitlines()[-1:] == ["failed"], said
    assert "Traceback" not in said.stdout + said.stderr, said


async def test_a_worker_that_understands_nothing_ends_in_order(proxy: FaultProxy, cluster_keys: Keys) -> None:
    proxy.garbled = Garbling(b"-JUNK\r\n")
    said = await worker_does(proxy, cluster_keys, WORKS)
    assert said.stdout.splitlines()[-1:] == ["ended in order"], said
    assert "Traceback" not in said.stdout + said.stderr, said


@pytest.mark.parametrize("junk", [JUNK, b"*x\r\n", b"%1\r\n*0\r\n+x\r\n", b">0\r\n", b"-MOVED 1\r\n"])
async def test_no_way_to_redis_lets_parser_errors_through(proxy: FaultProxy, keys: Keys, junk: bytes) -> None:
    def call(client: JobRedis) -> None:
        client.set(keys.state, 1)

    def transact(client: JobRedis) -> None:
        with client.pipeline() as pipeline:
            pipeline.set(keys.state, 1)
            pipeline.set(keys.state, 2)
            pipeline.execute()

    def watch(client: JobRedis) -> None:
        with client.pipeline() as pipeline:
            pipeline.watch(keys.state)
            pipeline.hgetall(keys.state)

    def listen(client: JobRedis) -> None:
        subscription = client.pubsub()
        subscription.subscribe(keys.everyone)
        subscription.get_message(timeout=10)

    for way in (call, transact, watch, listen):
        client = JobRedis.of(proxy.url, Whereabouts(), patient=False)
        await asyncio.to_thread(client.delete, keys.state)
        proxy.garbled = lambda _reply: junk
        with contextlib.suppress(NotUnderstood):
            await asyncio.to_thread(way, client)
        proxy.garbled = bytes
        await asyncio.to_thread(client.delete, keys.state)
        await asyncio.to_thread(client.close)


async def test_a_garbled_subscription_goes_on_anew(proxy: FaultProxy, keys: Keys) -> None:
    client = JobRedis.of(proxy.url, Whereabouts(), patient=True)
    heard, faults = threading.Event(), list[Exception]()
    subscription = client.pubsub()

    def fails(error: Exception, *_: Any) -> None:
        faults.append(error)

    await asyncio.to_thread(subscription.subscribe, **{keys.everyone: lambda _message: heard.set()})
    proxy.garbled = lambda reply: b"*x\r\n" if reply.startswith(b">") else reply
    thread = subscription.run_in_thread(sleep_time=0.1, daemon=True, exception_handler=fails)
    try:
        await wait_until(lambda: bool(faults), "the subscription is garbled")
        proxy.garbled = bytes

        async def hears() -> bool:
            await asyncio.to_thread(client.publish, keys.everyone, "a message")
            return heard.is_set()

        await wait_until(hears, "a message is heard again")
        assert all(isinstance(fault, NotUnderstood) for fault in faults), faults
    finally:
        thread.stop()
        await asyncio.to_thread(thread.join)
        await asyncio.to_thread(client.close)


async def test_a_single_garbled_look_loses_no_job(
    proxy: FaultProxy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NodeJob, "home", Home("q", 60, JobJournal(folder), lambda _record: {}), raising=False)
    client = JobRedis.of(proxy.url, Whereabouts(), patient=False)
    queue = NodeQueue("q", connection=client)
    requests = Requests(queue, 60, client.whereabouts)
    await asyncio.to_thread(queue.enqueue_call, LONG_COMMAND, job_id="j")
    left = [b"%0\r\n"]
    proxy.garbled = lambda reply: left.pop() if left else reply
    (facts,) = await asyncio.to_thread(requests.look, jobs=["j"])
    assert facts["stage"] == "queued"
    proxy.garbled = lambda _reply: JUNK
    with pytest.raises(NotUnderstood):
        await asyncio.to_thread(requests.look, jobs=["j"])
    proxy.garbled = bytes
    await asyncio.to_thread(lambda: client.unlink(*client.keys("rq:*")))
    await asyncio.to_thread(client.close)
