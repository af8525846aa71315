"""A record of the pipe: a part of a log from one place to the next, or the step from one file to another. Pure."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from eccmgr.logs.collection.pieces import PIECE_MAX, Edge, collected
from eccmgr.logs.collection.places import LogPlace
from eccmgr.redis.wire import Argument

_PAYS_BELOW = 0.75
"""Data is sent compressed if it is shorter by a quarter."""


@dataclass(frozen=True, slots=True)
class Record:
    """The bytes of a log between two places of one file, or (without bytes) the step from one file to the next.

    `lost` counts the bytes before the new file that were removed before anybody read them. `wall_ms` is the time at
    which the lines were written, as far as the node knows.
    """

    begin: LogPlace
    end: LogPlace
    wall_ms: int
    data: bytes = b""
    edges: Edge = Edge.NONE
    lost: int = 0

    @property
    def is_step(self) -> bool:
        """Whether it leads to another file."""
        return self.begin.turn != self.end.turn

    def text(self) -> bytes:
        """The bytes for the collected log."""
        if self.is_step:
            # A long line of which the rest is lost ends here.
            return b"\n" if self.begin.inside and not self.end.inside else b""
        return collected(self.data, self.edges)

    def rest(self, place: LogPlace) -> "Record":
        """The record without what lies before `place`, a place in the file in which it begins."""
        if place.order <= self.begin.order:
            return self
        edges = self.edges & ~Edge.GOES_ON | (Edge.GOES_ON if place.inside else Edge.NONE)
        data = self.data[place.offset - self.begin.offset :]
        return Record(place, self.end, self.wall_ms, data, edges, self.lost)


class Packer:
    """Makes the words of records, and compresses their data where that pays."""

    def __init__(self) -> None:
        self._skip = 0

    def words(self, record: Record) -> tuple[Argument, ...]:
        """The words of one record: its places, time, edges, lost bytes, and the data with its form before it."""
        head = (record.begin.dump(), record.end.dump(), record.wall_ms, int(record.edges), record.lost)
        return (*head, self._packed(record.data))

    def _packed(self, data: bytes) -> bytes:
        if self._skip or len(data) < 256:
            self._skip = max(0, self._skip - 1)
            return b"=" + data
        packed = zlib.compress(data, 1)
        if len(packed) < _PAYS_BELOW * len(data):
            return b"z" + packed
        self._skip = 15
        return b"=" + data


def unpacked(fields: Mapping[bytes, bytes]) -> Record:
    """The record in an entry of the pipe. Raises ValueError, LookupError or zlib.error."""
    begin, end = (LogPlace.parse(fields[name].decode()) for name in (b"b", b"e"))
    wall_ms, edges, lost = int(fields[b"t"]), Edge(int(fields[b"f"]) & 7), int(fields[b"l"])
    data = _data(fields[b"d"])
    if begin.turn == end.turn and end.offset - begin.offset != len(data):
        raise ValueError("the data does not lead from one place to the other")
    if (begin.turn != end.turn and data) or end.order <= begin.order or not 0 <= wall_ms < 1 << 48 or lost < 0:
        raise ValueError("the record leads nowhere")
    return Record(begin, end, wall_ms, data, edges, lost)


def _data(packed: bytes) -> bytes:
    form, data = packed[:1], packed[1:]
    if form == b"z":
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(data, PIECE_MAX + 1)
        if not unpacker.eof:
            raise ValueError("the data is longer than a piece")
    elif form != b"=":
        raise ValueError("the data has no known form")
    if len(data) > PIECE_MAX:
        raise ValueError("the data is longer than a piece")
    return data
