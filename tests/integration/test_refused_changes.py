"""A change that one part of a daemon refuses leaves no trace in any other."""

import asyncio
import contextlib
import dataclasses
import functools
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from eccmgr.config.live import parts
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.parts import Prepared
from eccmgr.config.syntax.changes import Change
from eccmgr.daemon import Daemon
from eccmgr.errors import ConfigError
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import QUICK, manager, node, running
from tests.listeners import Client
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]

CLUSTER = """cluster { Topology "10.1.1.0/24" { interface = "eth1" } plumber = memory fence = none }
Binding "duravip-1" { Enable_Duravip = on  Bind_Address = "10.1.1.1" }
"""
CALM = dataclasses.replace(QUICK, session_lease_s=5.0)
"""Options under which a node on a busy machine keeps its VIP while its traces are compared."""
REFUSED = {
    "a listener": ("set Control_Listener Listen {folder}/none/socket Timeout = 7", "Cannot listen on"),
    "a port in use": ("set Control_Listener Listen 127.0.0.1:{port} Timeout = 7", "Address already in use"),
    "the times": ("set cluster session_lease 0.1", "session_lease is 0.1 s, expected at least 1.86 s"),
    "the step": ("set cluster max_step 0.5", "max_step is 0.5 s, expected at least 0.6 s"),
    "the last listener": ("set Control_Listener Enable false", "The last listener that answers cannot be removed"),
    "the only listener": ("unset Control_Listener", "The last listener that answers cannot be removed"),
    "a module's start": ("set sieve bad cache_size = 77", "it does not start today"),
}
IN_FILES = {
    "a log file": ('ec_logger "worse" {{ paniclog = "{folder}/main/panic" }}', "cannot open the log file"),
    "a pipe that nobody reads": ('ec_logger "worse" {{ mainlog = "{folder}/pipe" }}', "nobody reads this pipe"),
    "a listener that is not to be had": ('Control_Listener {{ Listen "127.0.0.1:0" {{ TLS_Key = k }} }}', "TLS"),
    "a module that makes no sense": (
        'exec "tools" {{ commands = [ x = "/nonexistent" ] }}',
        "no program '/nonexistent'",
    ),
}
GOOD = (
    "set Control_Listener Listen {folder}/second Timeout = 33",
    "set Binding added Enable_Duravip = true",
    "set Binding added Bind_Address = 10.1.1.9",
    "set cluster results_ttl 500",
    "set cluster tags = [ role = mta ]",
    "set sieve more cache_size = 5",
)
GOOD_FILE = """Control_Listener {{ Listen "{folder}/second" {{ Timeout = 33 }} }}
ec_logger "extra" {{ mainlog = "{folder}/logs/of/extra" }}
Binding "added" {{ Enable_Duravip = true  Bind_Address = 10.1.1.9 }}
cluster {{ results_ttl = 500  tags = [ role = mta ] }}
sieve "more" {{ cache_size = 5 }}
"""
"""Changes that concern every part, and that each part can follow."""
OF_NODES = {"a VIP": ("set Binding worse Bind_Address = 10.9.9.9", "is outside of every Topology")}
IN_FILES_OF_NODES = {"the plumber": ("cluster {{ plumber = magic }}", "plumber is 'magic'")}


@pytest.fixture
def lazy_sieve(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that does not start with one of its settings."""
    from worker.modules.sieve import Sieve

    async def start(self: Sieve) -> None:
        if self.context.settings.integer("cache_size") == 77:
            raise ConfigError("it does not start today")

    monkeypatch.setattr(Sieve, "start", start)


async def traces(client: Client, folder: Path, *, of_node: bool) -> list[str]:
    """Everything that shows the present state: the configuration, modules, files, and a node's VIPs."""
    commands = ["config showrecurse", "module list", "help", "config eval cluster results_ttl"]
    found = [await client.ask(command) for command in commands]
    if of_node:
        await client.ask("cluster duravip announce view")
        shown = await client.ask("cluster duravip show")
        found.append("\n".join(line for line in shown.splitlines() if "stable for" not in line))
    files = await asyncio.to_thread(lambda: sorted(str(each) for each in folder.rglob("*")))
    return [*found, *files]


@pytest.mark.usefixtures("lazy_sieve")
@pytest.mark.parametrize("kind", ["manager", "node"])
async def test_a_refused_change_leaves_no_trace_anywhere(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path, kind: str
) -> None:
    (folder / "main").write_text("")
    os.mkfifo(folder / "pipe")
    make = functools.partial(node if kind == "node" else manager, name="east1", listen=(), options=CALM)
    configuration = f'{CLUSTER}Control_Listener {{ Listen "{folder}/first" {{ }} }}\n'
    made = await asyncio.to_thread(make, redis_server.url, cluster_keys.cluster, folder, configuration=configuration)
    taken = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    async with taken, running(made), await Client.open(str(made.endpoints[0])) as client:
        if kind == "node":
            await wait_until(lambda: owns(client, "10.1.1.1"), "the node carries its VIP")
        before = await traces(client, folder, of_node=kind == "node")
        for command, said in {**REFUSED, **(OF_NODES if kind == "node" else {})}.values():
            faulty = command.format(folder=folder, port=taken.sockets[0].getsockname()[1])
            await client.ask("config begin")
            for good in GOOD:
                assert "=" in await client.ask(f"config {good.format(folder=folder)}")
            await client.ask("config set Binding worse Enable_Duravip = true" if "worse B" in faulty else "version")
            await client.ask(f"config {faulty}")
            refusal = await client.ask("config commit")
            assert said in refusal
            assert await client.ask("config rollback") != "No transaction is open"
            assert await traces(client, folder, of_node=kind == "node") == before, faulty
            assert made.options.results_ttl_s != 500
        for text, said in {**IN_FILES, **(IN_FILES_OF_NODES if kind == "node" else {})}.values():
            await rewrite(made, configuration + f"{GOOD_FILE}{text}\n".format(folder=folder))
            assert said in await client.ask("config reload")
            assert await traces(client, folder, of_node=kind == "node") == before, text
            assert made.options.results_ttl_s != 500


async def rewrite(made: Daemon, text: str) -> None:
    """Write the main file anew."""
    assert made.store.main is not None
    await asyncio.to_thread(Path(made.store.main).write_text, text)


async def refuses(_view: ScopeView, _changes: Sequence[Change]) -> Prepared:
    raise ConfigError("not today")


async def fails(_view: ScopeView, _changes: Sequence[Change]) -> Prepared:
    raise ZeroDivisionError("division by zero")


async def hangs(_view: ScopeView, _changes: Sequence[Change]) -> Prepared:
    await asyncio.Event().wait()
    raise AssertionError("nobody wakes it")


@pytest.mark.parametrize("kind", ["manager", "node"])
@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (refuses, "not today"),
        (fails, "cannot follow: ZeroDivisionError: division by zero (see the log); nothing was changed"),
        (hangs, "were not ready within 0.5 s; nothing was changed"),
    ],
)
async def test_each_part_may_refuse_a_change(
    redis_server: EmbeddedServer,
    cluster_keys: Keys,
    folder: Path,
    kind: str,
    prepare: Callable[[ScopeView, Sequence[Change]], Awaitable[Prepared]],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make = functools.partial(node if kind == "node" else manager, name="east1", listen=(), options=CALM)
    configuration = f'{CLUSTER}Control_Listener {{ Listen "{folder}/first" {{ }} }}\n'
    made = await asyncio.to_thread(make, redis_server.url, cluster_keys.cluster, folder, configuration=configuration)
    async with running(made), await Client.open(str(made.endpoints[0])) as client:
        if kind == "node":
            await wait_until(lambda: owns(client, "10.1.1.1"), "the node carries its VIP")
        before = await traces(client, folder, of_node=kind == "node")
        await rewrite(made, configuration + GOOD_FILE.format(folder=folder))
        for part in made.parts:
            with monkeypatch.context() as patch:
                patch.setattr(part, "prepare", prepare)
                patch.setattr(parts, "PREPARE_TIMEOUT_S", 0.5 if prepare is hangs else parts.PREPARE_TIMEOUT_S)
                assert said in await client.ask("config reload")
            assert await traces(client, folder, of_node=kind == "node") == before, part
            assert made.options.results_ttl_s != 500
        assert await client.ask("config reload") == "Reconfigured"
        assert made.options.results_ttl_s == 500
        assert (folder / "second").exists()


async def test_an_end_gives_up_a_change(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def hangs_long(view: ScopeView, changes: Sequence[Change]) -> Prepared:
        asked.set()
        return await hangs(view, changes)

    made = await asyncio.to_thread(manager, redis_server.url, cluster_keys.cluster, folder)
    async with running(made), await Client.open(str(made.endpoints[0])) as client:
        monkeypatch.setattr(made.parts[-1], "prepare", hangs_long)
        client.send("config set cluster max_running 3")
        await asked.wait()
        made.stop()
        assert await client.answer() == "This process is ending: nothing was changed"
    assert made.options.max_running == 8


async def test_a_reload_that_a_part_fails_ends_nobody(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def fails_at_last(_view: ScopeView, _changes: Sequence[Change]) -> Prepared:
        asked.set()
        raise ZeroDivisionError

    made = await asyncio.to_thread(manager, redis_server.url, cluster_keys.cluster, folder)
    async with running(made), await Client.open(str(made.endpoints[0])) as client:
        monkeypatch.setattr(made.parts[-1], "prepare", fails_at_last)
        made.reload()
        await asked.wait()
        assert "ZeroDivisionError" in await client.ask("config reload")
        assert await client.ask("config set cluster max_running 3")


async def owns(client: Client, address: str) -> bool:
    """Whether the node carries a VIP."""
    return f"{address}/" in (shown := await client.ask("cluster duravip show")) and "(owned" in shown


async def test_refused_listener_answers_no_caller(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.modules.sieve import Sieve

    reached = asyncio.Event()

    async def start(self: Sieve) -> None:
        await reached.wait()
        raise ConfigError("it does not start today")

    monkeypatch.setattr(Sieve, "start", start)
    configuration = f'Control_Listener {{ Listen "{folder}/first" {{ }} }}\n'
    url, cluster = redis_server.url, cluster_keys.cluster
    made = await asyncio.to_thread(node, url, cluster, folder, "east1", listen=(), configuration=configuration)
    async with running(made), await Client.open(str(made.endpoints[0])) as client:
        await client.ask("config begin")
        await client.ask(f"config set Control_Listener Listen {folder}/second Timeout = 33")
        await client.ask("config set sieve slow cache_size = 5")
        client.send("config commit")
        await wait_until((folder / "second").exists, "the new listener is bound")
        async with await Client.open(str(folder / "second")) as early:
            early.send("version")
            reached.set()
            assert "it does not start today" in await client.answer()
            with contextlib.suppress(ConnectionResetError):
                assert await early.rest() == b""
