"""Decisions of the agent that the model cannot see: how often it asks, and in which pieces."""

from itertools import count

from eccmgr.cluster.timing import Timing
from eccmgr.duravip.records import Beaten, Era, Granted, Page, Verdict, VipRecord
from worker.duravip.model.actions import Acquire, Beat, EndCarrying, Extend, Read, Release, TellPlumb, TellUnplumb, Wish
from worker.duravip.model.agent import Agent
from worker.duravip.model.batches import BATCH

ERA = Era(7, "run|replid")


def joined(change: int = 0) -> Agent:
    names = count(1)
    agent = Agent("East1", Timing(0.5, 1.5), lambda: f"#ec0-{next(names)}#east1")
    beat = agent.beat(0.0)[-1]
    assert isinstance(beat, Beat)
    agent.beaten(0.0, beat, Beaten(Verdict.OK, ERA, True, True, change))
    return agent


def granted(agent: Agent, *addresses: str) -> None:
    for ask in agent.place(0.0, dict.fromkeys(addresses, "the fewest VIPs")):
        assert isinstance(ask, Acquire)
        agent.granted(0.0, ask, Granted(Verdict.OK, ERA, True, (5,) * len(ask.wishes)))


def test_thousands_are_requested_in_batches_per_heartbeat() -> None:
    agent = joined()
    wanted = {f"10.0.{i // 250}.{i % 250}": "x" for i in range(1000)}
    asked = agent.place(0.0, wanted)
    assert [len(each.wishes) for each in asked if isinstance(each, Acquire)] == [BATCH] * 4
    assert agent.place(0.1, wanted) == []
    assert len(agent.settle(0.5)) == 4


def test_grant_is_plumbed_until_its_deadline_only() -> None:
    agent = joined()
    (ask,) = agent.place(0.0, {"10.0.0.1": "x"})
    assert isinstance(ask, Acquire)
    assert agent.granted(0.1, ask, Granted(Verdict.OK, ERA, True, (5,))) == [
        TellPlumb(agent.session, 1.5, (("10.0.0.1", 5),))
    ]
    again = joined()
    (ask,) = again.place(0.0, {"10.0.0.1": "x"})
    assert isinstance(ask, Acquire)
    assert again.granted(1.5, ask, Granted(Verdict.OK, ERA, True, (5,))) == []


def test_vip_too_late_for_guardian_is_requested_again() -> None:
    agent = joined()
    granted(agent, "10.0.0.1")
    agent.plumbed("10.0.0.1", 5)
    agent.settle(0.5)
    agent.missed("10.0.0.1", 5)
    assert agent.settle(1.0) == [TellPlumb(agent.session, 1.5, (("10.0.0.1", 5),))]


def test_agent_without_guardian_goes_on_wanting_nothing() -> None:
    agent = joined()
    granted(agent, "10.0.0.1")
    agent.plumbed("10.0.0.1", 5)
    before = agent.session
    assert agent.carries
    assert agent.unguarded("no guardian serves") == []
    assert not agent.carries
    beat = agent.beat(2.0)[-1]
    assert isinstance(beat, Beat)
    assert beat.joins
    assert beat.session not in ("", before)
    after = agent.beaten(2.0, beat, Beaten(Verdict.OK, ERA, True, True, 0))
    assert EndCarrying(before, ERA) in after
    assert not [each for each in after if isinstance(each, Acquire | TellPlumb)]


def test_restated_vip_exceeds_every_epoch_seen() -> None:
    agent = joined()
    granted(agent, "10.0.0.1")
    (ask,) = agent.restate(["10.0.0.1"], "move")
    assert isinstance(ask, Acquire)
    assert ask.wishes == (Wish("10.0.0.1", 5, "move"),)


def test_unplumbable_vip_returns_until_placement_asks_again() -> None:
    agent = joined()
    granted(agent, "10.0.0.1")
    (unplumb,) = agent.not_plumbed([("10.0.0.1", 5)], "eth0 is down", "West1")
    assert isinstance(unplumb, TellUnplumb)
    (release,) = _released(agent, unplumb)
    assert [(each.to, each.reason) for each in release.gifts] == [("west1", "eth0 is down")]
    free = VipRecord("", 5, ERA.number, "", "eth0 is down")
    read = Read(agent.session, ERA, agent.read_upto)
    assert agent.changed(0.3, read, Page(Verdict.OK, ERA, True, 10, False, (("10.0.0.1", free),))) == []


def _released(agent: Agent, unplumb: TellUnplumb) -> list[Release]:
    owned = VipRecord(agent.session, 5, ERA.number)
    read = Read(agent.session, ERA, agent.read_upto)
    agent.changed(0.1, read, Page(Verdict.OK, ERA, True, 9, False, (("10.0.0.1", owned),)))
    return [each for each in agent.unplumbed(0.2, unplumb.tag) if isinstance(each, Release)]


def test_release_follows_unplumbing_and_names_its_target() -> None:
    agent = joined()
    granted(agent, "10.0.0.1")
    (unplumb,) = agent.give_up(["10.0.0.1"], "East2", "move")
    assert isinstance(unplumb, TellUnplumb)
    read = Read(agent.session, ERA, agent.read_upto)
    owned = VipRecord(agent.session, 5, ERA.number)
    assert agent.changed(0.1, read, Page(Verdict.OK, ERA, True, 9, False, (("10.0.0.1", owned),))) == []
    (release,) = agent.unplumbed(0.2, unplumb.tag)
    assert isinstance(release, Release)
    assert [(each.address, each.epoch, each.to, each.reason) for each in release.gifts] == [
        ("10.0.0.1", 5, "east2", "move")
    ]


def test_given_up_after_plumbing_is_released_after_unplumbing() -> None:
    agent = joined()
    (ask,) = agent.place(0.0, {"10.0.0.1": "x"})
    assert isinstance(ask, Acquire)
    owned = VipRecord(agent.session, 5, ERA.number)
    read = Read(agent.session, ERA, agent.read_upto)
    agent.changed(0.01, read, Page(Verdict.OK, ERA, True, 9, False, (("10.0.0.1", owned),)))
    agent.granted(0.02, ask, Granted(Verdict.OK, ERA, True, (5,)))
    (unplumb,) = agent.give_up(["10.0.0.1"], "east2", "levels the load")
    assert isinstance(unplumb, TellUnplumb)
    assert [type(each) for each in agent.unplumbed(0.03, unplumb.tag)] == [Release]


def test_failed_unplumbing_is_retried_and_not_released() -> None:
    agent = joined()
    granted(agent, "10.0.0.1")
    (unplumb,) = agent.give_up(["10.0.0.1"], "", "drained")
    assert isinstance(unplumb, TellUnplumb)
    (again,) = agent.unplumbed(0.2, unplumb.tag, ["10.0.0.1"])
    assert isinstance(again, TellUnplumb)
    assert again.addresses == unplumb.addresses


def test_healthy_heartbeat_of_thousands_only_extends() -> None:
    agent = joined()
    addresses = [f"10.0.{i // 250}.{i % 250}" for i in range(1000)]
    granted(agent, *addresses)
    for address in addresses:
        agent.plumbed(address, 5)
    agent.settle(0.0)
    beat = agent.beat(0.5)[-1]
    assert isinstance(beat, Beat)
    assert agent.beaten(0.5, beat, Beaten(Verdict.OK, ERA, True, True, 0)) == [Extend(agent.session, 2.0, ERA)]


def test_given_up_and_lost_are_reported_once() -> None:
    agent = joined()
    told: list[tuple[object, ...]] = []
    agent.on_given_up = lambda *seen: told.append(("given up", *seen))
    agent.on_lost = lambda *seen: told.append(("lost", *seen))
    granted(agent, "10.0.0.1", "10.0.0.2")
    agent.give_up(["10.0.0.1"], "East2", "move")
    agent.give_up(["10.0.0.1"], "East2", "move")
    agent.beat(1.6)
    agent.beat(2.1)
    assert told == [("given up", "10.0.0.1", 5, "east2", "move"), ("lost", "10.0.0.2", 5, "not renewed in time")]


def test_guardian_going_down_says_why_addresses_are_lost() -> None:
    agent = joined()
    told: list[tuple[object, ...]] = []
    agent.on_lost = lambda *seen: told.append(seen)
    granted(agent, "10.0.0.1")
    agent.down(agent.session, "the table was touched")
    assert told == [("10.0.0.1", 5, "the table was touched")]


def test_missing_addresses_of_a_guardian_are_lost() -> None:
    agent = joined()
    told: list[tuple[object, ...]] = []
    agent.on_lost = lambda *seen: told.append(seen)
    granted(agent, "10.0.0.1")
    agent.respawned(served=True)
    assert told == [("10.0.0.1", 5, "its guardian is gone")]


def test_unconfirmed_work_is_done_by_the_next_guardian() -> None:
    agent = joined()
    granted(agent, "10.0.0.1", "10.0.0.2")
    first = agent.session
    agent.give_up(["10.0.0.2"], "", "drained")
    beat = agent.beat(0.5)[-1]
    assert isinstance(beat, Beat)
    agent.beaten(0.5, beat, Beaten(Verdict.ENDED, ERA, True, True, 0))
    agent.respawned(served=False)
    beat = agent.beat(0.6)[-1]
    assert isinstance(beat, Beat)
    actions = agent.beaten(0.6, beat, Beaten(Verdict.OK, ERA, True, True, 0))
    assert EndCarrying(first, ERA) in actions, "nothing is plumbed under it any more"
    (ask,) = (each for each in actions if isinstance(each, Acquire))
    agent.granted(0.6, ask, Granted(Verdict.OK, ERA, True, (6,) * len(ask.wishes)))
    agent.plumbed("10.0.0.1", 6)
    assert agent.vips["10.0.0.1"].plumbed == 6
    assert not agent.vips["10.0.0.2"].moving


def test_numbers_that_went_back_are_read_anew() -> None:
    agent = joined()
    agent.changed(0.1, Read(agent.session, ERA, agent.read_upto), Page(Verdict.OK, ERA, True, 9))
    agent.changed(0.2, Read(agent.session, ERA, 9), Page(Verdict.OK, ERA, True, 4))
    assert agent.read_upto == 0
