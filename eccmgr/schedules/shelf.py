"""Schedules in Redis. When one is due, one manager takes the run, and records its end."""

from collections.abc import Sequence

from eccmgr.errors import CommandError, Unreadable
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import Dropped
from eccmgr.schedules import calls
from eccmgr.schedules.calls import AddVerdict, KeepVerdict, MoveVerdict, ShelfKeys, TakeVerdict
from eccmgr.schedules.schedule import Firing, Schedule

_dropped = Dropped("past run of a schedule")
_dropped_runs = Dropped("run of a schedule")
_dropped_schedules = Dropped("schedule")
_dropped_times = Dropped("time of a schedule")

SCHEDULES_MAX = 10_000
_AT_ONCE = 50
_REMOVED_AT_ONCE = 1000
_LATEST_MS = 10**15


class Shelf:
    """The schedules of one owner: the managers together (''), or one node. All methods may raise RedisUnreachable."""

    def __init__(self, link: Link, keys: Keys, owner: str) -> None:
        self._link = link
        self._at = ShelfKeys.of(keys, owner)

    async def now_ms(self) -> int:
        """The wall clock of Redis, which all managers share."""
        return replies.time_ms(await self._link.call("TIME"))

    async def add(self, schedule: Schedule, due_ms: int) -> bool:
        """Add a schedule; False if its id is taken. Raises CommandError if there are too many."""
        verdict = await self._link.run(calls.add(self._at, schedule, due_ms, SCHEDULES_MAX))
        if verdict is AddVerdict.FULL:
            raise CommandError(f"There are {SCHEDULES_MAX} schedules already, and no more may be")
        return verdict is AddVerdict.ADDED

    async def delete(self, schedule_id: str) -> bool:
        """Delete a schedule; answers whether there was such a schedule. A run of it goes on."""
        return await self.move(schedule_id, None, None)

    async def move(self, schedule_id: str, seen_ms: int | None, due_ms: int | None) -> bool:
        """Make a schedule due at another time (None: never), if it is still due at `seen_ms` (None: at any time)."""
        return await self._link.run(calls.move(self._at, schedule_id, seen_ms, due_ms)) is MoveVerdict.MOVED

    async def all(self) -> list[tuple[Schedule, int]]:
        """Every schedule with its due time, the next one first."""
        return await self._read(await self._link.call("ZRANGE", self._at.due, 0, -1, "WITHSCORES"))

    async def timeless(self) -> list[Schedule]:
        """The schedules whose due time is lost. This deletes schedules that cannot be read."""
        kept = replies.fields(await self._link.call("HGETALL", self._at.schedules))
        due = set(replies.texts(await self._link.call("ZRANGE", self._at.due, 0, -1)))
        schedules, bad = [], []
        for name, raw in kept.items():
            if name in due:
                continue
            try:
                schedules.append(_schedule(name, raw))
            except Unreadable as error:
                _dropped_schedules.say(name, raw, str(error))
                bad.append(name)
        await self._drop(bad)
        return schedules

    async def lacks_times(self) -> bool:
        """Whether Redis has fewer due times than schedules."""
        schedules, times = await self._link.pipeline(("HLEN", self._at.schedules), ("ZCARD", self._at.due))
        return bool(schedules != times)

    async def restore(self, schedule_id: str, due_ms: int) -> bool:
        """Give a due time to a schedule without one. False if another runner has done so, or the schedule was
        deleted."""
        return await self._link.run(calls.restore(self._at, schedule_id, due_ms)) is MoveVerdict.MOVED

    async def due(self, now_ms: int) -> list[tuple[Schedule, int]]:
        """Some of the schedules that are due."""
        words = ("ZRANGEBYSCORE", self._at.due, "-inf", now_ms, "WITHSCORES", "LIMIT", 0, _AT_ONCE)
        return await self._read(await self._link.call(*words))

    async def take(
        self, schedule: Schedule, due_ms: int, following_ms: int | None, run: Firing | None, instead: Firing
    ) -> TakeVerdict:
        """Take a run. `instead` is recorded if it does not run: if `run` is None, or the previous run has not ended."""
        return await self._link.run(calls.take(self._at, schedule, due_ms, following_ms, run, instead))

    async def keep(self, taken: Firing, longer: Firing) -> bool:
        """Extend a run; False if another manager has recorded its end."""
        return await self._link.run(calls.keep(self._at, taken, longer)) is KeepVerdict.KEPT

    async def over(self, taken: Firing, ended: Firing) -> bool:
        """Record the end of a run; False if another manager has done so."""
        return await self._link.run(calls.over(self._at, taken, ended)) is KeepVerdict.KEPT

    async def running(self) -> list[Firing]:
        """The runs that have not ended. A run that cannot be read counts as lost; otherwise it would block the next
        one."""
        kept = replies.fields(await self._link.call("HGETALL", self._at.running))
        runs, bad = [], []
        for name, raw in kept.items():
            try:
                runs.append(Firing.parse(raw))
            except Unreadable as error:
                _dropped_runs.say(name, raw, str(error))
                bad.append(name)
        await self._remove("HDEL", self._at.running, bad)
        return runs

    async def past(self, number: int) -> list[Firing]:
        """The latest runs that have ended, the latest one last."""
        runs = []
        for raw in replies.texts(await self._link.call("LRANGE", self._at.past, 0, number - 1)):
            try:
                runs.append(Firing.parse(raw))
            except Unreadable as error:
                _dropped.say(raw, raw, str(error))
        return runs[::-1]

    async def _read(self, found: object) -> list[tuple[Schedule, int]]:
        pairs = replies.scores(found)
        if not pairs:
            return []
        names = (name for name, _ in pairs)
        kept = replies.values(await self._link.call("HMGET", self._at.schedules, *names), len(pairs))
        read, bad, never = [], [], []
        for (name, score), raw in zip(pairs, kept, strict=True):
            try:
                schedule = _schedule(name, raw)
            except Unreadable as error:
                _dropped_schedules.say(name, raw, str(error))
                bad.append(name)
                continue
            if 0 <= score <= _LATEST_MS and score.is_integer():
                read.append((schedule, int(score)))
            else:
                _dropped_times.say(name, str(score), f"{score} is not a time")
                never.append(name)
        await self._remove("ZREM", self._at.due, never)
        await self._drop(bad)
        return read

    async def _drop(self, names: Sequence[bytes]) -> None:
        """Delete schedules that cannot be read: they never run, and would block the others for ever."""
        # Their times go last: a schedule without a record is dropped by the next look.
        await self._remove("HDEL", self._at.schedules, names)
        await self._remove("ZREM", self._at.due, names)

    async def _remove(self, how: str, key: str, names: Sequence[bytes]) -> None:
        """Remove members of a key. There may be very many, if somebody else has put them there."""
        for at in range(0, len(names), _REMOVED_AT_ONCE):
            await self._link.call(how, key, *names[at : at + _REMOVED_AT_ONCE])


def _schedule(name: bytes, raw: bytes | None) -> Schedule:
    """The schedule that is kept under a name. Raises Unreadable."""
    if raw is None:
        raise Unreadable("There is no such schedule")
    schedule = Schedule.parse(raw)
    if schedule.id.encode() != name:
        raise Unreadable("The record of a schedule in Redis cannot be read: it has the id of another")
    return schedule
