"""Strict reading of what stands in Redis, where anybody who reaches the server may have written anything.

Each kind of record has one parser, made of these functions; it raises Unreadable. A record that cannot be read is
dropped, and the log says so once. A JSON record is decoded by the type that its fields have.
"""

import contextlib
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import Annotated, TypeVar

import msgspec
import structlog

from eccmgr.errors import Unreadable

log = structlog.get_logger()

T = TypeVar("T")
_LONGEST_NUMBER = 15
"""The most digits of a number: we write none with more, and a float holds each of these exactly."""
Count = Annotated[int, msgspec.Meta(ge=0, le=10**_LONGEST_NUMBER)]
"""The type of a whole number in a JSON record."""
LONGEST = 8 * 1024 * 1024
"""The most bytes of a JSON record: a command has 1 MiB at most, and JSON takes up to six bytes for one of them."""
_REMEMBERED = 1000
_SHOWN = 100


def whole(answered: bytes | str | int) -> int:
    """Read a whole number as the scripts write it. Raises ValueError."""
    raw = str(answered) if isinstance(answered, int) else answered
    if not (raw.isascii() and raw.isdigit() and len(raw) <= _LONGEST_NUMBER):
        raise ValueError(f"{raw[:_SHOWN]!r} is no number")
    return int(raw)


def number(value: object, least: float, most: float) -> float:
    """Read a number within its bounds, which NaN and Infinity never are. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{str(value)[:_SHOWN]!r} is no number")
    if not least <= value <= most or not math.isfinite(value):
        raise ValueError(f"a number is out of its bounds {least:g} to {most:g}")
    return value


def text(value: object) -> str:
    """Read a text; it may have several lines. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("a text is wanted")
    return value


def line(value: object) -> str:
    """Read a text of one line: a name with a line break would forge lines in an answer. Raises ValueError."""
    found = text(value)
    if not found.isprintable():
        raise ValueError(f"{found[:_SHOWN]!r} is no text of one line")
    return found


def check_lines(*values: str | None) -> None:
    """Check that each of `values` that is not None is a text of one line. Raises ValueError."""
    for value in values:
        if value is not None:
            line(value)


def address(value: object) -> str:
    """Read an IP address as `ipaddress` writes it. Raises ValueError."""
    found = text(value)
    if str(ipaddress.ip_address(found)) != found:
        raise ValueError(f"{found[:_SHOWN]!r} is not written as addresses are")
    return found


def decoded(kind: msgspec.json.Decoder[T], raw: bytes | str, most: int = LONGEST) -> T:
    """Read a JSON record of at most `most` bytes, strictly as the type that `kind` decodes. Raises ValueError."""
    if len(raw) > most:
        raise ValueError(f"it is longer than {most} bytes")
    try:
        return kind.decode(raw)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


@contextlib.contextmanager
def parsing(what: str) -> Iterator[None]:
    """Raises Unreadable, which names `what`, if the code inside finds a value that cannot be read."""
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable(f"{what} cannot be read: {error}") from error


class Dropped:
    """Logs each dropped thing once, and again if something else takes its place."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._said: OrderedDict[bytes | str, tuple[object, str]] = OrderedDict()

    def say(self, where: bytes | str, raw: object, reason: str) -> None:
        """Log that `raw`, which stands at `where`, was dropped for `reason`."""
        said = (hash(raw) if isinstance(raw, bytes | str) else raw, reason)
        if self._said.get(where) == said:
            return
        self._said[where] = said
        self._said.move_to_end(where)
        while len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        log.warning(f"{self._what} dropped", where=where[:_SHOWN], reason=reason)
