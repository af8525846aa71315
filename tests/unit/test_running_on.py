"""Gathers go on without their clients, as long as their process runs and has room for them."""

import asyncio

import pytest

from eccmgr.cluster.running_on import RunningOn
from eccmgr.errors import CommandError
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio


async def test_gathers_end_with_their_process() -> None:
    running_on, ended = RunningOn(), []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            # What a gather does at its end must not bring another one in.
            ended.append(running_on.take("02", work))

    assert not running_on.take("01", work), "it does not run yet"
    process = asyncio.create_task(running_on.run())
    await wait_until(lambda: running_on.take("01", work), "it runs")
    await asyncio.sleep(0)
    process.cancel()
    await asyncio.gather(process, return_exceptions=True)
    assert (ended, running_on.count) == ([False], 0)


async def test_their_number_is_bounded() -> None:
    running_on, release = RunningOn(), asyncio.Event()

    async def work() -> None:
        await release.wait()
        raise CommandError("Redis is away")

    process = asyncio.create_task(running_on.run())
    await wait_until(lambda: running_on.take("01", work), "it runs")
    taken = [running_on.take(f"{number:02}", work) for number in range(200)]
    assert taken.count(True) == 99
    release.set()
    await wait_until(lambda: running_on.count == 0, "all are over")
    assert running_on.take("01", work)
    await wait_until(lambda: running_on.count == 0, "it is over too")
    process.cancel()
    await asyncio.gather(process, return_exceptions=True)
