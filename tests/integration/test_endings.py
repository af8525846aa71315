"""How commands end for which nobody waits is logged, with bounded work."""

import asyncio
import contextlib

import pytest

from eccmgr.cluster import endings
from eccmgr.cluster.view import EVERYONE
from tests.integration.fleet import Fleet
from tests.logged import Logged, LogOf
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]


@pytest.fixture
def lines(log_of: LogOf) -> Logged:
    """The lines of the log about commands."""
    return log_of("eccmgr.cluster.command_log")


async def held(fleet: Fleet) -> Fleet:
    await fleet.manager()
    await fleet.node("east1")
    await fleet.node("east2")
    return fleet


async def test_a_gather_whose_client_left_has_its_end(fleet: Fleet, lines: Logged) -> None:
    await held(fleet)
    delivery = fleet.managers[0].delivery
    gathering = asyncio.create_task(delivery.gather("hold", EVERYONE, "tom", 60.0))
    await wait_until(lambda: len(fleet.ran) == 2, "both have begun")
    gathering.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await gathering
    assert len(delivery.endings) == 1
    fleet.gate.set()
    await wait_until(lambda: lines[-1]["event"] == "command ended", "its end is told")
    assert (lines[-1]["text"], lines[-1]["ok"], lines[-1]["expected"]) == ("hold", 2, 2)
    assert not delivery.endings


async def test_too_many_commands_give_up_the_oldest(
    fleet: Fleet, lines: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    await held(fleet)
    monkeypatch.setattr(endings, "_FOLLOWED_MAX", 2)
    sent = [await fleet.broadcast("hold") for _ in range(3)]
    given_up = [line["id"] for line in lines if line["event"] == "end of command not known"]
    assert given_up == sent[:1]
    assert len(fleet.managers[0].delivery.endings) == 2
    fleet.gate.set()


async def test_flushed_commands_are_followed_no_longer(fleet: Fleet, lines: Logged) -> None:
    await held(fleet)
    sent = await fleet.broadcast("hold")
    await fleet.ask("flush control cache")
    fleet.gate.set()
    await wait_until(lambda: lines[-1]["event"] == "end of command not known", "it is told")
    assert (lines[-1]["id"], lines[-1]["reason"]) == (sent, "its results were flushed")
