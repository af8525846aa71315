"""One file of a log that is being read, and the place up to which it was read."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from eccmgr.logs.collection.following.sources import LogFile
from eccmgr.logs.collection.pieces import Edge, cut
from eccmgr.logs.collection.places import HEAD_MAX, MARK_MAX, FileIdentity, LogPlace, digest

BLOCK = 1 << 20
"""Files are read in blocks of so many bytes."""


class Replaced(Exception):
    """Raised when a file no longer holds what was read of it: it was cut, and perhaps written anew."""


class Begun(Replaced):
    """Raised when a file was written to that was empty at the last look. More may have been in it than is there now."""


class Bit(NamedTuple):
    """A piece of the file, and the place after it."""

    data: bytes
    edges: Edge
    end: LogPlace


class FileReading:
    """An open file of the log, with the place up to which it was read."""

    def __init__(self, source: LogFile, turn: int, place: LogPlace | None = None) -> None:
        """From `place` on, which must be in this file, or from the beginning. Raises OSError."""
        self.source, self.turn = source, turn
        self.offset, self.inside = (place.offset, place.inside) if place is not None else (0, False)
        was_empty = place is not None and not place.file.head
        self.head = b"" if was_empty else source.read(HEAD_MAX, 0)
        self._mark = source.read(min(MARK_MAX, self.offset), max(0, self.offset - MARK_MAX))
        self.largest = 0
        """Its largest size so far."""
        self.changed_ns = 0
        """When its bytes had last changed at the last look; 0 before the first one."""
        self.deleted_s: float | None = None
        """Since when it is known to have no name any more, on the monotonic clock."""
        self._is_open = True

    @property
    def identity(self) -> FileIdentity:
        """The file, as far as its first bytes are known."""
        return FileIdentity(*self.source.key, len(self.head), digest(self.head))

    @property
    def place(self) -> LogPlace:
        """The place up to which it was read."""
        return LogPlace(self.turn, self.identity, self.offset, digest(self._mark), self.inside)

    @property
    def left(self) -> int:
        """The bytes that are known to be there and were not read."""
        return max(0, self.largest - self.offset)

    def has(self, place: LogPlace) -> bool:
        """Whether this is the file of `place`, or a copy of it, and holds what was read up to there."""
        is_same = self.source.key == (place.file.device, place.file.inode)
        return (is_same or place.file.head > 0) and holds(self.source, place)

    def is_copied_in(self, source: LogFile) -> bool:
        """Whether `source` begins with everything that was read of this file, and so is a copy of it."""
        # A copy of a file that was empty at the last look is known by its present first bytes.
        head = self.head or (self.source.read(HEAD_MAX, 0) if self._is_open else b"")
        return bool(head) and source.read(len(head), 0) == head and self._mark_is_in(source)

    def _mark_is_in(self, source: LogFile) -> bool:
        return source.read(len(self._mark), self.offset - len(self._mark)) == self._mark

    def look(self) -> os.stat_result:
        """Note its present size and first bytes; answers its status. Raises Begun, Replaced and OSError."""
        status = self.source.status()
        if self.source.is_whole:
            return status
        if self.changed_ns and not self.head and (status.st_size or status.st_mtime_ns != self.changed_ns):
            raise Begun
        if status.st_size < self.offset:
            raise Replaced
        head = self.source.read(HEAD_MAX, 0)
        if not head.startswith(self.head) or not self._mark_is_in(self.source):
            raise Replaced
        self.head, self.largest, self.changed_ns = head, max(self.largest, status.st_size), status.st_mtime_ns
        return status

    def again(self, place: LogPlace | None = None) -> "FileReading":
        """The same file, opened once more, from `place` on or from the beginning. Raises OSError."""
        reading = FileReading(self.source.copy(), self.turn if place is None else place.turn, place)
        if place is None:
            # So it is noticed if the file was cut since the last look.
            reading.head = self.head
        reading.largest, reading.changed_ns, reading.deleted_s = self.largest, self.changed_ns, self.deleted_s
        return reading

    def begin(self) -> None:
        """Note the present first bytes of a file that was empty. Raises OSError."""
        self.changed_ns = self.source.status().st_mtime_ns
        self.head = self.source.read(HEAD_MAX, 0)

    def bits(self, *, is_last: bool = False) -> Iterator[Bit]:
        """Read on, up to one block, and yield its pieces; see `cut`. Raises Replaced and OSError."""
        self.look()
        if not self.head:
            return
        back = len(self._mark)
        block = self.source.read(back + BLOCK, self.offset - back)
        if block[:back] != self._mark or (self.offset == 0 and not block.startswith(self.head[:BLOCK])):
            raise Replaced
        at = back
        for piece in cut(block[back:], inside=self.inside, is_last=is_last):
            end = at + piece.size
            self.offset += piece.size
            self.inside = bool(piece.edges & Edge.IS_CUT)
            self._mark = block[max(0, end - MARK_MAX) : end]
            yield Bit(block[at:end], piece.edges, self.place)
            at = end
        self.largest = max(self.largest, self.offset)

    def close(self) -> None:
        """Close the file."""
        self._is_open = False
        self.source.close()


def holds(source: LogFile, place: LogPlace) -> bool:
    """Whether `source` is the file of `place`, or a copy of it that holds what was read up to there."""
    if source.size() < place.offset or not place.file.begins(source.read(place.file.head, 0)):
        return False
    size = min(MARK_MAX, place.offset)
    return digest(source.read(size, place.offset - size)) == place.mark
