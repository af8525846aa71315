"""The calls of the scripts about schedules: one typed function for each."""

import enum
from dataclasses import dataclass

from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import ScriptCall, verdicts
from eccmgr.schedules.schedule import Firing, Schedule

PAST_KEPT = 1000
_PAST_TTL_MS = 30 * 24 * 3600 * 1000


class AddVerdict(enum.StrEnum):
    """What became of a schedule that was to be kept."""

    ADDED = "added"
    TAKEN = "taken"
    """Its id is."""
    FULL = "full"
    """There are too many already."""


class TakeVerdict(enum.StrEnum):
    """What became of a schedule that is due."""

    TAKEN = "taken"
    """The caller runs it."""
    KEPT = "kept"
    """It is not run, and that is kept."""
    GONE = "gone"
    """Another has taken it, or it was deleted."""


class MoveVerdict(enum.StrEnum):
    """Whether a schedule was moved."""

    MOVED = "moved"
    GONE = "gone"
    """It was deleted, or is due at another time by now."""


class KeepVerdict(enum.StrEnum):
    """Whether Redis keeps what was said of a run."""

    KEPT = "kept"
    GONE = "gone"
    """Another has said how it ended."""


@dataclass(frozen=True)
class ShelfKeys:
    """Where the schedules of one owner stand."""

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
    """Keep a schedule that is due at `due_ms`, where there are fewer than `most`."""
    args = (schedule.id, schedule.dump(), due_ms, most)
    return ScriptCall("sched_add", (at.schedules, at.due), args, _add_verdict)


def move(at: ShelfKeys, schedule_id: str | bytes, seen_ms: int | None, due_ms: int | None) -> ScriptCall[MoveVerdict]:
    """Let a schedule that was seen to be due at `seen_ms` (None: whenever) be due at another time (None: never)."""
    args = (schedule_id, "" if seen_ms is None else seen_ms, "" if due_ms is None else due_ms)
    return ScriptCall("sched_move", (at.schedules, at.due), args, _move_verdict)


def take(
    at: ShelfKeys, schedule: Schedule, due_ms: int, following_ms: int | None, run: Firing | None, instead: Firing
) -> ScriptCall[TakeVerdict]:
    """Take the run of a schedule that is due at `due_ms`, and next at `following_ms` (None: never).

    `instead` is kept where `run` is None, or the run before has not ended.
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
    """Let a run last longer."""
    return ScriptCall("sched_keep", (at.running,), (taken.id, taken.dump(), longer.dump()), _keep_verdict)


def over(at: ShelfKeys, taken: Firing, ended: Firing) -> ScriptCall[KeepVerdict]:
    """Keep how a run ended."""
    args = (taken.id, taken.dump(), ended.dump(), PAST_KEPT, _PAST_TTL_MS)
    return ScriptCall("sched_over", (at.running, at.past), args, _keep_verdict)


_add_verdict = verdicts(AddVerdict)
_take_verdict = verdicts(TakeVerdict)
_move_verdict = verdicts(MoveVerdict)
_keep_verdict = verdicts(KeepVerdict)
