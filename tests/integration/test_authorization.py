"""Roles limit the commands that a caller may run, in every spelling and by every carrier."""

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eccmgr.access.policy import Policy
from eccmgr.control import frames
from tests.daemons import OWN_USER, ask
from tests.integration.fleet import Fleet
from tests.waiting import wait_until

NOT_AUTHORIZED = "Not Authorized for this command"
ROLE = f'Role "{OWN_USER}" {{ allow = ( "^gather uptime$" "^retrieve " "^gather --timeout 5 mark$" ) }}'
LIMITED = f"Control_Listener {{ Enable_Authorization = true }}\nAuthorization {{ {ROLE} }}\n"
SPELLINGS = (
    "shutdown",
    "SHUTDOWN",
    '"shutdown"',
    'shut"down"',
    "sh\\utdown",
    "  shutdown  ",
    "shutdown\0",
    "\u2003shutdown",
    "ｓｈｕｔｄｏｗｎ",
    "xml shutdown",
    "json shutdown",
    "xml json shutdown",
    "uptime\nshutdown",
    "uptime\u2028shutdown",
    "broadcast config set x uptime",
    " " * 60_000 + "shutdown",
)
CARRIERS = (
    "broadcast shutdown",
    "gather shutdown",
    "gather --timeout 5 shutdown",
    "gather @all shutdown",
    "gather east1 shutdown",
    "gather -- shutdown",
    "unicast east1 shutdown",
    "subcluster broadcast default shutdown",
    "gather xml shutdown",
    'gather "shutdown"',
    'gather shut"down"',
    'broadcast "gather uptime"',
    "sched in 1 shutdown",
    "sched in 1 gather uptime",
    "sched every 1 broadcast shutdown",
    "broadcast sched in 1 shutdown",
    "broadcast ecelerity shutdown",
    "broadcast broadcast shutdown",
    'complete "config get "',
    "config get cluster nodename",
    "history",
    "flush control cache",
    "abort 0123456789AB",
    "pid",
    "version",
    "help",
    "help shutdown",
    "nonsense",
    "exec:x run",
    "config begin",
    "authz id",
    "retrieve_node east1 uptime",
    "uptime",
)


@contextlib.asynccontextmanager
async def connected(path: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield reader, writer
    finally:
        writer.close()


@pytest.mark.asyncio
class TestLimitedCaller:
    @pytest.fixture
    def path(self, fleet: Fleet) -> str:
        return str(fleet.folder / "m-barca")

    async def test_no_spelling_passes(self, fleet: Fleet, path: str) -> None:
        await fleet.manager(configuration=LIMITED)
        node = await fleet.node("east1")
        for line in (*SPELLINGS, *CARRIERS):
            (answer,) = await ask(path, line)
            refused = NOT_AUTHORIZED in answer or "is one line" in answer or "control character" in answer
            assert refused or "blank" in answer, (line[:80], answer)
        assert node.session.joined.is_set()
        assert fleet.managers[0].session.joined.is_set()

    async def test_what_the_roles_allow_runs(self, fleet: Fleet, path: str) -> None:
        await fleet.manager(configuration=LIMITED)
        await fleet.node("east1")
        (answer,) = await ask(path, "gather uptime")
        assert answer.splitlines()[1].startswith("east1: up ")
        (answer,) = await ask(path, "retrieve uptime")
        assert answer.splitlines()[1].startswith("east1: up ")
        (answer,) = await ask(path, 'GATHER   "uptime"')
        assert answer.splitlines()[1].startswith("east1: up ")

    async def test_refusal_keeps_the_shape_of_its_frame(self, fleet: Fleet, path: str) -> None:
        await fleet.manager(configuration=LIMITED)
        async with connected(path) as (reader, writer):
            writer.write(struct.pack("!HI", frames.LONG, 3) + b"pid")
            kind, length = struct.unpack("!HH", await reader.readexactly(4))
            assert (kind, await reader.readexactly(length)) == (frames.SHORT, NOT_AUTHORIZED.encode())
            request = json.dumps({"id": 7, "command": "pid", "format": "json"}).encode()
            writer.write(frames.encode(frames.REQUEST, request))
            kind, length = struct.unpack("!HI", await reader.readexactly(6))
            result = json.loads(await reader.readexactly(length))
            assert (kind, result["status"], result["exit"]) == (frames.RESULT, "denied", 5)

    async def test_open_connection_loses_a_role_by_reload(self, fleet: Fleet, path: str) -> None:
        allow = f'Authorization {{ Role "{OWN_USER}" {{ allow = ( "^pid$" "^config reload$" ) }} }}\n'
        limited = "Control_Listener { Enable_Authorization = true }\n"
        manager = await fleet.manager(configuration=limited + allow)
        main = Path(manager.store.loaded.main or "")
        async with connected(path) as (reader, writer):

            async def answer(command: str) -> str:
                writer.write(frames.encode_text(command))
                _, length = struct.unpack("!HH", await reader.readexactly(4))
                return (await reader.readexactly(length)).decode()

            assert (await answer("pid")).isdigit()
            main.write_text(limited + allow.replace("^pid$", "^uptime$"))
            assert await answer("config reload") == "Reconfigured"
            assert await answer("pid") == NOT_AUTHORIZED

    async def test_groups_come_from_the_group_file(self, fleet: Fleet, path: str) -> None:
        groups = fleet.folder / "console_roles"
        groups.write_text(f"users:x:{OWN_USER}\nothers:scram:{OWN_USER}\n")
        await fleet.manager(
            configuration="Control_Listener { Enable_Authorization = true\n"
            f'AuthorizationParameters = [ uri = "groups://{groups}" ] }}\n'
            'Authorization { Role "users" { allow = ( "^authz " ) }  Role "others" { allow = ( ".*" ) } }\n'
        )
        own, roles, refused = await ask(path, "authz id", "authz roles list", "pid")
        assert own == f'<AuthzInformation username="{OWN_USER}"><Roles><Role name="users" /></Roles></AuthzInformation>'
        assert roles == '<Roles><Role name="users" /><Role name="others" /></Roles>'
        assert refused == NOT_AUTHORIZED

    async def test_node_restricts_who_commands_it(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1", configuration=LIMITED.replace("^gather uptime$", "^uptime$"))
        await fleet.node("east2")
        assert (await fleet.lines("gather uptime"))[0].startswith("east1: up ")
        assert await fleet.lines("gather mark") == [f"east1: failed: {NOT_AUTHORIZED}", "east2: marked"]
        assert (await fleet.lines("gather pid"))[0] == f"east1: failed: {NOT_AUTHORIZED}"
        assert fleet.ran == ["east2"]

    async def test_schedule_runs_with_the_roles_of_its_time(self, fleet: Fleet, path: str) -> None:
        allow = f'Authorization {{ Role "{OWN_USER}" {{ allow = ( "^sched" "^broadcast mark$" ) }} }}\n'
        limited = "Control_Listener { Enable_Authorization = true }\n"
        manager = await fleet.manager(configuration=limited + allow)
        await fleet.node("east1")
        assert (await fleet.ask("sched in 0 broadcast mark")).startswith("Job ")
        await wait_until(lambda: fleet.ran == ["east1"], "it runs")
        assert (await fleet.ask("sched every 1 broadcast mark")).startswith("Job ")
        manager.gate.policy = Policy(manager.gate.policy.roles, {}, True, frozenset({OWN_USER}))

        async def refused() -> bool:
            return NOT_AUTHORIZED in await fleet.ask("sched history")

        await wait_until(refused, "it is refused")
