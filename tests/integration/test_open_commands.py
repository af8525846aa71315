"""To an unknown caller, a TCP listener answers the commands that are open to everybody, and no others."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from eccmgr.commands.answer import FORMS
from eccmgr.control import frames
from eccmgr.control.endpoint import Endpoint
from eccmgr.control.limits import Limits
from eccmgr.daemon import Daemon
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import manager, node, running
from tests.listeners import Client, listen_too

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]

REFUSED = "Not Authorized for this command: {} cannot tell who you are, and answers {}. "
LOOPBACK = Endpoint(host="127.0.0.1", port=0)


@pytest_asyncio.fixture(params=["eccmgr", "ecnode"])
async def daemon(
    request: pytest.FixtureRequest, redis_server: EmbeddedServer, cluster_keys: Keys, folder: object
) -> AsyncIterator[Daemon]:
    """A manager or a node that also listens on loopback."""
    make = manager if request.param == "eccmgr" else node
    name = "barca" if request.param == "eccmgr" else "east1"
    async with running(make(redis_server.url, cluster_keys.cluster, folder, name)) as made:  # type: ignore[operator]
        await listen_too(made.server, LOOPBACK)
        yield made


async def connected(daemon: Daemon) -> Client:
    """A client of the TCP listener."""
    return Client(*await asyncio.open_connection("127.0.0.1", daemon.server.endpoints[-1].port))


def open_commands(daemon: Daemon) -> list[str]:
    """The names of the commands that everybody may run."""
    return ["info", "pid", "uptime", "version"] if daemon.program == "eccmgr" else ["pid", "uptime", "version"]


def refusal(daemon: Daemon) -> str:
    """The refusal of every other command."""
    return REFUSED.format(daemon.server.endpoints[-1], ", ".join(open_commands(daemon)))


async def test_open_commands_are_answered_in_each_form(daemon: Daemon) -> None:
    async with await connected(daemon) as client:
        for name in open_commands(daemon):
            for line in (name, name.upper(), f" {name} ", f'"{name}"'):
                assert not (await client.ask(line)).startswith("Not Authorized"), line
            assert json.loads(await client.ask(f"json {name}"))["status"] == "ok"
            assert (await client.ask(f"xml {name}")).startswith("<Answer ")
            client.request(name)
            assert (await client.fields(frames.RESULT))["status"] == "ok"


async def test_no_other_command_is_answered_however_sent(daemon: Daemon) -> None:
    names = {command.name for command in daemon.table.listed()} - {*open_commands(daemon), *FORMS}
    unknown = ("nonsense", "sieve:x flush", "exec:x id", "help version", "json json version", '"')
    async with await connected(daemon) as client:
        for name in (*sorted(names), *unknown):
            for line in (name, f"{name} pid", name.upper(), f'complete "{name}', f"broadcast {name}"):
                client.send_raw(frames.encode(frames.LONG, line.encode()))
                assert refusal(daemon) in await client.answer(), line
                assert json.loads(await client.ask(f"json {line}"))["status"] == "denied"
                assert 'Status="denied"' in await client.ask(f"xml {line}")
                client.request(line)
                assert (await client.fields(frames.RESULT))["exit"] == 5


async def test_insecure_listener_runs_everything_until_secured(daemon: Daemon) -> None:
    await listen_too(daemon.server, LOOPBACK, Limits(insecure=True))
    async with await connected(daemon) as client:
        assert "Usage: help" in await client.ask("help help")
        await listen_too(daemon.server, LOOPBACK)
        assert (await client.ask("help help")).startswith("Not Authorized")
        assert "version:" in await client.ask("version")
