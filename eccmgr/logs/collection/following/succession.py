"""Which files of a log come after which, and the turn of each."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from eccmgr.logs.collection.following.reading import FileReading
from eccmgr.logs.collection.following.sources import LogFile, LogFolder
from eccmgr.logs.collection.places import FileIdentity

_TURNS_MAX = 64


class KnownFile(NamedTuple):
    """A file of a log, as it was last seen."""

    turn: int
    file: FileIdentity
    size: int
    changed_ns: int

    def is_in(self, source: LogFile, *, is_copy: bool = False) -> bool:
        """Whether `source` is this file, or holds all of it: copied or compressed, it has another inode."""
        file = self.file
        if not file.head or not file.begins(source.read(file.head, 0)):
            return False
        if (file.device, file.inode) == source.key:
            return True
        return (is_copy or source.is_whole) and bool(source.read(1, max(0, self.size - 1)))


class Turns:
    """The latest files of a log, in the order in which they are read.

    A file that is read a second time has the same turn again. A file that is gone is remembered with its size.
    """

    def __init__(self, known: Iterable[KnownFile] = ()) -> None:
        self._known = {file.turn: file for file in known}

    def note(self, reading: FileReading) -> None:
        """Remember a file as it is now."""
        changed_ns = reading.changed_ns or reading.source.status().st_mtime_ns
        self._known[reading.turn] = KnownFile(reading.turn, reading.identity, reading.largest, changed_ns)
        while len(self._known) > _TURNS_MAX:
            del self._known[min(self._known)]

    def forget(self, turn: int) -> None:
        """Remember no file under this turn, since the file has another one."""
        self._known.pop(turn, None)

    def forget_in(self, source: LogFile, begin: int, end: int) -> None:
        """Remember no file between two turns that is this one, or a copy of it."""
        between = [known for turn, known in self._known.items() if begin < turn < end]
        for known in between:
            if known.is_in(source, is_copy=True):
                del self._known[known.turn]

    def known(self, turn: int) -> KnownFile | None:
        """The file of a turn; None if it is not remembered."""
        return self._known.get(turn)

    def of(self, source: LogFile, wall_ms: int, after: int = 0, *, is_copy: bool = False) -> int:
        """The turn of a file: the one that it had before, if that is higher than `after`, else a new one.

        With `is_copy` it may hold what another file held before.
        """
        found = 0
        for turn, known in sorted(self._known.items(), reverse=True):
            if turn > after and not found and known.is_in(source, is_copy=is_copy):
                found = turn
            elif turn != after and known.is_in(source):
                # The file comes later than it seemed. Its earlier turn would count as skipped.
                del self._known[turn]
        return found or max(max(self._known, default=0) + 1, after + 1, wall_ms)

    def has_passed(self, source: LogFile, turn: int) -> bool:
        """Whether a file holds what was read before the file of `turn`, or in it."""
        return any(known.turn <= turn and known.is_in(source, is_copy=True) for known in self._known.values())

    def skipped(self, begin: int, end: int) -> int:
        """The bytes of the files between two turns, which nobody has read if one was followed by the other."""
        # A file that was found a second time has two turns. It counts as read if it was read in one of them.
        read = {known.file.fingerprint for turn, known in self._known.items() if turn <= begin or turn >= end}
        between = {
            known.file.fingerprint: known.size
            for turn, known in self._known.items()
            if begin < turn < end and known.file.fingerprint not in read
        }
        return sum(between.values())

    def dump(self) -> list[KnownFile]:
        """The files, the first one first."""
        return sorted(self._known.values())


def successors(
    folder: LogFolder,
    passed: Sequence[FileReading],
    are_open: Sequence[FileReading],
    turns: Turns,
    turn: int,
    since_ns: int,
    until_ns: int | None = None,
) -> list[LogFile]:
    """Open the siblings that come after `turn`: those that were written to since `since_ns`, and until
    `until_ns` if it is given, and are neither open nor hold what was read. The oldest is first. The caller closes them.
    """
    files = []
    keys = {reading.source.key for reading in are_open}
    known = [*passed, *are_open]
    for seen in folder.siblings():
        if seen.changed_ns < since_ns or seen.key in keys or (until_ns is not None and seen.changed_ns > until_ns):
            continue
        try:
            source = folder.open(seen.name)
        except OSError:
            continue
        if _is_known(source, known, turns, turn):
            source.close()
        else:
            files.append(source)
    return files


def _is_known(source: LogFile, known: Sequence[FileReading], turns: Turns, turn: int) -> bool:
    try:
        if not source.read(1, 0) or turns.has_passed(source, turn):
            return True
        return any(reading.is_copied_in(source) for reading in known)
    except OSError:
        return True
