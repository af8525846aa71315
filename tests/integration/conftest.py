"""Fixtures for tests with real daemons."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import Processes
from tests.integration.fleet import Fleet


@pytest.fixture
def processes(redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path) -> Iterator[Processes]:
    """Starts daemons as real processes, and ends those that are left."""
    made = Processes(redis_server.url, cluster_keys.cluster, folder)
    yield made
    made.end()


@pytest_asyncio.fixture
async def fleet(redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path) -> AsyncIterator[Fleet]:
    """Starts managers and nodes in this event loop, and ends them."""
    async with AsyncExitStack() as stack:
        yield Fleet(redis_server.url, cluster_keys.cluster, folder, stack)


@pytest_asyncio.fixture
async def server(folder: Path) -> AsyncIterator[EmbeddedServer]:
    """A server of this test's own, to be stopped and started."""
    made = EmbeddedServer(folder / "redis")
    await asyncio.to_thread(made.start)
    yield made
    await asyncio.to_thread(made.stop)


@pytest_asyncio.fixture
async def lonely(server: EmbeddedServer, folder: Path) -> AsyncIterator[Fleet]:
    """A fleet on that server."""
    async with AsyncExitStack() as stack:
        yield Fleet(server.url, "lonely", folder, stack)
