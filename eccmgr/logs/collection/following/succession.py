"""Which files of a log come after which, the turn of each, and the file of a place."""

import contextlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from eccmgr.logs.collection.following.reading import FileReading, ends_in, holds, tail_of
from eccmgr.logs.collection.following.sources import LogFile, LogFolder, Seen
from eccmgr.logs.collection.places import HEAD_MAX, FileIdentity, LogPlace

_TURNS_MAX = 64
_FEW = 8 * HEAD_MAX
"""Files may have so many first bytes in common: a header."""


class KnownFile(NamedTuple):
    """A file of a log, as it was last seen. `tail` is the fingerprint of the bytes before `size`; "" if unknown."""

    turn: int
    file: FileIdentity
    size: int
    changed_ns: int
    tail: str = ""

    @classmethod
    def of(cls, reading: FileReading) -> "KnownFile":
        """A file as it is read."""
        changed_ns = reading.changed_ns or reading.source.status().st_mtime_ns
        return cls(reading.turn, reading.identity, reading.largest, changed_ns, reading.tail)

    @property
    def key(self) -> tuple[int, int]:
        """Its device and inode."""
        return self.file.device, self.file.inode

    def is_in(self, source: LogFile, *, is_copy: bool = False) -> bool:
        """Whether `source` is this file, or holds all of it: copied or compressed, it has another inode."""
        if not self.file.head or not (is_copy or source.is_whole or source.key == self.key):
            return False
        if not self.file.begins(source.read(self.file.head, 0)):
            return False
        return ends_in(source, self.size, self.tail) if self.tail else bool(source.read(1, max(0, self.size - 1)))

    def may_have(self, place: LogPlace) -> bool:
        """Whether a place may be in this file, or in the file of which this one is a copy, by their fingerprints."""
        if (self.file.head, self.file.fingerprint) != (place.file.head, place.file.fingerprint):
            return False
        return self.size > place.offset or (self.size == place.offset and self.tail in ("", place.mark))

    def is_all_of(self, source: LogFile) -> bool:
        """Whether `source` is a copy of this file, and not another file that has the same header."""
        return self.is_in(source, is_copy=True) and (self.size > _FEW or not source.read(1, self.size))


class Turns:
    """The latest files of a log, in the order in which they are read.

    A file that is read a second time has the same turn again. A file that is gone is remembered with its size.
    """

    def __init__(self, known: Iterable[KnownFile] = ()) -> None:
        self._known = {file.turn: file for file in known}

    def note(self, reading: FileReading) -> None:
        """Remember a file as it is now."""
        self._known[reading.turn] = KnownFile.of(reading)
        while len(self._known) > _TURNS_MAX:
            del self._known[min(self._known)]

    def forget(self, turn: int) -> None:
        """Remember no file under this turn, since the file has another one."""
        self._known.pop(turn, None)

    def of_place(self, place: LogPlace) -> KnownFile | None:
        """The file of a place, which is gone; None if it is not remembered.

        A node that knew nothing of the log has told of the file under a later turn, under which it would count as
        skipped.
        """
        for turn, known in sorted(self._known.items()):
            if place.turn not in self._known and turn > place.turn and known.may_have(place):
                self._known[place.turn] = self._known.pop(turn)._replace(turn=place.turn)
        return self._known.get(place.turn)

    def forget_others(self, source: LogFile, turn: int) -> None:
        """Remember a file that is found under this turn under no later one."""
        for known in list(self._known.values()):
            if known.turn > turn and known.key == source.key and known.is_in(source):
                del self._known[known.turn]

    def forget_in(self, source: LogFile, begin: int, end: int) -> None:
        """Remember no file between two turns that is this one, or a copy of it."""
        between = [known for turn, known in self._known.items() if begin < turn < end]
        for known in between:
            if known.is_in(source, is_copy=True):
                del self._known[known.turn]

    def known(self, turn: int) -> KnownFile | None:
        """The file of a turn; None if it is not remembered."""
        return self._known.get(turn)

    def until(self, turn: int) -> list[KnownFile]:
        """The file of a turn, and those before it."""
        return [known for known in self._known.values() if known.turn <= turn]

    def of(self, source: LogFile, wall_ms: int, after: int = 0, *, is_copy: bool = False) -> int:
        """The turn of a file: the one that it had before, if that is higher than `after`, else a new one.

        With `is_copy` it may hold what another file held before.
        """
        same = [known.turn for known in self._known.values() if known.turn != after and known.is_in(source)]
        found = max(same, default=0)
        for turn in same:
            # The file comes later than it seemed. Its earlier turn would count as skipped.
            if turn < max(after, found):
                del self._known[turn]
        if found > after:
            return found
        copied = [turn for turn, known in self._known.items() if turn > after and known.is_in(source, is_copy=is_copy)]
        return max(copied, default=0) or max(max(self._known, default=0) + 1, after + 1, wall_ms)

    def skipped(self, begin: int, end: int) -> int:
        """The bytes of the files between two turns, which nobody has read if one was followed by the other."""
        return sum(known.size for turn, known in self._known.items() if begin < turn < end)

    def dump(self) -> list[KnownFile]:
        """The files, the first one first."""
        return sorted(self._known.values())


def is_at(place: LogPlace, source: LogFile, turns: Turns) -> bool:
    """Whether `source` is the file of a place, or a copy of it."""
    if not holds(source, place):
        return False
    known = turns.known(place.turn)
    if source.key == (place.file.device, place.file.inode) and (place.offset or known is None or not known.file.head):
        return True
    # Other files may begin with the same bytes, and have the inode of a file that is gone.
    return known.is_in(source, is_copy=True) if known is not None else place.file.head > 0


def find(place: LogPlace, folder: LogFolder, turns: Turns, besides: tuple[int, int] | None = None) -> LogFile | None:
    """Open the file of a place, or a copy of it, wherever it was moved; None if it is gone."""
    key, known = (place.file.device, place.file.inode), turns.known(place.turn)
    candidates = [(seen.name, seen) for seen in folder.siblings()]
    main = folder.main()
    candidates += [("", main)] if main is not None else []
    for name, seen in sorted(candidates, key=lambda candidate: candidate[1].key != key):
        if seen.key == besides or (seen.key != key and known is not None and seen.changed_ns < known.changed_ns):
            continue
        with contextlib.suppress(OSError):
            source = folder.open(name)
            if is_at(place, source, turns):
                return source
            source.close()
    return None


def successors(
    folder: LogFolder,
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
    siblings = folder.siblings()
    read = _Read(folder, siblings, are_open, turns.until(turn), turn)
    for seen in siblings:
        if seen.changed_ns < since_ns or seen.key in keys or (until_ns is not None and seen.changed_ns > until_ns):
            continue
        try:
            source = folder.open(seen.name)
        except OSError:
            continue
        if read.has(source):
            source.close()
        else:
            files.append(source)
    return files


class _Read:
    """The files that are open, and those up to a turn: a copy of one of them is not read again."""

    def __init__(
        self,
        folder: LogFolder,
        siblings: Sequence[Seen],
        are_open: Sequence[FileReading],
        passed: Sequence[KnownFile],
        turn: int,
    ) -> None:
        self._folder, self._open, self._turn = folder, are_open, turn
        # A compressed file is read quickly if the offsets rise.
        self._passed = sorted(passed, key=lambda known: known.size)
        self._names = {seen.key: seen.name for seen in siblings}

    def has(self, source: LogFile) -> bool:
        """Whether `source` holds nothing new. So does one that cannot be read."""
        try:
            if not source.read(1, 0):
                return True
            return any(self._is_of_open(reading, source) for reading in self._open) or any(
                self._is_of_passed(known, source) for known in self._passed
            )
        except OSError:
            return True

    def _is_of_open(self, reading: FileReading, source: LogFile) -> bool:
        known = KnownFile.of(reading)
        # It may have been copied as it is now, or before it was cut.
        if _is_beginning_of(source, reading.source, known):
            return True
        return known.is_in(source, is_copy=True) and not known.is_in(reading.source)

    def _is_of_passed(self, known: KnownFile, source: LogFile) -> bool:
        if not known.file.begins(source.read(known.file.head, 0)):
            return False
        name = self._names.get(known.key)
        if name is not None:
            try:
                file = self._folder.open(name)
            except OSError:
                return known.is_all_of(source)
            try:
                if known.is_in(file):
                    return _is_beginning_of(source, file, known)
            finally:
                file.close()
        # It is gone, or was cut. It may have grown before that, unless the log went on in another file.
        return known.is_in(source, is_copy=True) if known.turn == self._turn else known.is_all_of(source)


def _is_beginning_of(source: LogFile, file: LogFile, known: KnownFile) -> bool:
    """Whether `source` holds only the beginning of `file`, which is there as it was: it is a backup, or half a copy."""
    if not file.has_size:
        return known.is_all_of(source)
    size = source.size() if source.has_size else file.size()
    if not size or source.read(1, file.size()) or file.size() < size:
        return False
    head = source.read(HEAD_MAX, 0)
    return file.read(len(head), 0) == head and ends_in(source, size, tail_of(file, size))
