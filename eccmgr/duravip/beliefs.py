"""What a node believes about each VIP, as it states it to the others: packed, and read again."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from eccmgr.duravip.states import Agreement, Ownership, in_order
from eccmgr.errors import Unreadable
from eccmgr.redis import reading

UNPACKED_MAX = 32 * 1024 * 1024
"""The maximum size of a node's unpacked statement, in bytes."""
_WHAT = "A node's statement of its beliefs"
_Row = tuple[str, tuple[str, ...], Ownership, Agreement, str | None]
_decoder = msgspec.json.Decoder(list[_Row])


@dataclass(frozen=True, slots=True)
class Belief:
    """A node's belief about one VIP; `owner` is a node's name, None for nobody."""

    names: tuple[str, ...]
    ownership: Ownership
    agreement: Agreement
    owner: str | None = None

    @property
    def state(self) -> str:
        """`owned,safe`."""
        return f"{self.ownership},{self.agreement}"


def pack(beliefs: Mapping[str, Belief]) -> bytes:
    """A node's statement, compressed; equal beliefs give equal bytes."""
    rows = [
        [address, belief.names, belief.ownership, belief.agreement, belief.owner]
        for address, belief in sorted(beliefs.items(), key=lambda item: in_order(item[0]))
    ]
    return zlib.compress(msgspec.json.encode(rows), 1)


def unpack(packed: bytes) -> dict[str, Belief]:
    """Read the bytes of `pack`. Raises Unreadable if another release or another program wrote them."""
    text = inflate(packed)
    with reading.parsing(_WHAT):
        return {reading.address(row[0]): _belief(row) for row in _rows(text)}


def belief_about(address: str, text: bytes) -> Belief | None:
    """The belief about one VIP in the text of an inflated statement, None if it has none. Raises Unreadable.

    The beliefs about other VIPs are not looked at: there may be thousands.
    """
    with reading.parsing(_WHAT):
        return next((_belief(row) for row in _rows(text) if row[0] == address), None)


def inflate(packed: bytes, most: int = UNPACKED_MAX) -> bytes:
    """The text of a packed statement, of at most `most` bytes. Raises Unreadable."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, most)
        if not unpacker.eof:
            raise ValueError("it is cut, or too long")
        return text
    except (ValueError, zlib.error) as error:
        raise Unreadable(f"{_WHAT} cannot be read: {error}") from None


def parts_of(said: bytes) -> tuple[int, str, bytes]:
    """The parts of a node's statement: the number of the last change that the node had read, its session, and its
    packed beliefs. Raises Unreadable."""
    with reading.parsing(_WHAT):
        upto, private, packed = said.split(b" ", 2)
        return reading.whole(upto), reading.line(private.decode()), packed


def _rows(text: bytes) -> Sequence[_Row]:
    return reading.decoded(_decoder, text, UNPACKED_MAX)


def _belief(row: _Row) -> Belief:
    _, names, ownership, agreement, owner = row
    reading.check_lines(*names)
    return Belief(names, ownership, agreement, None if owner is None else reading.plain_name(owner))
