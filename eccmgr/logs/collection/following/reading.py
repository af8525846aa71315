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
        self.tail = digest(b"")
        """The fingerprint of the bytes before that size; "" if unknown."""
        self.changed_ns = 0
        """When its bytes had last changed at the last look; 0 before the first one."""
        self.deleted_s: float | None = None
        """Since when it is known to have no name any more, on the monotonic clock."""
        if place is not None:
            self.note_size(place.offset, place.mark)

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

    def _mark_is_in(self, source: LogFile) -> bool:
        return source.read(len(self._mark), self.offset - len(self._mark)) == self._mark

    def look(self) -> os.stat_result:
        """Note its present size and first bytes; answers its status. Raises Begun, Replaced and OSError."""
        status = self.source.status()
        if self.source.is_whole:
            if self.source.has_size and status.st_size > self.largest:
                self.note_size(status.st_size, tail_of(self.source, status.st_size))
            return status
        if self.changed_ns and not self.head and (status.st_size or status.st_mtime_ns != self.changed_ns):
            raise Begun
        if status.st_size < self.offset:
            raise Replaced
        head = self.source.read(HEAD_MAX, 0)
        if not head.startswith(self.head) or not self._mark_is_in(self.source):
            raise Replaced
        # Files may begin with the same bytes, so a file that nothing was read of is known by more of them.
        if self.offset == 0 and self.tail and not ends_in(self.source, self.largest, self.tail):
            raise Replaced
        self.head, self.changed_ns = head, status.st_mtime_ns
        if status.st_size > self.largest:
            self.note_size(status.st_size, tail_of(self.source, status.st_size))
        return status

    def again(self, place: LogPlace | None = None) -> "FileReading":
        """The same file, opened once more, from `place` on or from the beginning. Raises OSError."""
        reading = FileReading(self.source.copy(), self.turn if place is None else place.turn, place)
        if place is None:
            # So it is noticed if the file was cut since the last look.
            reading.head = self.head
        reading.largest, reading.tail = self.largest, self.tail
        reading.changed_ns, reading.deleted_s = self.changed_ns, self.deleted_s
        return reading

    def note_size(self, size: int, tail: str) -> None:
        """Note a size that the file has had, and the fingerprint of the bytes before that size."""
        if size > self.largest:
            self.largest, self.tail = size, tail

    def begin(self) -> None:
        """Note the present first bytes and size of a file that was empty. Raises OSError."""
        status = self.source.status()
        self.head, self.changed_ns = self.source.read(HEAD_MAX, 0), status.st_mtime_ns
        self.note_size(status.st_size, tail_of(self.source, status.st_size))

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
        self.note_size(self.offset, digest(self._mark))

    def close(self) -> None:
        """Close the file."""
        self.source.close()


def holds(source: LogFile, place: LogPlace) -> bool:
    """Whether `source` is the file of `place`, or a copy of it that holds what was read up to there."""
    return place.file.begins(source.read(place.file.head, 0)) and ends_in(source, place.offset, place.mark)


def tail_of(source: LogFile, size: int) -> str:
    """The fingerprint of the bytes before `size`. Raises OSError."""
    length = min(MARK_MAX, size)
    return digest(source.read(length, size - length))


def ends_in(source: LogFile, size: int, tail: str) -> bool:
    """Whether `source` has at least `size` bytes, and those before that have the fingerprint `tail`. Raises OSError."""
    length = min(MARK_MAX, size)
    data = source.read(length, size - length)
    return len(data) == length and digest(data) == tail
