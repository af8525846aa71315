"""The answer of a program arrives, whatever Redis refuses when the program ends."""

import pytest

from tests.integration.fleet import Fleet
from tests.refusing import REFUSALS, forbidden
from tests.servers import Server
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]


@pytest.mark.parametrize("code", REFUSALS)
async def test_a_refusal_while_a_program_ends_loses_nothing(server: Server, fleet: Fleet, code: str) -> None:
    await fleet.manager()
    node = await fleet.node("east1")
    name = node.session.private_name
    sent = await fleet.broadcast("hold")
    await wait_until(lambda: fleet.ran == ["east1"], "it runs")
    with REFUSALS[code](server):
        fleet.gate.set()
        await wait_until(lambda: bool(node.link.refusals or node.link.fault) or code == "OOM", "it is refused")
        await wait_until(lambda: bool(node.outbox) or code == "OOM", "its answer is kept")
    await fleet.shows(f"retrieve {sent}", "east1: held")
    assert node.session.private_name == name
    assert fleet.ran == ["east1"]


async def test_a_command_refused_its_claim_runs_late(server: Server, fleet: Fleet) -> None:
    manager = await fleet.manager()
    node = await fleet.node("east1")
    with forbidden(server, "hsetnx"):
        sent = await fleet.broadcast("mark")
        await wait_until(lambda: bool(node.link.refusals), "its claim is refused")
        assert not manager.link.refusals
    await fleet.shows(f"retrieve {sent}", "east1: marked")
    assert fleet.ran == ["east1"]
