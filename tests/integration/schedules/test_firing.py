"""Several managers share schedules and die at any moment: no run is repeated, and none is lost without a word."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
import structlog

from eccmgr.commands.answer import Answer, Status
from eccmgr.commands.caller import Caller
from eccmgr.errors import CommandError
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.schedules import shelf as shelves
from eccmgr.schedules.runner import RUNNING_MAX, Clerk, Run, Runner
from eccmgr.schedules.schedule import Fate, Firing, Schedule
from eccmgr.schedules.shelf import Shelf
from eccmgr.schedules.times import Cron, Every, Once
from tests.waiting import wait_until

GRACE_S, TIMEOUT_S = 300.0, 60.0
START = 1_790_000_000_000
LOG = structlog.get_logger()


@dataclass
class World:
    """A shelf of schedules, and the commands that were run."""

    shelf: Shelf
    ran: list[str] = field(default_factory=list)

    async def run(self, text: str, caller: Caller) -> Answer:
        self.ran.append(f"{text} for {caller.user}")
        return Answer("done\nand more")

    def runner(self, name: str = "barca") -> Runner:
        return Runner(self.shelf, self.run, name, GRACE_S, TIMEOUT_S, LOG)

    async def add(self, name: str, when: Once | Every | Cron, due_ms: int) -> Schedule:
        made = Schedule(name, f"do {name}", "ann", when)
        assert await self.shelf.add(made, due_ms)
        return made

    async def fates(self) -> list[tuple[str, int, str]]:
        return [(each.id, each.due_ms - START, each.fate.value) for each in await self.shelf.past(1000)]


@pytest.fixture
def world(link: Link, cluster_keys: Keys) -> World:
    return World(Shelf(link, cluster_keys, ""))


@pytest.mark.asyncio
async def test_due_schedule_is_run_once_by_the_first(world: World) -> None:
    await world.add("a", Once(), START)
    first, second = world.runner("one"), world.runner("two")
    assert await first.take_due(START - 1) == []
    (taken,) = await first.take_due(START)
    assert await second.take_due(START) == []
    await first.carry_out(taken)
    assert world.ran == ["do a for ann"]
    assert await world.shelf.all() == []
    (past,) = await world.shelf.past(10)
    assert (past.fate, past.note, past.by) == (Fate.OK, "done", "one")


@pytest.mark.asyncio
async def test_schedule_seen_due_twice_is_taken_once(world: World) -> None:
    made = await world.add("a", Every(60), START)
    one, two = (Firing("a", made.text, "ann", START, by, START + 1) for by in ("one", "two"))
    assert await world.shelf.take(made, START, START + 60_000, one, one) == "taken"
    assert await world.shelf.take(made, START, START + 60_000, two, two) == "gone"


@pytest.mark.asyncio
async def test_late_schedule_runs_once_within_its_grace(world: World) -> None:
    await world.add("late", Every(60), START)
    await world.add("missed", Once(), START - 1)
    now = START + round(GRACE_S * 1000) - 1
    for taken in await world.runner().take_due(now):
        await world.runner().carry_out(taken)
    assert world.ran == ["do late for ann"]
    assert [due for _, due in await world.shelf.all()] == [now + 60_000]
    assert ("missed", -1, "missed") in await world.fates()


@pytest.mark.asyncio
async def test_run_without_a_reported_end_is_lost_once(world: World) -> None:
    await world.add("a", Once(), START)
    (taken,) = await world.runner("dead").take_due(START)
    await world.runner().give_up_lost(taken.until_ms - 1)
    assert await world.fates() == []
    for _ in range(2):
        await world.runner().give_up_lost(taken.until_ms)
    assert await world.fates() == [("a", 0, "lost")]
    await world.runner("dead").carry_out(taken)
    assert await world.fates() == [("a", 0, "lost")]


@pytest.mark.asyncio
async def test_lasting_run_is_not_restarted_and_says_so(world: World) -> None:
    await world.add("a", Every(1), START)
    (taken,) = await world.runner().take_due(START)
    assert await world.runner().take_due(START + 1000) == []
    assert await world.fates() == [("a", 1000, "skipped")]
    await world.runner().carry_out(taken)
    assert len(await world.runner().take_due(START + 2000)) == 1


@pytest.mark.asyncio
async def test_clock_stepped_back_neither_repeats_nor_stalls_runs(world: World) -> None:
    await world.add("often", Every(60), START)
    await world.add("daily", Cron("0 3 * * *"), START)
    for taken in await world.runner().take_due(START):
        await world.runner().carry_out(taken)
    hour = 3_600_000
    await world.runner().keep_rhythm(START - hour)
    assert await world.runner().take_due(START - hour) == []
    due = {each.id: due_ms for each, due_ms in await world.shelf.all()}
    assert due["often"] == START - hour + 60_000
    assert due["daily"] > START


@pytest.mark.asyncio
async def test_a_command_that_fails_or_hangs_says_so(world: World) -> None:
    async def fail(_text: str, _caller: Caller) -> Answer:
        raise TimeoutError

    await world.add("a", Once(), START)
    runner = Runner(world.shelf, fail, "barca", GRACE_S, TIMEOUT_S, LOG)
    (taken,) = await runner.take_due(START)
    await runner.carry_out(taken)
    (past,) = await world.shelf.past(10)
    assert (past.fate, past.note) == (Fate.FAILED, "timed out after 60 s")


@pytest.mark.asyncio
async def test_excess_commands_run_one_after_another(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clerk, "LOOK_S", 3600.0)
    now_ms = await world.shelf.now_ms()
    for number in range(3 * RUNNING_MAX):
        await world.add(f"{number}", Once(), now_ms)
    looking = asyncio.create_task(Clerk(world.shelf, world.runner(), LOG).run())
    await wait_until(lambda: len(world.ran) == 3 * RUNNING_MAX, "all have run")
    looking.cancel()
    await asyncio.wait((looking,))


@pytest.mark.asyncio
async def test_there_are_never_too_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "SCHEDULES_MAX", 2)
    for name in "ab":
        await world.add(name, Once(), START)
    with pytest.raises(CommandError, match="There are 2 schedules already"):
        await world.add("c", Once(), START)


@pytest.mark.asyncio
async def test_what_cannot_be_read_is_in_nobodys_way(world: World, link: Link, cluster_keys: Keys) -> None:
    await world.add("good", Once(), START)
    await link.call("HSET", cluster_keys.schedules(""), "bad", "nonsense")
    await link.call("ZADD", cluster_keys.schedules_due(""), START - 1, "bad")
    (taken,) = await world.runner().take_due(START)
    assert taken.id == "good"
    assert await world.shelf.due(START) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("loss", ["key", "entry", "garbage", "stranger"])
async def test_schedules_whose_times_are_lost_are_due_again(
    world: World, link: Link, cluster_keys: Keys, loss: str
) -> None:
    await world.add("often", Every(60), START)
    await world.add("daily", Cron("0 3 * * *"), START)
    await world.add("once", Once(START + 90_000), START + 90_000)
    due = cluster_keys.schedules_due("")
    words: tuple[str | float, ...] = ("DEL", due) if loss == "key" else ("ZREM", due, "often", "daily", "once")
    if loss == "garbage":
        words = ("ZADD", due, "inf", "often", -7, "daily", 1.5, "once")
    await link.call(*words)
    if loss == "stranger":
        await link.call("ZADD", due, START, "x", START, "y", START, "z")
    await world.shelf.all()
    assert {each.id for each in await world.shelf.timeless()} == {"often", "daily", "once"}
    assert await world.shelf.lacks_times()
    for _ in range(2):
        await world.runner().restore_times(START)
    found = {each.id: due_ms for each, due_ms in await world.shelf.all()}
    assert found.keys() == {"often", "daily", "once"}
    assert found["often"] == START + 60_000
    assert found["once"] == START + 90_000
    assert found["daily"] > START
    assert not await world.shelf.lacks_times()


@pytest.mark.asyncio
async def test_a_command_due_nobody_knows_when_is_missed(world: World, link: Link, cluster_keys: Keys) -> None:
    await world.add("once", Once(), START)
    await link.call("DEL", cluster_keys.schedules_due(""))
    await world.runner().restore_times(START)
    assert await world.runner().take_due(START) == []
    (missed,) = await world.shelf.past(10)
    assert (missed.id, missed.fate, missed.note) == ("once", Fate.MISSED, "Redis had lost its due time")
    assert await world.shelf.timeless() == []


@pytest.mark.asyncio
async def test_a_schedule_without_a_time_can_be_deleted(world: World, link: Link, cluster_keys: Keys) -> None:
    await world.add("often", Every(60), START)
    await link.call("DEL", cluster_keys.schedules_due(""))
    assert await world.shelf.delete("often")
    assert not await world.shelf.delete("often")
    assert await world.shelf.timeless() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(8))
async def test_every_run_is_accounted_for_through_deaths(world: World, seed: int) -> None:
    """There are three managers. Any of them dies before it takes a run, after it took it, or after it ran it. The clock
    is stepped too."""
    chance = random.Random(seed)
    now = START
    names = {"once": Once(), "often": Every(30), "cron": Cron("*/5 * * * *")}
    due = {"once": START + 3_600_000, "often": START + 30_000, "cron": START + 300_000}
    for name, when in names.items():
        await world.add(name, when, due[name])
    carried: Counter[tuple[str, int, int]] = Counter()
    latest = now
    for _ in range(400):
        now += chance.choice((1000, 10_000, 20_000, 61_000, 400_000))
        if chance.random() < 0.05:
            now -= chance.choice((10_000, 3_600_000))
            await world.runner().keep_rhythm(now)
        latest = max(now, latest)
        if chance.random() < 0.2:
            continue  # no manager is alive now
        for name in chance.sample(("one", "two", "three"), 3):
            runner = world.runner(name)
            await runner.give_up_lost(now)
            for taken in await runner.take_due(now):
                death = chance.choice(("", "", "", "took", "ran"))
                if death != "took":
                    carried[taken.id, taken.due_ms, taken.until_ms] += 1
                if not death:
                    await runner.carry_out(taken)
    for taken in await world.runner().take_due(latest + 2 * 3_600_000):
        await world.runner().carry_out(taken)
    await world.runner().give_up_lost(latest + 2 * 3_600_000)
    past = [*await world.shelf.past(1000)]
    assert await world.shelf.running() == []
    assert max(carried.values()) == 1
    accounted = Counter((each.id, each.due_ms, each.until_ms) for each in past if each.fate in (Fate.OK, Fate.LOST))
    assert carried.keys() <= accounted.keys()
    assert sum(each.id == "once" for each in past) == 1
    assert all(count == 1 for count in accounted.values())


@pytest.mark.asyncio
async def test_command_taken_but_unsent_is_sent_once_later(world: World) -> None:
    refusals = [Answer("Redis refused: its memory is full", Status.ERROR, undone=True)] * 2
    runner = Runner(world.shelf, _refused_first(world, refusals), "barca", GRACE_S, TIMEOUT_S, LOG)
    await world.add("a", Once(), START)
    (taken,) = await runner.take_due(START)
    await runner.carry_out(taken)
    assert not refusals
    assert world.ran == ["do a for ann"]
    assert await world.fates() == [("a", 0, "ok")]


@pytest.mark.asyncio
async def test_run_given_up_elsewhere_is_not_begun(world: World) -> None:
    refusals = [Answer("Redis refused: its memory is full", Status.ERROR, undone=True)]
    runner = Runner(world.shelf, _refused_first(world, refusals), "barca", GRACE_S, TIMEOUT_S, LOG)
    await world.add("a", Once(), START)
    (taken,) = await runner.take_due(START)
    await world.runner("two").give_up_lost(taken.until_ms)
    await runner.carry_out(taken)
    assert world.ran == []
    assert await world.fates() == [("a", 0, "lost")]


@pytest.mark.asyncio
async def test_schedule_refused_beyond_its_grace_is_missed(world: World) -> None:
    refusals = [Answer("Redis refused: its memory is full", Status.ERROR, undone=True)] * 9
    runner = Runner(world.shelf, _refused_first(world, refusals), "barca", 1.0, TIMEOUT_S, LOG)
    await world.add("a", Once(), START)
    (taken,) = await runner.take_due(START)
    await runner.carry_out(taken)
    assert world.ran == []
    assert await world.fates() == [("a", 0, "missed")]


def _refused_first(world: World, refusals: list[Answer]) -> Run:
    async def run(text: str, caller: Caller) -> Answer:
        return refusals.pop() if refusals else await world.run(text, caller)

    return run
