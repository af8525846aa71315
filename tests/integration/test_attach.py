"""A gather cannot be lost: whoever has its id follows it from any manager, and its batches go on."""

import asyncio
import json
from typing import Any

import pytest

from eccmgr.access.policy import Policy, pattern_of
from eccmgr.cluster.ids import command_id
from eccmgr.cluster.publishing import wall_clock_ms
from eccmgr.commands.caller import Caller
from eccmgr.control import frames
from eccmgr.daemon import Daemon
from eccmgr.errors import NotAuthorized
from eccmgr.manager import Manager
from tests import daemons
from tests.daemons import OWN_USER, running
from tests.integration.fleet import Fleet, die
from tests.listeners import Client
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]


class Streamed:
    """A streamed command on a manager: its events, and its result."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.events: list[dict[str, Any]] = []
        self.result: dict[str, Any] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def begin(cls, manager: Daemon, command: str, **more: Any) -> "Streamed":
        path = manager.endpoints[0].path
        assert path is not None
        client = await Client.open(path)
        client.request(command, stream=True, **more)
        return cls(client)

    async def _read(self) -> None:
        while True:
            kind, payload = await self._client.frame()
            fields = json.loads(payload)
            if kind == frames.RESULT:
                self.result = fields
                return
            self.events.append(fields)

    async def id(self) -> str:
        await wait_until(lambda: bool(self.events), "the command is sent")
        return str(self.events[0]["command_id"])

    def heard(self) -> list[str]:
        return [event["line"] for event in self.events if event["event"] == "response"]

    async def end(self) -> dict[str, Any]:
        await asyncio.wait_for(self._reading, 60)
        await self._client.__aexit__()
        return self.result

    async def vanish(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._client.writer.transport.abort()


def leaving(fleet: Fleet) -> Manager:
    """A manager that the test ends before the others."""
    return daemons.manager(fleet.url, fleet.cluster, fleet.folder, "genua")


async def test_attaching_shows_the_rest_and_same_report(fleet: Fleet) -> None:
    await fleet.manager()
    await fleet.manager("genua")
    for name in ("east1", "east2"):
        await fleet.node(name)
    west = await fleet.node("west1")
    west.table.commands["hold"] = west.table.commands["mark"]
    gathering = await Streamed.begin(fleet.managers[0], "gather hold")
    made = await gathering.id()
    await wait_until(lambda: len(gathering.heard()) == 1, "west1 has answered")
    attached = [await Streamed.begin(manager, f"attach {made}") for manager in fleet.managers]
    whole = await Streamed.begin(fleet.managers[1], f"json attach #{made.lower()} all")
    for streamed in (*attached, whole):
        assert await streamed.id() == made
    assert whole.heard() == ["west1: marked"]
    fleet.gate.set()
    result = await gathering.end()
    for streamed in attached:
        assert (await streamed.end())["body"] == "\n".join(("west1: marked", result["body"]))
        assert sorted(streamed.heard()) == ["east1: held", "east2: held"]
        assert streamed.result["status"] == "ok"
    assert (await whole.end())["exit"] == 0
    assert sorted(whole.heard()) == ["east1: held", "east2: held", "west1: marked"]
    assert await fleet.ask(f"attach {made}") == await fleet.ask(f"retrieve {made}")


async def test_broadcast_is_followed_to_its_end(fleet: Fleet) -> None:
    await fleet.manager()
    await fleet.node("east1")
    dying = await fleet.node("west1", deaf=True)
    made = await fleet.broadcast("hold")
    attached = await Streamed.begin(fleet.managers[0], f"attach {made}")
    await attached.id()
    await die(dying)
    await wait_until(lambda: attached.heard() == ["west1: (lost)"], "the loss is told")
    fleet.gate.set()
    result = await attached.end()
    assert "1 of 2 answered, 1 lost" in result["body"]
    assert (result["status"], attached.heard()[1:]) == ("partial", ["east1: held"])


async def test_what_was_never_sent_is_not_attached_to(fleet: Fleet) -> None:
    await fleet.manager()
    await fleet.node("east1")
    for named in ("01KB3ZC0WV9Y", "pid", "#"):
        assert await fleet.ask(f"attach {named}") == f"Nothing to attach to for '{named}'"
    for line in ("attach 01KB3ZC0WV9Y every", "attach --all 01KB3ZC0WV9Y"):
        assert await fleet.ask(line) == "Usage: attach [--timeout S] ID [all]"
    assert "--timeout takes seconds" in await fleet.ask("attach --timeout -1 01KB3ZC0WV9Y")


async def test_attaching_waits_as_long_as_it_is_told(fleet: Fleet) -> None:
    await fleet.manager()
    await fleet.node("east1")
    made = await fleet.broadcast("hold")
    await wait_until(lambda: fleet.ran == ["east1"], "it has begun")
    (line,) = await fleet.lines(f"attach --timeout 0 {made} all")
    assert line.startswith("east1: (running, ")
    fleet.gate.set()


async def test_another_users_command_needs_a_role(fleet: Fleet) -> None:
    manager = await fleet.manager()
    await fleet.node("east1")
    made = await fleet.broadcast("mark")
    attaches, retrieves = pattern_of("^attach "), pattern_of("^retrieve ")
    roles = {"plain": (attaches,), "reader": (attaches, retrieves), "blind": (retrieves,)}
    groups = {OWN_USER: ("plain",), "tom": ("plain",), "ann": ("reader",), "eve": ("blind",)}
    manager.gate.policy = Policy(roles, groups)
    for user in (OWN_USER, "ann"):
        answer = await manager.gate.run(f"attach {made}", Caller(user, limited=True))
        assert "east1: marked" in answer.text
    for user in ("tom", "eve"):
        with pytest.raises(NotAuthorized):
            await manager.gate.run(f"attach {made}", Caller(user, limited=True))


async def test_gather_without_its_client_goes_on(fleet: Fleet) -> None:
    manager = await fleet.manager()
    for number in (1, 2, 3):
        await fleet.node(f"east{number}")
    gathering = await Streamed.begin(manager, "gather --batch 1 hold", run_on=True)
    made = await gathering.id()
    await wait_until(lambda: fleet.ran == ["east1"], "the first has begun")
    await gathering.vanish()
    fleet.gate.set()
    await wait_until(lambda: fleet.ran == ["east1", "east2", "east3"], "all have run it")
    await wait_until(lambda: not manager.delivery.running_on.count, "it is over")
    lines = await fleet.lines(f"retrieve {made}")
    assert lines == ["east1: held", "east2: held", "east3: held"], "none is late"


async def test_proposed_id_is_used_if_it_can_be(fleet: Fleet) -> None:
    manager = await fleet.manager()
    await fleet.node("east1")
    proposed = command_id(wall_clock_ms(), 7)
    for again in (False, True):
        gathering = await Streamed.begin(manager, "gather mark", propose=proposed)
        assert (await gathering.id() == proposed) is not again
        assert "1 of 1 answered" in (await gathering.end())["body"]
    for wrong in (command_id(wall_clock_ms() - 3_600_000, 7), "x", proposed.lower(), 7, None):
        gathering = await Streamed.begin(manager, "gather mark", propose=wrong)
        assert await gathering.id() not in (wrong, proposed)
        assert (await gathering.end())["status"] == "ok"


async def test_batches_go_on_where_somebody_attaches(fleet: Fleet) -> None:
    await fleet.manager()
    for number in (1, 2, 3):
        await fleet.node(f"east{number}")
    await fleet.node("west1")
    async with running(leaving(fleet)) as manager:
        gathering = await Streamed.begin(manager, "gather --batch 1 --max-failures 0 hold", run_on=True)
        made = await gathering.id()
        await wait_until(lambda: fleet.ran == ["east1"], "the first has begun")
        attached = await Streamed.begin(fleet.managers[0], f"attach {made}")
        await attached.id()
        await wait_until(lambda: [e["untold"] for e in attached.events if "untold" in e][-1:] == [3], "it follows")
    await gathering.vanish()
    assert [line.partition(",")[0] for line in (await fleet.lines(f"retrieve {made}"))[1:]] == [
        f"{name}: (pending" for name in ("east2", "east3", "west1")
    ]
    fleet.gate.set()
    result = await attached.end()
    assert fleet.ran == ["east1", "east2", "east3", "west1"]
    assert "4 of 4 answered" in result["body"]
    assert attached.heard() == ["east1: held", "east2: held", "east3: held", "west1: held"]


async def test_failures_before_a_takeover_still_count(fleet: Fleet) -> None:
    await fleet.manager()
    for number in (1, 2, 3, 4):
        node = await fleet.node(f"east{number}")
        if number == 1:
            node.table.commands["hold"] = node.table.commands["fail"]
    async with running(leaving(fleet)) as manager:
        gathering = await Streamed.begin(manager, "gather --batch 2 --max-failures 0 hold", run_on=True)
        made = await gathering.id()
        await wait_until(lambda: gathering.heard() == ["east1: failed: it cannot be done"], "the first has failed")
        await wait_until(lambda: fleet.ran == ["east2"], "the second has begun")
    await gathering.vanish()
    fleet.gate.set()
    lines = ["east1: failed: it cannot be done", "east2: held", "east3: (skipped)", "east4: (skipped)"]
    assert await fleet.lines(f"attach {made}") == lines
    assert await fleet.lines(f"retrieve {made}") == lines
    assert fleet.ran == ["east2"]
