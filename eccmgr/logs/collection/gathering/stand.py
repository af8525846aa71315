"""What one subscriber of this manager has of one log, and what follows in the pipe. Pure."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from eccmgr.logs.collection.gathering.targets import LogTarget
from eccmgr.logs.collection.gathering.trouble import LogTrouble
from eccmgr.logs.collection.pipe.calls import LogLease, PipeKeys
from eccmgr.logs.collection.places import LogPlace
from eccmgr.logs.collection.records import Record, unpacked

Entries = Sequence[tuple[bytes, Mapping[bytes, bytes]]]
"""Entries of a pipe: the id and the fields of each."""


@dataclass(frozen=True)
class Unit:
    """A log of a node, for one subscriber. `log` is its name in a safe form."""

    subscriber: str
    node: str
    log: str


@dataclass
class Taking:
    """What is to be written in one go: the bytes for one path, and the place behind them."""

    path: str = ""
    data: list[bytes] = field(default_factory=list)
    begin: LogPlace | None = None
    end: LogPlace | None = None
    wall_ms: int = 0
    has: int = 0
    cursor: bytes = b"0-0"
    lost: int = 0
    gap: bool = False
    """Whether the pipe does not hold what comes next, so that the node has to send it again."""

    @property
    def size(self) -> int:
        """The number of bytes."""
        return sum(map(len, self.data))

    def has_moved(self, stand: "Stand") -> bool:
        """Whether it brings the stand further, even if only past records that it has already."""
        return self.cursor != stand.cursor

    def add(self, record: Record, path: str, text: bytes) -> None:
        """Add a record, which goes to `path` as `text`."""
        if text:
            self.data.append(text)
        self.begin = self.begin or record.begin
        self.path, self.end, self.wall_ms = path, record.end, max(self.wall_ms, record.wall_ms)
        self.lost += record.lost


@dataclass
class Stand:
    """How far this manager has a log under a lease."""

    unit: Unit
    keys: PipeKeys
    lease: LogLease
    place: LogPlace | None
    target: LogTarget | None
    number: int
    stores: dict[str, int]
    lost: int = 0
    """The bytes before this place that were removed before anybody read them."""
    cursor: bytes = b"0-0"
    """The id of the last entry of the pipe that was read."""
    wall_ms: int = 0
    """The latest time at which what was written had changed on the node."""
    trouble: LogTrouble = field(default_factory=LogTrouble)
    """What hinders its target."""
    idle_at: str = ""
    """The end of the pipe at the last check, if it was behind this place."""
    idle_cursor: bytes = b""
    """The cursor at that check."""

    def take(self, entries: Entries, path_of: Callable[[int], str]) -> Taking:
        """What of `entries` follows this stand, as far as it goes to one file. `path_of` gives the path for a time."""
        taking = Taking(cursor=self.cursor, end=self.place, has=_bytes_in(self.cursor))
        for entry_id, fields in entries:
            record = _read(fields)
            if record is None or lacks_something(taking.end, record):
                taking.gap = True
                return taking
            if taking.end is None or record.end.order > taking.end.order:
                record = record if taking.end is None else record.rest(taking.end)
                text = record.text()
                path = path_of(record.wall_ms) if text else taking.path
                if taking.path not in ("", path):
                    return taking
                taking.add(record, path, text)
            taking.cursor, taking.has = entry_id, _bytes_in(entry_id)
        return taking


def _read(fields: Mapping[bytes, bytes]) -> Record | None:
    """The record of an entry; None if no node wrote it. Then the node sends again what should be here."""
    try:
        return unpacked(fields)
    except (ValueError, LookupError, zlib.error):
        return None


def lacks_something(place: LogPlace | None, record: Record) -> bool:
    """Whether something lies between a place and a record behind it."""
    if place is None or record.end.order <= place.order:
        return False
    # A step from before the place: the file had more behind it than the node sends now.
    return record.begin.order > place.order or (record.is_step and record.begin.order != place.order)


def _bytes_in(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[0])
