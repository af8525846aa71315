"""Writes what was taken from the pipes to the files of this manager, and notes how far. All calls here block."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eccmgr.logs.collection.gathering.checkpoint import Fenced, Note, Notes, Start
from eccmgr.logs.collection.gathering.stand import Stand, Taking, Unit
from eccmgr.logs.collection.gathering.targets import LogTarget, Modes, Targets


@dataclass(eq=False)
class Writing:
    """Bytes for one stand, and what became of them."""

    stand: Stand
    taking: Taking
    target: LogTarget | None = None
    before: int = 0
    fault: str = ""
    is_fenced: bool = False
    """Whether the log has another lease by now, so that nothing was written."""


class WriteBatch:
    """What is written in one go, and how far that is. If it hangs, a part of it is set aside with its thread."""

    def __init__(self, writings: Sequence[Writing]) -> None:
        self.writings = writings
        self._lock = threading.Lock()
        self._steps = 0
        self._at: tuple[Writing, ...] = ()
        self._aside: Sequence[Writing] | None = None

    def steps(self) -> int:
        """The number of steps so far."""
        return self._steps

    def enters(self, *writings: Writing) -> bool:
        """Whether the next step, which is for these writings, is still to be made by this thread."""
        with self._lock:
            if self._aside is not None and not any(writing in self._aside for writing in writings):
                return False
            self._steps, self._at = self._steps + 1, writings
            return True

    def set_aside(self) -> Sequence[Writing]:
        """Leave to this thread only what hangs, and what is on the same device; answers that."""
        with self._lock:
            devices = {writing.stand.target.device for writing in self._at if writing.stand.target is not None}
            self._aside = [
                writing
                for writing in self.writings
                if writing in self._at or (writing.stand.target is not None and writing.stand.target.device in devices)
            ]
            return self._aside


class Writer:
    """Writes for all stands of this manager, in one thread at a time."""

    def __init__(self, targets: Targets, notes: Notes, modes: Modes) -> None:
        self.targets, self.notes, self.modes = targets, notes, modes
        self._is_given_up = False

    def another(self) -> "Writer":
        """A writer like this one for another thread, since this one hangs."""
        self._is_given_up = True
        return Writer(Targets(self.targets.max_open, self.targets.max_idle_s), self.notes, self.modes)

    def write(self, batch: WriteBatch) -> None:
        """Write all, force each file to the disk once, and note it. A target that cannot be written stops no other."""
        for act in (self._put, self._force, self._note):
            for writing in batch.writings:
                if not writing.fault and not writing.is_fenced and batch.enters(writing):
                    self._try(writing, act)
        self._clear()

    def begin(self, unit: Unit, begin: Start, target: LogTarget, epoch: int) -> LogTarget:
        """Fence the manager that had the lease before, and cut the target back to what is valid. Raises OSError."""
        try:
            self.notes.write(unit.subscriber, unit.node, unit.log, begin.note(target, epoch), takes=True)
            return self.targets.restore(target, self.modes)
        finally:
            self._clear()

    def probe(self, target: LogTarget | None, path: str) -> None:
        """Find out whether a target, or the first one at `path`, can be written. Raises OSError."""
        try:
            self.targets.probe(target or self.targets.begin(path, self.modes), self.modes)
        finally:
            self._clear()

    def _clear(self) -> None:
        if self._is_given_up:
            self.targets.close()
        else:
            self.targets.close_idle()

    def _try(self, writing: Writing, act: Callable[[Writing], None]) -> None:
        try:
            act(writing)
        except Fenced:
            writing.is_fenced = True
        except OSError as error:
            writing.fault = reason(error)

    def _force(self, writing: Writing) -> None:
        if writing.target is not None and writing.taking.data:
            self.targets.force(writing.target.path)

    def _put(self, writing: Writing) -> None:
        stand, taking, unit = writing.stand, writing.taking, writing.stand.unit
        self.notes.check(unit.subscriber, unit.node, unit.log, stand.lease.epoch)
        target = stand.target
        if not taking.data:
            writing.target, writing.before = target, 0 if target is None else target.length
            return
        if target is None or target.path != taking.path:
            target = self.targets.begin(taking.path, self.modes)
            # From now on this is the only file that may hold bytes that do not count. Whoever goes on from here needs
            # the place also if these are the first bytes: Redis may not have their records any more then.
            place = taking.begin.dump() if taking.begin is not None else ""
            how_far = place, stand.number, stand.lease.epoch, target, target.length, stand.lost, stand.wall_ms
            self._keep(stand, Note.of(*how_far))
            stand.target = target
        found, new = self.targets.write(target, b"".join(taking.data), self.modes)
        writing.target, writing.before = new, found.length

    def _note(self, writing: Writing) -> None:
        stand, taking = writing.stand, writing.taking
        if writing.target is None or taking.end is None:
            return
        number = stand.number + 1
        place, lost, wall_ms = taking.end.dump(), stand.lost + taking.lost, max(stand.wall_ms, taking.wall_ms)
        self._keep(stand, Note.of(place, number, stand.lease.epoch, writing.target, writing.before, lost, wall_ms))

    def _keep(self, stand: Stand, note: Note) -> None:
        unit = stand.unit
        self.notes.write(unit.subscriber, unit.node, unit.log, note)


def reason(error: OSError) -> str:
    """The fault in a few words."""
    return error.strerror or str(error)
