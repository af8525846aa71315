"""Random bytes in random pieces: the listener survives, and answers all other clients."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eccmgr.config.live.store import Store
from eccmgr.control import frames
from eccmgr.control.endpoint import Endpoint
from eccmgr.control.limits import Limits
from eccmgr.control.server import Listener
from eccmgr.manager import Manager
from eccmgr.settings import ManagerSettings
from tests.listeners import Client, ask
from tests.waiting import wait_until

# No server listens there, so a command that needs Redis gets an error at once.
NO_REDIS = "redis://127.0.0.1:1/0"

lines = st.sampled_from(
    ["version", "help", "json", "xml ", "\nversion", "gather @all pid", "broadcast 'x", "retrieve #1", "info", ""]
) | st.text(max_size=30)
whole = st.builds(
    frames.encode,
    st.sampled_from([frames.SHORT, frames.LONG, frames.AUTH, frames.REQUEST, frames.CHUNK, frames.RESULT]),
    lines.filter(lambda line: "shutdown" not in line.lower()).map(lambda line: line.encode("utf-8", "replace")),
)
fields = st.dictionaries(
    st.sampled_from(["id", "command", "format", "stream", "width", "more"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["version", "json", "gather pid", "é"]),
)
requests = fields.map(lambda some: frames.encode(frames.REQUEST, repr(some).replace("'", '"').encode()))
halves = whole.flatmap(lambda data: st.integers(0, len(data)).map(lambda end: data[:end]))
pieces = st.lists(st.binary(max_size=40) | whole | requests | halves, max_size=12)


@contextlib.asynccontextmanager
async def lonely_manager(folder: Path) -> AsyncIterator[tuple[Manager, str]]:
    """A manager's listener and commands, without Redis."""
    path = str(folder / "m")
    manager = Manager(ManagerSettings(redis=NO_REDIS), Store())
    manager.link.fault = "this is a test"
    limits = Limits(idle_timeout_s=10, max_command_bytes=10_000)
    await manager.server.follow({Endpoint(path=path): Listener(limits)})
    try:
        yield manager, path
    finally:
        await manager.server.close(grace_s=0)
        await manager.link.close()


async def bombard(folder: Path, sessions: list[list[bytes]]) -> None:
    """Send the pieces of all sessions at once, each session on a connection of its own, and check that other clients
    are served."""
    async with lonely_manager(folder) as (manager, path):

        async def send(parts: list[bytes]) -> None:
            async with await Client.open(path) as client:
                for part in parts:
                    client.send_raw(part)
                    await asyncio.sleep(0)
                if client.writer.can_write_eof() and not client.writer.is_closing():
                    with contextlib.suppress(OSError):
                        client.writer.write_eof()
                with contextlib.suppress(ConnectionError):
                    await client.rest()

        async with await Client.open(path) as witness:
            before = asyncio.all_tasks()
            await asyncio.gather(*map(send, sessions))
            assert "eccmgr version:" in await witness.ask("version")
            assert "eccmgr version:" in await ask(path, "version")
            await wait_until(lambda: len(manager.server.connections) == 1, "only the witness is left")
            await wait_until(lambda: asyncio.all_tasks() <= before, "no task is left")


@pytest.mark.usefixtures("nothing_left")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sessions=st.lists(pieces, min_size=1, max_size=4))
def test_no_bytes_end_the_listener(folder: Path, sessions: list[list[bytes]]) -> None:
    asyncio.run(bombard(folder, sessions))
