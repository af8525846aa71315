"""A node's statement of the VIPs that it cannot carry is right in the end, even if a call was lost, late or
forgotten."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from eccmgr.cluster.view import Seat
from eccmgr.duravip.records import Era
from eccmgr.duravip.shares import Share
from eccmgr.duravip.statements import Statement
from eccmgr.errors import RedisUnreachable
from eccmgr.redis.connect import Link
from worker.duravip import placing as placing_module
from worker.duravip.carrying import Carrying
from worker.duravip.options import DuravipOptions
from worker.duravip.placing import Placing

VIP = "10.1.1.1"
pytestmark = pytest.mark.asyncio


class Saying:
    """The part of a carrier by which `Placing` makes statements. While Redis is `away`, a call may still be carried
    out."""

    def __init__(self) -> None:
        self.agent = SimpleNamespace(node="east1", era=Era(1, "memory"), vips={})
        self.footing = SimpleNamespace(refusal="", on_change=None)
        self.ready, self.failed = object(), dict[str, str]()
        self.away, self.said = False, list[tuple[str, str]]()
        self.restated: list[list[str]] = []
        self.do: Any = None
        self.on_change = self.on_said = self.on_read_anew = self.on_link = cast(Any, None)

    async def say(self, name: str, text: str) -> int:
        self.said.append((name, text))
        if self.away:
            raise RedisUnreachable("Redis is not reachable: no answer")
        return len(self.said)


@pytest.fixture
def saying() -> Saying:
    return Saying()


@pytest.fixture
def placing(saying: Saying) -> Placing:
    made = Placing(cast(Link, None), cast(Carrying, saying), lambda: cast(DuravipOptions, None))
    made.interfaces = {VIP: "eth0"}
    return made


async def test_it_is_said_once(saying: Saying, placing: Placing) -> None:
    await placing._state()
    await placing._state()
    assert saying.said == [("~east1", "")]


async def test_failed_call_that_may_have_run_is_undone(saying: Saying, placing: Placing) -> None:
    await placing._state()
    saying.away = True
    saying.on_link("eth0", False, True)
    with pytest.raises(RedisUnreachable):
        await placing._state()
    saying.away = False
    saying.on_link("eth0", True, True)
    await placing._state()
    assert saying.said[1:] == [("~east1", f"{VIP}\teth0 is down"), ("~east1", "")]


async def test_late_grant_is_taken_back_when_heard(saying: Saying, placing: Placing) -> None:
    await placing._state()
    saying.on_said("~east1", VIP)
    await placing._state()
    assert saying.said[1:] == [("~east1", "")]


async def test_what_others_say_of_themselves_is_theirs(saying: Saying, placing: Placing) -> None:
    await placing._state()
    saying.on_said("~east2", VIP)
    await placing._state()
    assert len(saying.said) == 1


async def test_words_to_a_server_without_memory_are_void(saying: Saying, placing: Placing) -> None:
    saying.on_said("~east2", VIP)
    saying.on_said("!east2", "1")
    assert placing.said.unable["east2"] == {VIP: ""}
    saying.on_read_anew()
    assert not placing.said.unable
    assert not placing.said.drained


class Saw(Saying):
    """The statements in a cluster where some nodes state some VIPs."""

    def __init__(self) -> None:
        super().__init__()
        self.reckoned: list[float] = []
        self.agent.reckon = lambda hold_s, _late_s: self.reckoned.append(hold_s)


def _states(placing: Placing, node: str, *vips: str, hold_s: float = 1.5) -> None:
    placing._seats[node] = Seat(f"#ec0-1#{node}", node, "default", "")
    placing.said.statements[node] = Statement(1, 0.0, hold_s, {vip: Share((f"for {vip}",)) for vip in vips})


async def test_stability_of_view_and_configuration_are_separate() -> None:
    saw = Saw()
    placing = Placing(cast(Link, None), cast(Carrying, saw), lambda: cast(DuravipOptions, None))
    _states(placing, "east1", VIP)
    await placing._assess()
    stated_since, roster_since = placing.stated_since, placing.roster_since
    _states(placing, "east2", VIP)
    await placing._assess()
    assert placing.roster_since > roster_since
    assert placing.stated_since == stated_since
    roster_since = placing.roster_since
    _states(placing, "east2", VIP, "10.1.1.2")
    await placing._assess()
    assert placing.roster_since == roster_since
    assert placing.stated_since > stated_since
    placing._seats["east2"] = replace(placing._seats["east2"], private_name="#ec0-2#east2")
    await placing._assess()
    assert placing.roster_since > roster_since, "it was away"


async def test_longer_holding_is_reckoned_without_vip_changes() -> None:
    saw = Saw()
    placing = Placing(cast(Link, None), cast(Carrying, saw), lambda: cast(DuravipOptions, None))
    for hold_s in (1.5, 3.0):
        _states(placing, "east1", VIP, hold_s=hold_s)
        await placing._assess()
    assert saw.reckoned == [1.5, 3.0]


async def test_everything_is_stated_again_in_time(
    saying: Saying, placing: Placing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await placing._state()
    saying.agent.vips = {VIP: SimpleNamespace(held=3), "10.1.1.2": SimpleNamespace(held=0)}
    saying.agent.restate, saying.do = (lambda held, _reason: held), saying.restated.append
    now = placing_module.boot_time() + placing_module._AGAIN_S
    monkeypatch.setattr(placing_module, "boot_time", lambda: now)
    await placing._state()
    assert saying.said == [("~east1", "")] * 2
    assert saying.restated == [[VIP]]
