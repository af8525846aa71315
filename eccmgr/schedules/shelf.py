"""Schedules in Redis: kept, taken by one when due, and what became of each run."""

from collections.abc import Sequence
from typing import Any

from eccmgr.errors import CommandError, Unreadable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.schedules.schedule import Firing, Schedule

SCHEDULES_MAX = 10_000
PAST_KEPT = 1000
_PAST_TTL_MS = 30 * 24 * 3600 * 1000
_AT_ONCE = 50


class Shelf:
    """The schedules of one owner: the managers together (''), or one node. All may raise RedisUnreachable."""

    def __init__(self, link: Link, keys: Keys, owner: str) -> None:
        self._link = link
        self._schedules, self._due = keys.schedules(owner), keys.schedules_due(owner)
        self._running, self._past = keys.schedules_running(owner), keys.schedules_past(owner)

    async def now_ms(self) -> int:
        """The wall clock of Redis, which all share."""
        seconds, micros = await self._link.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def add(self, schedule: Schedule, due_ms: int) -> bool:
        """Keep a schedule; False where its id is taken. Raises CommandError where there are too many."""
        args = (schedule.id, schedule.dump(), due_ms, SCHEDULES_MAX)
        verdict = await self._link.run("sched_add", (self._schedules, self._due), args)
        if verdict == b"full":
            raise CommandError(f"There are {SCHEDULES_MAX} schedules already, and no more may be")
        return bool(verdict == b"added")

    async def delete(self, schedule_id: str) -> bool:
        """Forget a schedule; whether there was one. A run of it goes on."""
        return await self.move(schedule_id, None, None)

    async def move(self, schedule_id: str, seen_ms: int | None, due_ms: int | None) -> bool:
        """Let a schedule that was seen to be due at `seen_ms` (None: whenever) be due at another time (None: never)."""
        args = (schedule_id, "" if seen_ms is None else seen_ms, "" if due_ms is None else due_ms)
        return bool(await self._link.run("sched_move", (self._schedules, self._due), args) == b"moved")

    async def all(self) -> list[tuple[Schedule, int]]:
        """Every schedule with the moment when it is due, the next first."""
        return await self._read(await self._link.call("ZRANGE", self._due, 0, -1, "WITHSCORES"))

    async def due(self, now_ms: int) -> list[tuple[Schedule, int]]:
        """Some of those that are due."""
        words = ("ZRANGEBYSCORE", self._due, "-inf", now_ms, "WITHSCORES", "LIMIT", 0, _AT_ONCE)
        return await self._read(await self._link.call(*words))

    async def take(
        self, schedule: Schedule, due_ms: int, following_ms: int | None, run: Firing | None, instead: Firing
    ) -> str:
        """Take a run: `taken`; `kept` where it is not run (`run` is None, or the last has not ended); `gone`."""
        verdict: bytes = await self._link.run(
            "sched_take",
            (self._schedules, self._due, self._running, self._past),
            (
                *(schedule.id, due_ms, "" if following_ms is None else following_ms),
                *("" if run is None else run.dump(), instead.dump(), PAST_KEPT, _PAST_TTL_MS),
            ),
        )
        return verdict.decode()

    async def over(self, taken: Firing, ended: Firing) -> bool:
        """Keep how a run ended; False where another has said so already."""
        args = (taken.id, taken.dump(), ended.dump(), PAST_KEPT, _PAST_TTL_MS)
        return bool(await self._link.run("sched_over", (self._running, self._past), args) == b"kept")

    async def running(self) -> list[Firing]:
        """The runs that have not ended."""
        return _firings(await self._link.call("HVALS", self._running))

    async def past(self, number: int) -> list[Firing]:
        """The latest runs that have ended, the latest last."""
        return _firings(await self._link.call("LRANGE", self._past, 0, number - 1))[::-1]

    async def _read(self, found: Sequence[Any]) -> list[tuple[Schedule, int]]:
        pairs = list(_pairs(found))
        if not pairs:
            return []
        kept = await self._link.call("HMGET", self._schedules, *(name for name, _ in pairs))
        read = []
        for (name, due_ms), raw in zip(pairs, kept, strict=True):
            try:
                if raw is not None:
                    read.append((Schedule.parse(raw), due_ms))
            except Unreadable:
                # One that nobody can read is never run: it would be in the way for ever.
                await self.delete(name.decode())
        return read


def _pairs(found: Sequence[Any]) -> list[tuple[bytes, int]]:
    if found and isinstance(found[0], list):
        return [(name, int(score)) for name, score in found]
    return [(found[i], int(float(found[i + 1]))) for i in range(0, len(found), 2)]


def _firings(found: Sequence[bytes]) -> list[Firing]:
    read = []
    for raw in found:
        try:
            read.append(Firing.parse(raw))
        except Unreadable:
            continue
    return read
