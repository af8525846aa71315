"""Cuts a block of a log into pieces of whole lines, and a longer line into parts. Pure."""

import enum
from collections.abc import Iterator
from typing import NamedTuple

PIECE_MAX = 64 * 1024
"""The longest piece, in bytes."""
CUT_MARK = b" [cut: the line goes on]\n"
"""Ends a part of a long line in the collected log, unless the part is the last one."""
GOES_ON_MARK = b"[cut: the line goes on here] "
"""Begins a part of a long line in the collected log, unless the part is the first one."""


class Edge(enum.IntFlag):
    """The ends of a piece that are no ends of a line."""

    NONE = 0
    GOES_ON = 1
    """The piece begins inside a line."""
    IS_CUT = 2
    """The piece ends inside a line, which goes on in the next piece."""
    UNENDED = 4
    """The file ends with this piece, and its last line has no line feed."""


class Piece(NamedTuple):
    """The length of a piece in bytes, and its edges."""

    size: int
    edges: Edge


def cut(block: bytes, *, inside: bool = False, is_last: bool = False) -> Iterator[Piece]:
    """Yield the pieces at the beginning of `block`, which begins `inside` a long line or at the beginning of a line.

    A line without its end is left for later, unless the block `is_last` in its file.
    """
    at = 0
    while at < len(block):
        piece = _next(block, at, inside=inside, is_last=is_last)
        if piece is None:
            return
        yield piece
        at += piece.size
        inside = bool(piece.edges & Edge.IS_CUT)


def _next(block: bytes, at: int, *, inside: bool, is_last: bool) -> Piece | None:
    begin = Edge.GOES_ON if inside else Edge.NONE
    within = at + PIECE_MAX
    # The end of a long line is a piece of its own, because its beginning is marked.
    line_feed = block.find(b"\n", at, within) if inside else block.rfind(b"\n", at, within)
    if line_feed >= 0:
        return Piece(line_feed + 1 - at, begin)
    if len(block) >= within:
        return Piece(PIECE_MAX, begin | Edge.IS_CUT)
    return Piece(len(block) - at, begin | Edge.UNENDED) if is_last else None


def collected(data: bytes, edges: Edge) -> bytes:
    """A piece as it stands in the collected log."""
    if not edges:
        return data
    before = GOES_ON_MARK if edges & Edge.GOES_ON else b""
    after = CUT_MARK if edges & Edge.IS_CUT else b"\n" if edges & Edge.UNENDED else b""
    return b"".join((before, data, after))
