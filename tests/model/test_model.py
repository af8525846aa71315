"""The search: random faults neither break the law nor leave a VIP alone, and the search finds each missing rule.

`make model` searches for longer, also for rules that take longer to find; SEED=… begins elsewhere.
"""

import os
import random

import pytest

from tests.model.bugs import BUGS, Bug
from tests.model.world import FAST, SLOW, Found, Profile, World
from worker.duravip.model import batches

LONG = bool(os.environ.get("MODEL"))
RUNS = int(os.environ.get("RUNS", "1500" if LONG else "60"))
HUNT = 1500 if LONG else 250
FIRST = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**9))
QUICK = frozenset(
    {
        "no grant in a new era until it is opened",
        "the first script of any kind begins the era for all",
        "in a new era only a join moves the deadline",
        "a missing key is lost memory",
        "an era is watched from what a majority has",
        "a release follows the unplumbing",
        "plumbing needs an answer above what was given up",
        "a fence that lapsed opens on nothing plumbed",
        "asking again answers the same epoch",
        "a silent guardian is replaced",
        "a reservation ends",
        "who has no guardian gives up",
        "but not before the fence has closed",
    }
)
"""The rules whose absence is found within seconds."""


def play(world: World, monkeypatch: pytest.MonkeyPatch, seed: int) -> str:
    """The verdict on one run, "" if all went well. A fault may also come between two calls of one change."""
    monkeypatch.setattr(batches, "BATCH", (1, 250)[seed % 2])
    try:
        world.run()
    except Found as found:
        return str(found)
    return ""


@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.parametrize("profile", [SLOW, FAST], ids=["heartbeat 0.5 s", "heartbeat 0.1 s"])
def test_faults_leave_each_vip_with_one_node(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(FIRST, FIRST + RUNS):
        verdict = play(World(seed, profile), monkeypatch, seed)
        assert not verdict, f"{verdict}: World({seed}, heartbeat {profile.heartbeat})"


@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.parametrize("more", ["stop", "kill a", "cut", "restart", "failover"])
def test_others_carry_vips_without_a_startable_guardian(more: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(FIRST, FIRST + RUNS):
        verdict = play(World(seed, (SLOW, FAST)[seed % 2], kinds=("bar", more)), monkeypatch, seed)
        assert not verdict, f"{verdict}: World({seed}, kinds=('bar', '{more}'))"


@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.parametrize("rule", [rule for rule in BUGS if LONG or rule in QUICK])
def test_a_rule_that_is_taken_away_is_missed(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = BUGS[rule]
    found = (hunt(bug, seed, monkeypatch) == bug.breaks for seed in range(bug.first, bug.first + HUNT))
    assert any(found), f"{HUNT} runs without the rule found nothing"


def hunt(bug: Bug, seed: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """The verdict on a run without one rule."""
    return play(World(seed, SLOW, bug.off, bug.kind, bug.kinds, bug.timing, bug.guard), monkeypatch, seed)
