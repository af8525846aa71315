"""The managers' schedules, with the latest run of each."""

import asyncio
import time
from collections.abc import Callable

from eccmgr.commands.secrets import without_secrets
from eccmgr.feed.picture import Item, Picture
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.schedules.calls import ShelfKeys
from eccmgr.schedules.schedule import Firing, Schedule
from eccmgr.schedules.shelf import Shelf
from eccmgr.schedules.times import shown

_RUNS = 200
_AT_LEAST_EACH_S = 5.0
_TURN = 500


class SchedulesWatcher:
    """Looks at the schedules. It reads them when something about them has changed, and else every few seconds."""

    def __init__(self, link: Link, keys: Keys, clock: Callable[[], float] = time.monotonic) -> None:
        self._link, self._clock = link, clock
        self._at, self._shelf = ShelfKeys.of(keys, ""), Shelf(link, keys, "")
        self.forget()

    def forget(self) -> None:
        """Forget what was seen."""
        self._marks: list[object] = []
        self._read_s = 0.0

    async def look(self, picture: Picture, at_ms: int) -> None:
        """Bring `picture` up to date. Raises EccmgrError."""
        marks = await self._read_marks()
        if marks == self._marks and self._clock() < self._read_s + _AT_LEAST_EACH_S:
            return
        # A run may belong to a schedule that is gone, so that no item shows its end.
        stirred = marks != self._marks
        self._read_s = self._clock()
        due = await self._shelf.all()
        ran = {run.id: run for run in (*await self._shelf.past(_RUNS), *await self._shelf.running())}
        items: dict[str, Item] = {}
        for number, (schedule, due_ms) in enumerate(due):
            if number % _TURN == 0:
                await asyncio.sleep(0)
            items[schedule.id] = _item(schedule, due_ms, ran.get(schedule.id))
        picture.show(items, at_ms, stirred=stirred)
        self._marks = marks

    async def _read_marks(self) -> list[object]:
        """What differs once a schedule was added, deleted, taken or run: little of each key."""
        return await self._link.pipeline(
            ("ZCARD", self._at.due),
            ("ZRANGE", self._at.due, 0, 0, "WITHSCORES"),
            ("HLEN", self._at.running),
            ("LINDEX", self._at.past, 0),
        )


def _item(schedule: Schedule, due_ms: int, run: Firing | None) -> Item:
    return {
        "id": schedule.id,
        "next": shown(due_ms),
        "recurs": schedule.when.recurs,
        "when": schedule.when.words,
        "user": schedule.user,
        "command": without_secrets(schedule.text),
        "last": None if run is None else _run(run),
    }


def _run(run: Firing) -> Item:
    return {"due": shown(run.due_ms), "state": run.fate.value, "by": run.by, "note": run.note}
