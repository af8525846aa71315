"""Writes what was taken from the pipes to the files of this manager, and notes how far. All calls here block."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eccmgr.logs.collection.gathering.checkpoint import Note, Notes
from eccmgr.logs.collection.gathering.stand import Stand, Taking
from eccmgr.logs.collection.gathering.targets import LogTarget, Modes, Targets


@dataclass
class Writing:
    """Bytes for one stand, and what became of them."""

    stand: Stand
    taking: Taking
    target: LogTarget | None = None
    before: int = 0
    fault: str = ""


class Writer:
    """Writes for all stands of this manager, in one thread at a time."""

    def __init__(self, targets: Targets, notes: Notes, modes: Modes) -> None:
        self.targets, self.notes, self.modes = targets, notes, modes

    def write(self, writings: Sequence[Writing]) -> None:
        """Write all, force each file to the disk once, and note it. A target that cannot be written stops no other."""
        for writing in writings:
            self._try(writing, self._put)
        paths = {writing.target.path for writing in writings if writing.target is not None and writing.taking.data}
        faults = {}
        for path in paths:
            try:
                self.targets.force(path)
            except OSError as error:
                faults[path] = reason(error)
        for writing in writings:
            if writing.target is not None and writing.target.path in faults:
                writing.fault = writing.fault or faults[writing.target.path]
            if not writing.fault:
                self._try(writing, self._note)
        self.targets.close_idle()

    def restore(self, target: LogTarget) -> LogTarget:
        """Cut a target back to what is valid. Raises OSError."""
        return self.targets.restore(target, self.modes)

    def _try(self, writing: Writing, act: Callable[[Writing], None]) -> None:
        try:
            act(writing)
        except OSError as error:
            writing.fault = reason(error)

    def _put(self, writing: Writing) -> None:
        stand, taking = writing.stand, writing.taking
        target = stand.target
        if not taking.data:
            writing.target, writing.before = target, 0 if target is None else target.length
            return
        if target is None or target.path != taking.path:
            target = self.targets.begin(taking.path, self.modes)
            # From now on this is the only file that may hold bytes that do not count.
            place = stand.place.dump() if stand.place is not None else ""
            self._keep(stand, Note.of(place, stand.number, stand.lease.epoch, target, target.length, stand.lost))
            stand.target = target
        found, new = self.targets.write(target, b"".join(taking.data), self.modes)
        writing.target, writing.before = new, found.length

    def _note(self, writing: Writing) -> None:
        stand, taking = writing.stand, writing.taking
        if writing.target is None or taking.end is None:
            return
        number = stand.number + 1
        place, lost = taking.end.dump(), stand.lost + taking.lost
        self._keep(stand, Note.of(place, number, stand.lease.epoch, writing.target, writing.before, lost))

    def _keep(self, stand: Stand, note: Note) -> None:
        unit = stand.unit
        self.notes.write(unit.subscriber, unit.node, unit.log, note)


def reason(error: OSError) -> str:
    """The fault in a few words."""
    return error.strerror or str(error)
