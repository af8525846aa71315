"""The calls of the scripts about schedules, with one typed function for each script."""

import enum
from dataclasses import dataclass

from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import ScriptCall, verdicts
from eccmgr.redis.wire import Argument
from eccmgr.schedules.schedule import Firing, Schedule

PAST_KEPT = 1000
_PAST_TTL_MS = 30 * 24 * 3600 * 1000


class AddVerdict(enum.StrEnum):
    """The result of adding a schedule."""

    ADDED = "added"
    TAKEN = "taken"
    """Its id is taken."""
    FULL = "full"
    """There are too many schedules."""


class TakeVerdict(enum.StrEnum):
    """The result of taking a schedule that is due."""

    TAKEN = "taken"
    """The caller runs it."""
    KEPT = "kept"
    """It does not run, and that was recorded."""
    GONE = "gone"
    """Another manager has taken it, or it was deleted."""


class MoveVerdict(enum.StrEnum):
    """The result of moving a schedule."""

    MOVED = "moved"
    GONE = "gone"
    """It was deleted, or is due at another time by now."""


class KeepVerdict(enum.StrEnum):
    """Whether Redis has recorded a change of a run."""

    KEPT = "kept"
    GONE = "gone"
    """Another manager has recorded its end."""


@dataclass(frozen=True)
class ShelfKeys:
    """The keys of one owner's schedules."""

    schedules: str
    due: str
    running: str
    past: str

    @classmethod
    def of(cls, keys: Keys, owner: str) -> "ShelfKeys":
        """The keys of the managers together (''), or of one node."""
        running, past = keys.schedules_running(owner), keys.schedules_past(owner)
        return cls(keys.schedules(owner), keys.schedules_due(owner), running, past)


def add(at: ShelfKeys, schedule: Schedule, due_ms: int, most: int) -> ScriptCall[AddVerdict]:
    """Add a schedule that is due at `due_ms`, if there are fewer than `most`."""
    args = (schedule.id, schedule.dump(), due_ms, most)
    return ScriptCall("sched_add", (at.schedules, at.due), args, _add_verdict)


def move(at: ShelfKeys, schedule_id: str | bytes, seen_ms: int | None, due_ms: int | None) -> ScriptCall[MoveVerdict]:
    """Make a schedule due at another time (None: never), if it is still due at `seen_ms` (None: at any time)."""
    return _move(at, schedule_id, "" if seen_ms is None else seen_ms, "" if due_ms is None else due_ms)


def restore(at: ShelfKeys, schedule_id: str, due_ms: int) -> ScriptCall[MoveVerdict]:
    """Give a due time to a schedule that was seen without one."""
    return _move(at, schedule_id, "-", due_ms)


def _move(at: ShelfKeys, *args: Argument) -> ScriptCall[MoveVerdict]:
    return ScriptCall("sched_move", (at.schedules, at.due), args, _move_verdict)


def take(
    at: ShelfKeys, schedule: Schedule, due_ms: int, following_ms: int | None, run: Firing | None, instead: Firing
) -> ScriptCall[TakeVerdict]:
    """Take the run of a schedule that is due at `due_ms`, and next at `following_ms` (None: never).

    `instead` is recorded if `run` is None, or if the previous run has not ended.
    """
    return ScriptCall(
        "sched_take",
        (at.schedules, at.due, at.running, at.past),
        (
            *(schedule.id, due_ms, "" if following_ms is None else following_ms),
            *("" if run is None else run.dump(), instead.dump(), PAST_KEPT, _PAST_TTL_MS),
        ),
        _take_verdict,
    )


def keep(at: ShelfKeys, taken: Firing, longer: Firing) -> ScriptCall[KeepVerdict]:
    """Extend a run."""
    return ScriptCall("sched_keep", (at.running,), (taken.id, taken.dump(), longer.dump()), _keep_verdict)


def over(at: ShelfKeys, taken: Firing, ended: Firing) -> ScriptCall[KeepVerdict]:
    """Record the end of a run."""
    args = (taken.id, taken.dump(), ended.dump(), PAST_KEPT, _PAST_TTL_MS)
    return ScriptCall("sched_over", (at.running, at.past), args, _keep_verdict)


_add_verdict = verdicts(AddVerdict)
_take_verdict = verdicts(TakeVerdict)
_move_verdict = verdicts(MoveVerdict)
_keep_verdict = verdicts(KeepVerdict)
