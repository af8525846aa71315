"""Blocking work of the collection in threads of its own."""

import asyncio
import threading

import pytest

from eccmgr.logs.collection.gathering.hanging import in_thread
from tests.waiting import wait_until


@pytest.mark.asyncio
async def test_thread_outlives_whoever_waited_for_it() -> None:
    release, faults = threading.Event(), []
    threads: list[threading.Thread] = []

    def work() -> None:
        threads.append(threading.current_thread())
        release.wait(60)

    async def wait() -> None:
        await in_thread(work)

    before, threading.excepthook = threading.excepthook, faults.append
    try:
        waiting = asyncio.create_task(wait())
        await wait_until(lambda: bool(threads), "the thread works")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        release.set()
        await asyncio.to_thread(threads[0].join, 60)
    finally:
        threading.excepthook = before
    assert faults == []
