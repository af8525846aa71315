"""Follows one log through all its files: reads the old file to its end before the one that took its place.

A file is over once the file after it has data and its own bytes have not changed for a while. A log that is cut and
written anew (copy and truncate) is looked for in its copy. What was removed before it was read is counted.
"""

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable

from eccmgr.logs.collection.following.reading import Begun, FileReading, Replaced, tail_of
from eccmgr.logs.collection.following.sources import LogFile, LogFolder
from eccmgr.logs.collection.following.succession import KnownFile, Turns, find, is_at, successors
from eccmgr.logs.collection.places import LogPlace
from eccmgr.logs.collection.records import Record

QUIET_S = 1.0
"""A file is over once it has a successor and was not written to for so long."""
DELETED_KEPT_S = 300.0
"""A deleted file that is still unread is kept open for so long, since it takes room on the disk."""
_PENDING_MAX = 64
_PASSED_MAX = 64


class LogFollower:
    """Reads one log from a place on. All its methods block, and none may run while another one does."""

    def __init__(
        self,
        folder: LogFolder,
        place: LogPlace | None = None,
        turns: Turns | None = None,
        *,
        since_ms: int = 0,
        quiet_s: float = QUIET_S,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without a place, the log is read from the beginning of the file at its path.

        What was read up to the place had changed last at `since_ms` (0 if unknown).
        """
        self._folder, self._place, self._since_ms = folder, place, since_ms
        self.turns = turns or Turns()
        self._quiet_s, self._wall, self._monotonic = quiet_s, wall, monotonic
        self._reading: FileReading | None = None
        self._pending: list[FileReading] = []
        """The open files after the one that is being read."""
        self._passed: deque[int] = deque(maxlen=_PASSED_MAX)
        """The turns of the files before it, which are closed."""

    @property
    def place(self) -> LogPlace | None:
        """The place up to which the log was read; None before its first byte."""
        return self._reading.place if self._reading is not None else self._place

    @property
    def behind(self) -> int:
        """The bytes that are known to be in the files and were not read."""
        return sum(reading.left for reading in self._open)

    @property
    def size(self) -> int:
        """The known size of the file that is being read."""
        return self._reading.largest if self._reading is not None else 0

    def read(self, most: int) -> list[Record]:
        """Read on, about `most` bytes. Raises OSError if the log cannot be read."""
        records: list[Record] = []
        taken = 0
        try:
            self._give_up_deleted()
            while taken < most:
                size = self._advance(records)
                if size is None:
                    break
                taken += size
        except OSError:
            if not records:
                raise
        self._note_all()
        return records

    def look(self) -> list[Record]:
        """Note the files and their sizes, without reading on: what is removed before it is read can be counted then.

        Answers the steps over what is gone. Raises OSError.
        """
        records: list[Record] = []
        self._give_up_deleted()
        if self._reading is None:
            self._begin(records)
        reading, before = self._reading, None
        while reading is not None and reading is not before:
            before = reading
            try:
                reading.look()
                self._look_at_newer(reading)
            except Begun:
                self._begun(reading, records)
            except Replaced:
                self._replaced(reading, records)
            reading = self._reading
        self._note_all()
        return records

    def close(self) -> None:
        """Close every file."""
        place = self.place
        for reading in self._open:
            with contextlib.suppress(Replaced, OSError):
                reading.look()
            self.turns.note(reading)
            reading.close()
        self._place, self._reading, self._pending = place, None, []

    def go_to(self, place: LogPlace, said: Iterable[KnownFile] = (), since_ms: int = 0) -> None:
        """Read on from another place, with what was `said` of the files too, and of the last change before the place.

        Files that are open stay open, since one that was deleted cannot be opened again.
        """
        # If files after the place were passed, or are unknown here, all after it have to be found anew.
        is_known = place.turn in (*self._passed, *(reading.turn for reading in self._open))
        stay = is_known and max(self._passed, default=0) <= place.turn
        here, later = None, []
        # The file of the place, or its copy, may be open under a later turn: after a start that did not know it.
        found = self._open_at(place)
        for reading in self._open:
            if reading is found:
                here = reading.again(place)
            elif stay and reading.turn > place.turn:
                later.append(reading.again())
        self.close()
        self._passed = deque((turn for turn in self._passed if stay and turn < place.turn), maxlen=_PASSED_MAX)
        self._place, self._reading, self._pending, self._since_ms = place, here, later, since_ms
        self.turns = Turns([*said, *self.turns.dump()])
        if found is not None and found.turn != place.turn:
            self.turns.forget(found.turn)

    def _note_all(self) -> None:
        for reading in self._open:
            self.turns.note(reading)

    @property
    def _open(self) -> list[FileReading]:
        return ([self._reading] if self._reading is not None else []) + self._pending

    @property
    def _since_ns(self) -> int:
        """The earliest change of the files after the place, if no more is known of its own file; 0 if unknown."""
        # What was read had changed within that millisecond. It must not be sent again.
        return (self._since_ms + 1) * 1_000_000 if self._since_ms else 0

    # Reading one file.

    def _advance(self, records: list[Record]) -> int | None:
        """Read a block, or go on to another file; answers the bytes read, None if there is nothing more."""
        reading = self._reading
        if reading is None:
            return 0 if self._begin(records) else None
        try:
            return self._take(reading, records) or (0 if self._step(reading, records) else None)
        except Begun:
            self._begun(reading, records)
        except Replaced:
            self._replaced(reading, records)
        return 0

    def _take(self, reading: FileReading, records: list[Record], *, is_last: bool = False) -> int:
        begin, size = reading.place, 0
        wall_ms = int(max(0.0, min(reading.source.status().st_mtime, self._wall())) * 1000)
        for bit in reading.bits(is_last=is_last):
            records.append(Record(begin, bit.end, wall_ms, bit.data, bit.edges))
            begin, size = bit.end, size + len(bit.data)
        return size

    def _begin(self, records: list[Record]) -> bool:
        """Open the file of the place, or the first one; answers whether there is one."""
        place = self._place
        if place is None:
            if self._folder.main() is not None:
                self._reading = self._opened(self._folder.open(), 0)
            return self._reading is not None
        source = find(place, self._folder, self.turns)
        if source is None:
            known = self.turns.of_place(place)
            if not self._pending:
                self._open_newer(place.turn, known.changed_ns if known is not None else self._since_ns)
            return self._lost(place, known.size - place.offset if known is not None else 0, records)
        self._read_on(source, place)
        return True

    def _read_on(self, source: LogFile, place: LogPlace) -> None:
        """Read on in the file of `place`, or in a copy of it, which has the same turn."""
        source.is_whole = source.is_whole or source.key != (place.file.device, place.file.inode)
        self._reading = reading = FileReading(source, place.turn, place)
        self.turns.forget_others(source, place.turn)
        known = self.turns.known(place.turn)
        if known is not None:
            reading.note_size(known.size, known.tail)
            reading.changed_ns = 0 if source.is_whole else known.changed_ns
        # So its present size counts if it is deleted before it is read. If it was cut, the next read finds out.
        with contextlib.suppress(Replaced):
            reading.look()

    def _lost(self, place: LogPlace, lost: int, records: list[Record]) -> bool:
        """Go on with the next file, since the rest of the file of `place` is gone; answers whether there is one."""
        if not self._pending:
            return False
        self._reading, self._since_ms = self._pending.pop(0), 0
        self._append_step(place, self._reading, max(0, lost), records)
        return True

    def _append_step(self, begin: LogPlace, reading: FileReading, lost: int, records: list[Record]) -> None:
        lost += self.turns.skipped(begin.turn, reading.turn)
        # The files that come after this place are those that change later.
        left = self.turns.known(begin.turn)
        changed_ns = max(reading.source.status().st_mtime_ns, left.changed_ns if left is not None else 0)
        wall_ms = max(0, min(changed_ns // 1_000_000, int(self._wall() * 1000)))
        records.append(Record(begin, reading.place, wall_ms, lost=lost))
        self.turns.note(reading)

    # From one file to the next.

    def _step(self, reading: FileReading, records: list[Record]) -> bool:
        """Go on to the next file, if this one is over; answers whether there is more to read."""
        self._look_at_newer(reading)
        if not self._has_data() or not self._is_over(reading):
            return False
        # Its writer has gone on to the next file by now. What was written here before that is read first.
        if self._take(reading, records) or self._take(reading, records, is_last=True):
            return True
        self._reading = self._pending.pop(0)
        # Neither a copy of this file nor the file itself, found as another one, counts as lost because it is not read.
        self.turns.note(reading)
        self.turns.forget_in(reading.source, reading.turn, self._reading.turn)
        self._append_step(reading.place, self._reading, 0, records)
        self._pass(reading)
        return True

    def _look_at_newer(self, reading: FileReading) -> None:
        self._look_at_pending(reading.turn)
        newest = self._pending[-1] if self._pending else reading
        self._open_newer(newest.turn, newest.source.status().st_mtime_ns)

    def _has_data(self) -> bool:
        for reading in self._pending:
            try:
                if reading.look().st_size:
                    return True
            except Replaced:
                return True
        return False

    def _is_over(self, reading: FileReading) -> bool:
        # A clock may have been stepped back behind the time of the file.
        quiet_s = self._wall() - reading.source.status().st_mtime
        return reading.source.is_whole or not 0 <= quiet_s < self._quiet_s

    def _pass(self, reading: FileReading) -> None:
        reading.close()
        self._passed.append(reading.turn)

    def _replaced(self, reading: FileReading, records: list[Record]) -> None:
        """Go on after the file was cut: with its copy if there is one, then from its new beginning."""
        place, lost = reading.place, reading.left
        if reading.changed_ns:
            self.turns.note(reading)
        copy = find(place, self._folder, self.turns, besides=reading.source.key)
        self._pending.insert(0, self._opened(reading.source.copy(), place.turn))
        self._insert_older(0, reading, place.turn, reading.changed_ns)
        self._pass(reading)
        if copy is not None:
            self._read_on(copy, place)
        else:
            self._lost(place, lost, records)

    def _begun(self, reading: FileReading, records: list[Record]) -> None:
        """Go on in a file that was empty, after the copies of what was in it meanwhile."""
        place, since_ns = reading.place, reading.changed_ns
        reading.begin()
        self._pending.insert(0, reading)
        self._insert_older(0, reading, place.turn, since_ns)
        if self._pending[0] is reading:
            del self._pending[0]
        else:
            self._lost(place, 0, records)

    def _look_at_pending(self, turn: int) -> None:
        """Open the copies of what was in an empty file since the last look, before that file; `turn` comes first."""
        for reading in list(self._pending):
            since_ns = reading.changed_ns
            try:
                reading.look()
            except Begun:
                reading.begin()
                self._insert_older(self._pending.index(reading), reading, turn, since_ns)
            except Replaced:
                # It is found anew once it is read.
                self._look_at_copy(reading)
            turn = reading.turn

    def _look_at_copy(self, reading: FileReading) -> None:
        """Note the size of the copy of a file that was cut: it counts if the copy is deleted before it is read."""
        copy = find(reading.place, self._folder, self.turns, besides=reading.source.key)
        if copy is not None:
            if copy.has_size:
                reading.note_size(copy.size(), tail_of(copy, copy.size()))
            copy.close()

    def _insert_older(self, place: int, reading: FileReading, turn: int, since_ns: int) -> None:
        """Open the copies of what was in `reading` since its last look and is gone: it may have been cut many times.

        They are inserted into the pending files at `place`, after the file of `turn`.
        """
        if since_ns:
            main = self._folder.main()
            # What was written to later than a file that has left the path comes after that file.
            is_main = main is not None and main.key == reading.source.key
            until_ns = None if is_main else reading.source.status().st_mtime_ns
            self._pending[place:place] = self._opened_all(self._unknown(turn, since_ns, until_ns), turn)
        for before, later in itertools.pairwise(self._pending):
            if later.turn <= before.turn:
                self.turns.forget(later.turn)
                later.turn = self._turn_of(later.source, before.turn)

    def _open_newer(self, turn: int, since_ns: int) -> None:
        """Open the files that took the place of the newest known one, whose turn and last change are these."""
        main = self._folder.main()
        if len(self._pending) >= _PENDING_MAX:
            return
        if main is not None and any(main.key == known.source.key for known in self._open):
            return
        if since_ns:
            self._pending += self._opened_all(self._unknown(turn, since_ns), turn)
        if main is None:
            return
        with contextlib.suppress(FileNotFoundError):
            last = self._pending[-1].turn if self._pending else turn
            self._pending.append(self._opened(self._folder.open(), last))

    def _unknown(self, turn: int, since_ns: int, until_ns: int | None = None) -> list[LogFile]:
        return successors(self._folder, self._open, self.turns, turn, since_ns, until_ns)

    def _give_up_deleted(self) -> None:
        """Close files that have had no name for long, so that their room on the disk is free."""
        now = self._monotonic()
        for reading in self._open:
            if reading.source.is_whole or reading.source.status().st_nlink:
                continue
            if reading.deleted_s is None:
                reading.deleted_s = now
            elif now - reading.deleted_s > DELETED_KEPT_S and reading.left:
                self._drop(reading)

    def _drop(self, reading: FileReading) -> None:
        """Close a file that was not read to its end. Its bytes are counted at the step over it."""
        self.turns.note(reading)
        if reading is self._reading:
            self._place, self._reading = reading.place, None
        else:
            self._pending.remove(reading)
        reading.close()

    # Finding files.

    def _open_at(self, place: LogPlace) -> FileReading | None:
        """The open file of a place, or an open copy of it."""
        key = place.file.device, place.file.inode
        readings = [reading for reading in self._open if is_at(place, reading.source, self.turns)]
        return min(readings, key=lambda reading: reading.source.key != key, default=None)

    def _opened(self, source: LogFile, after: int, *, is_copy: bool = False) -> FileReading:
        reading = FileReading(source, self._turn_of(source, after, is_copy=is_copy))
        if is_copy and self.place is not None:
            # It comes later than the file of which it is a copy seemed to come.
            self.turns.forget_in(source, self.place.turn, reading.turn)
        with contextlib.suppress(Replaced):
            reading.look()
        self.turns.note(reading)
        return reading

    def _opened_all(self, sources: list[LogFile], after: int) -> list[FileReading]:
        readings = []
        for source in sources:
            readings.append(self._opened(source, after, is_copy=True))
            after = readings[-1].turn
        return readings

    def _turn_of(self, source: LogFile, after: int, *, is_copy: bool = False) -> int:
        return self.turns.of(source, int(self._wall() * 1000), after, is_copy=is_copy)
