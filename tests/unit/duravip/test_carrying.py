"""An agent's actions if Redis has several servers, and another one may take over."""

from typing import Any, cast

import pytest

from eccmgr.cluster.carrier import VipNews
from eccmgr.cluster.heartbeats import Heartbeats
from eccmgr.cluster.options import ClusterOptions
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from worker.duravip.carrying import Carrying
from worker.guardian import wire

NEWS = VipNews(7, "run|replid", opened=True, change=0, late=())
pytestmark = pytest.mark.asyncio


class Outside:
    """Redis, the session and the guardian, as far as the agent calls them."""

    def __init__(self) -> None:
        self.server, self.on_move = "first", list[Any]()
        self.view, self.hurries, self.told = 0, 0, list[wire.Message]()

    @property
    def session(self) -> "Outside":
        return self

    def fresh_name(self) -> str:
        return "#ec0-1#east1"

    def hurry(self) -> None:
        self.hurries += 1

    def write(self, *messages: wire.Message) -> None:
        self.told += messages

    async def flushed(self) -> None:
        pass


def carrying_of(outside: Outside) -> Carrying:
    made = Carrying(cast(Link, outside), Keys("test"), ClusterOptions(), cast(Heartbeats, outside), "east1", copies=0)
    made.guarding.ending = lambda: wire.Ending("", (), outside.server)
    made.guarding._pipe = cast(Any, outside)
    return made


def servers_told(outside: Outside) -> list[str]:
    return [each.host for each in outside.told if isinstance(each, wire.Ending)]


async def test_guardian_learns_at_once_which_server_decides() -> None:
    outside = Outside()
    carrying_of(outside)
    outside.server = "second"
    for call in outside.on_move:
        call()
    assert servers_told(outside) == ["second"]
    assert outside.hurries == 1, "that server is to be asked whether it knows us"


@pytest.mark.parametrize("acked", [True, False])
async def test_heartbeat_without_a_majority_raises_doubt(acked: bool) -> None:
    outside = Outside()
    carrying = carrying_of(outside)
    doubts: list[bool] = []
    carrying.footing.doubt = lambda: doubts.append(True)  # type: ignore[method-assign]
    await carrying.begin(joins=True)
    await carrying.renewed(NEWS, acked)
    assert doubts == ([] if acked else [True])
