"""Fixtures for tests of a server that is made to refuse."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.fleet import Fleet
from tests.refusing import plain_server
from tests.servers import Server


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    """A server that does not refuse yet."""
    with plain_server(folder) as made:
        yield made


@pytest_asyncio.fixture
async def fleet(server: Server, folder: Path) -> AsyncIterator[Fleet]:
    """A fleet on that server."""
    async with AsyncExitStack() as stack:
        yield Fleet(f"redis://{server.address}/0", "refused", folder, stack)
