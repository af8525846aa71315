"""Fixtures for tests with real daemons."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import Processes
from tests.integration.fleet import Fleet
from tests.screens import OnTerminal, Terminal
from tests.servers import programs


@pytest.fixture
def processes(redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path) -> Iterator[Processes]:
    """Starts daemons as real processes, and ends those that remain."""
    made = Processes(redis_server.url, cluster_keys.cluster, folder)
    yield made
    made.end()


@pytest.fixture
def terminals(folder: Path) -> Iterator[OnTerminal]:
    """Opens consoles on terminals of their own, and ends those that remain."""
    opened: list[Terminal] = []

    def open_one(*arguments: str | Path, columns: int = 120, lines: int = 400, **environment: str) -> Terminal:
        program = [sys.executable, "-m", "cli.ec_console", *map(str, arguments)]
        state = {"XDG_STATE_HOME": str(folder / "state"), **environment}
        opened.append(Terminal(program, columns, lines, **state))
        return opened[-1]

    yield open_one
    for terminal in opened:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.end()


@pytest_asyncio.fixture
async def fleet(redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path) -> AsyncIterator[Fleet]:
    """Starts managers and nodes in this event loop, and ends them."""
    async with AsyncExitStack() as stack:
        yield Fleet(redis_server.url, cluster_keys.cluster, folder, stack)


@pytest.fixture(params=programs(), ids=lambda program: program.name)
def each_server(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs the test once with each server program of this machine: servers that are started from now on are of that
    program."""
    first = folder / "path"
    first.mkdir()
    (first / "redis-server").symlink_to(request.param)
    monkeypatch.setenv("PATH", f"{first}{os.pathsep}{os.environ['PATH']}")
    return first / "redis-server"


@pytest_asyncio.fixture
async def server(folder: Path) -> AsyncIterator[EmbeddedServer]:
    """A server for this test alone, to stop and start."""
    made = EmbeddedServer(folder / "redis")
    await asyncio.to_thread(made.start)
    yield made
    await asyncio.to_thread(made.stop)


@pytest_asyncio.fixture
async def lonely(server: EmbeddedServer, folder: Path) -> AsyncIterator[Fleet]:
    """A fleet on that server."""
    async with AsyncExitStack() as stack:
        yield Fleet(server.url, "lonely", folder, stack)
