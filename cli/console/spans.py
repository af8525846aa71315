"""Pieces of a line with their looks; a line is cut to a number of columns of a terminal before it is written."""

import enum
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from eccmgr.text.unseen import visible_line

_RESET = "\x1b[0m"
_WIDE = ("W", "F")
CUT = "…"
SIGNS = "█×▓░·…"
"""The signs in our own lines that an encoding may lack."""
_IN_ASCII = str.maketrans(SIGNS, "#x=-.~")


class Look(enum.StrEnum):
    """The look of a piece: the escape before it. Words tell the same as colours."""

    PLAIN = ""
    BOLD = "\x1b[1m"
    DIM = "\x1b[2m"
    RED = "\x1b[31m"
    YELLOW = "\x1b[33m"


class Span(NamedTuple):
    """A piece of a line."""

    text: str
    look: Look = Look.PLAIN


Line = Sequence[Span]


def columns(text: str) -> int:
    """The columns that `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(character) for character in text)


def cut(text: str, width: int) -> str:
    """`text` in one line and without unseen characters, in at most `width` columns."""
    # An answer may be megabytes; a character takes at most two columns less than its bytes.
    text = visible_line(text[: 4 * max(0, width) + 4])
    if columns(text) <= width:
        return text
    kept, left = [], width - 1
    for character in text:
        left -= _columns_of(character)
        if left < 0:
            break
        kept.append(character)
    return "".join(kept) + CUT if width > 0 else ""


def drawn(line: Line, width: int, *, color: bool) -> str:
    """The text of a line for a terminal with `width` columns, without the newline."""
    pieces, left = [], width
    for span in line:
        text = cut(span.text, left)
        left -= columns(text)
        pieces.append(f"{span.look.value}{text}{_RESET}" if color and span.look and text else text)
        if text.endswith(CUT) and not span.text.endswith(CUT):
            break
    return "".join(pieces)


def in_ascii(text: str) -> str:
    """`text` with other characters in place of SIGNS, as wide."""
    return text.translate(_IN_ASCII)


def padded(text: str, width: int) -> str:
    """`text`, cut or filled to `width` columns."""
    shown = cut(text, width)
    return shown + " " * (width - columns(shown))


def joined(lines: Iterable[Line], between: Span) -> Line:
    """One line of several."""
    spans: list[Span] = []
    for line in lines:
        spans += [between, *line] if spans else line
    return spans


def length(line: Line) -> int:
    """The columns that a line takes if it is not cut."""
    return sum(columns(span.text) for span in line)


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1
