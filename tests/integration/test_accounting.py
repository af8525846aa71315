"""Every sign-in and every command of everybody is in the account of its daemon, and in the audit of the cluster."""

import json
from pathlib import Path
from typing import Any

import pytest
import redis

from eccmgr.control import frames, limits
from eccmgr.control.users import UserNames
from eccmgr.redis.keys import Keys
from tests import daemons
from tests.daemons import OWN_USER, Processes, ask_sync
from tests.integration.fleet import Fleet
from tests.integration.test_authorization import NOT_AUTHORIZED, connected
from tests.integration.test_masking import CARRIERS, SECRET, SPELLINGS
from tests.integration.test_signing_in import REQUIRED, Tcp, console, encoded, password, signing_manager, tcp, verifiers
from tests.waiting import wait_until, wait_until_sync

pytestmark = [pytest.mark.usefixtures("nothing_left")]
__all__ = ["password", "verifiers"]
ROLE = f'Role "{OWN_USER}" {{ allow = ( "^gather uptime$" "^uptime$" "^pid$" "^sched " "^broadcast " "^mark" ) }}'


def entries(path: Path) -> list[str]:
    """The lines of an account without their times."""
    return [line.partition("@")[2] for line in path.read_text().splitlines()] if path.exists() else []


async def shows(path: Path, *expected: str) -> None:
    """Wait until the account has these entries, a part of each."""
    await wait_until(
        lambda: all(any(part in entry for entry in entries(path)) for part in expected),
        f"{expected} in {path}",
    )


async def _is_gone(client: Tcp) -> bool:
    """Whether the connection was closed, although the client sends commands."""
    try:
        await client.ask("pid")
    except (OSError, EOFError):
        return True
    return False


@pytest.mark.asyncio
class TestManager:
    async def test_commands_are_accounted_with_their_roles(self, fleet: Fleet) -> None:
        path = fleet.folder / "acct"
        await fleet.manager(
            configuration=f"Control_Listener {{ Enable_Authorization = true }}\nAuthorization {{ {ROLE} }}\n"
            f'ec_logger {{ acctlog = "{path}" }}\n'
        )
        await fleet.node("east1")
        for line in ("pid", "gather uptime", "shut'down'", "BROADCAST  mark", "say 'x", "gather reset"):
            await fleet.ask(line)
        begin = f"Z@{fleet.folder}/m-barca@pid "
        await shows(path, "@0@gather reset")
        found = [entry for entry in entries(path) if entry.startswith(begin)]
        assert [entry.removeprefix(begin).partition("@")[2] for entry in found] == [
            f"{OWN_USER}@1@pid@{OWN_USER}",
            f"{OWN_USER}@1@gather uptime@{OWN_USER}",
            f"{OWN_USER}@1@uptime@{OWN_USER}",
            f"{OWN_USER}@0@shutdown",
            f"{OWN_USER}@1@broadcast mark@{OWN_USER}",
            f"{OWN_USER}@1@mark@{OWN_USER}",
            f"{OWN_USER}@0@say x",
            f"{OWN_USER}@0@gather reset",
        ]

    async def test_carried_and_scheduled_commands_are_accounted(self, fleet: Fleet) -> None:
        ours, theirs = fleet.folder / "acct", fleet.folder / "acct-east1"
        await fleet.manager(configuration=f'ec_logger {{ acctlog = "{ours}" }}')
        await fleet.node("east1", configuration=f'ec_logger {{ acctlog = "{theirs}" }}')
        await fleet.broadcast("mark")
        await fleet.ask("gather pid")
        await fleet.ask("sched in 0 broadcast uptime")
        await shows(theirs, f"Z@carried@@{OWN_USER}@-1@mark", f"Z@carried@@{OWN_USER}@-1@pid")
        await shows(ours, f"Z@schedule@@{OWN_USER}@-1@broadcast uptime", "@-1@sched in 0 broadcast uptime")

    async def test_the_audit_has_the_same_lines(self, fleet: Fleet) -> None:
        path = fleet.folder / "acct"
        barca = await fleet.manager(configuration=f'ec_logger {{ acctlog = "{path}" }}')
        await fleet.node("east1")
        for line in ("pid", "gather uptime", "gather 'x"):
            await fleet.ask(line)
        await shows(path, "@0@gather x")
        said: dict[bytes, list[str]] = {}

        async def all_there() -> bool:
            said.clear()
            for _, fields in await barca.link.call("XRANGE", barca.keys.audit, "-", "+"):
                entry = dict(zip(fields[::2], fields[1::2], strict=True))
                if entry[b"what"] == b"account":
                    said.setdefault(entry[b"by"], []).append(entry[b"line"].decode())
            return len(said.get(b"eccmgr barca", ())) >= 4 and b"ecnode east1" in said

        await wait_until(all_there, "both daemons' lines are in the audit")
        assert said[b"eccmgr barca"] == path.read_text().splitlines()
        assert [line.partition("@Z@")[2] for line in said[b"ecnode east1"]] == [f"carried@@{OWN_USER}@-1@uptime"]

    async def test_sign_ins_and_barred_commands_are_accounted(
        self, fleet: Fleet, verifiers: Path, password: Path
    ) -> None:
        path = fleet.folder / "acct"
        port = await signing_manager(fleet, verifiers, "Timeout = 1", also=f'ec_logger {{ acctlog = "{path}" }}')
        listener = f"127.0.0.1:{port}@127.0.0.1"
        async with tcp(port) as client:
            assert await client.ask("config set a_password hush") == REQUIRED
            request = json.dumps({"id": 7, "command": "pid"}).encode()
            client.writer.write(frames.encode(frames.REQUEST, request))
            await client.frame()
            assert not (await client.auth(mechanism="SCRAM-SHA-1", data=encoded("y,,"), user="ann"))["ok"]
            await shows(path, f"T@{listener}@scram:ann@0")
        done = await console(f"tom@127.0.0.1:{port}", "pid", password=password)
        assert done.stdout.strip().isdigit(), done.stderr
        await shows(path, "@scram:tom@-1@pid")
        assert [entry for entry in entries(path) if "127.0.0.1" in entry] == [
            f"Z@{listener}@anonymous@0@config set a_password ********",
            f"Z@{listener}@anonymous@0@pid",
            f"N@{listener}@scram:ann@0",
            f"T@{listener}@scram:ann@0",
            f"N@{listener}@scram:tom@1",
            f"Z@{listener}@scram:tom@-1@pid",
        ]

    async def test_no_caller_stays_without_signing_in(
        self, fleet: Fleet, verifiers: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "FRAME_S", 0.5)
        path = fleet.folder / "acct"
        port = await signing_manager(fleet, verifiers, "Timeout = 0", also=f'ec_logger {{ acctlog = "{path}" }}')
        async with tcp(port) as client:
            await wait_until(lambda: _is_gone(client), "the connection is closed")
        await shows(path, f"T@127.0.0.1:{port}@127.0.0.1@anonymous@0")

    async def test_an_open_listener_accounts_for_its_refusals(self, fleet: Fleet) -> None:
        path = fleet.folder / "acct"
        barca = await fleet.manager(
            configuration=f'ec_logger {{ acctlog = "{path}" }}\nControl_Listener {{ Listen "127.0.0.1:0" {{ }} }}',
            listen=(),
        )
        async with tcp(barca.server.endpoints[-1].port) as client:
            await client.ask("shutdown")
            await client.ask("pid")
        await shows(path, "@127.0.0.1@anonymous@-1@pid")
        assert [entry.partition("@anonymous@")[2] for entry in entries(path)] == ["0@shutdown", "-1@pid"]

    async def test_without_redis_the_file_goes_on(self, fleet: Fleet) -> None:
        path = fleet.folder / "acct"
        barca = await fleet.manager(configuration=f'ec_logger {{ acctlog = "{path}" acctlog_sync = always }}')
        barca.link.fault = "it was taken away"
        await fleet.ask("pid")
        await shows(path, "@-1@pid")
        await barca.link.reach()

        async def audited() -> bool:
            return b"@-1@pid" in repr(await barca.link.call("XRANGE", barca.keys.audit, "-", "+")).encode()

        await wait_until(audited, "the line that waited is in the audit")

    async def test_an_open_connection_follows_the_users_name(self, fleet: Fleet) -> None:
        names, now = {"name": "ann"}, 0.0
        barca = daemons.manager(
            *(fleet.url, fleet.cluster, fleet.folder),
            configuration="Control_Listener { Enable_Authorization = true }\n"
            'Authorization { Role "ann" { allow = ( "^pid$" ) } Role "bob" { allow = ( "^uptime$" ) } }\n',
        )
        barca.server.users = UserNames(lambda _uid: names["name"], lambda: now)
        async with daemons.running(barca), connected(str(fleet.folder / "m-barca")) as (reader, writer):
            client = Tcp(reader, writer)
            assert (await client.ask("pid")).isdigit()
            names["name"] = ""
            assert (await client.ask("pid")).isdigit()
            now = 60.0
            assert await client.ask("pid") == NOT_AUTHORIZED
            names["name"], now = "bob", 120.0
            assert (await client.ask("uptime")).startswith("up ")
            assert await client.ask("pid") == NOT_AUTHORIZED


def test_no_spelling_of_a_secret_is_accounted(processes: Processes, cluster_keys: Keys, folder: Path) -> None:
    main, own = folder / "m.conf", folder / "n.conf"
    main.write_text(f'ec_logger {{ acctlog = "{folder}/acct" }}\n')
    own.write_text(f'ec_logger {{ acctlog = "{folder}/acct-east1" }}\n')
    node, manager = processes.node("east1", "default", "-c", str(own)), processes.manager("barca", "-c", str(main))
    more = (f"nothing --password {SECRET} 'open", f"say a_token {SECRET} 'open")
    for typed in (*SPELLINGS, *more):
        for carrier in CARRIERS:
            ask_sync(manager.endpoint, carrier.format(typed))
        ask_sync(node.endpoint, typed)
    ask_sync(manager.endpoint, "pid")
    ask_sync(node.endpoint, "pid")
    accounts = [folder / "acct", folder / "acct-east1"]
    for path in accounts:
        wait_until_sync(lambda path=path: path.read_text().endswith("@-1@pid\n"), f"{path} is whole")  # type: ignore[misc]
    with redis.Redis.from_url(processes.url) as client:

        def audited() -> Any:
            return client.xrange(cluster_keys.audit)

        wait_until_sync(lambda: repr(audited()).count("@-1@pid'") >= 2, "the audit is whole")
        kept = repr(audited())
    assert SECRET not in kept + "".join(path.read_text() for path in accounts)
