"""Reads data from Redis strictly: anybody who reaches the server may have written anything there.

Each kind of record has one parser, made of these functions, which raises Unreadable. A record that cannot be read is
dropped, and the log says so once. A JSON record is decoded by the types of its fields.
"""

import contextlib
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, TypeVar

import msgspec
import structlog

from eccmgr.errors import Unreadable
from eccmgr.text.naming import ALLOWED, is_plain_name
from eccmgr.text.network import plain_address

log = structlog.get_logger()

T = TypeVar("T")
WRONG_KIND = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""The errors of code that takes apart a value of another kind than it expects."""
_LONGEST_NUMBER = 15
"""The maximum number of digits of a number. We write no longer ones, and a float holds each of these exactly."""
Count = Annotated[int, msgspec.Meta(ge=0, le=10**_LONGEST_NUMBER)]
"""The type for a whole number in a JSON record."""
LONGEST = 8 * 1024 * 1024
"""The maximum size of a JSON record in bytes: a command has at most 1 MiB, and JSON takes up to six bytes for one of
its bytes."""
_LAST = 2**64 - 1
_DIGITS = 20
"""Digits of that number."""
_ENTRY = re.compile(rf"[0-9]{{1,{_DIGITS}}}-[0-9]{{1,{_DIGITS}}}")
LATEST_MS = 10**14
"""The latest time on a wall clock that is believed, in ms: in the year 5138."""
_REMEMBERED = 1000
_SHOWN = 100
_LINES_A_MINUTE = 50
_MINUTE_S = 60.0


def whole(answered: bytes | str | int) -> int:
    """Read a whole number as the scripts write it. Raises ValueError."""
    raw = str(answered) if isinstance(answered, int) else answered
    if not (raw.isascii() and raw.isdigit() and len(raw) <= _LONGEST_NUMBER):
        raise ValueError(f"{raw[:_SHOWN]!r} is not a number")
    return int(raw)


def raw_texts(answered: object) -> tuple[bytes, ...]:
    """Read a list of texts of any kind. Raises ValueError."""
    if not isinstance(answered, list) or not all(isinstance(item, bytes) for item in answered):
        raise ValueError("a list of texts is wanted")
    return tuple(answered)


def raw_text(answered: object) -> bytes:
    """Read a text of any kind. Raises ValueError."""
    return raw_texts([answered])[0]


def exactly(count: int, answered: Sequence[T]) -> Sequence[T]:
    """Check that a list has `count` items, one for each part of the question. Raises ValueError."""
    if not isinstance(answered, list) or len(answered) != count:
        raise ValueError(f"a list of {count} is wanted")
    return answered


def flag(answered: bytes | int) -> bool:
    """Read a yes or no, which the scripts write as 1 or 0. Raises ValueError."""
    if whole(answered) > 1:
        raise ValueError(f"{answered!r} is neither 0 nor 1")
    return whole(answered) == 1


def number(value: object, least: float, most: float) -> float:
    """Read a number within bounds. NaN and Infinity are never within them. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{str(value)[:_SHOWN]!r} is not a number")
    if not least <= value <= most or not math.isfinite(value):
        raise ValueError(f"a number is out of its bounds {least:g} to {most:g}")
    return value


def is_entry(text: str) -> bool:
    """Whether `text` is the id of an entry of a stream."""
    # In a text of this length no number is too large.
    return _ENTRY.fullmatch(text) is not None and (len(text) <= _DIGITS or max(map(int, text.split("-"))) <= _LAST)


def entry(answered: bytes) -> str:
    """Read the id of an entry of a stream. Raises ValueError."""
    if not is_entry(read := answered.decode()):
        raise ValueError(f"{read[:_SHOWN]!r} is not the id of an entry")
    return read


def text(value: object) -> str:
    """Read a text of any number of lines. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("a text is wanted")
    return value


def line(value: object) -> str:
    """Read a text of one line: with a line break, a name could forge lines in an answer. Raises ValueError."""
    read = text(value)
    if not read.isprintable():
        raise ValueError(f"{read[:_SHOWN]!r} is not a text of one line")
    return read


def command(value: object) -> str:
    """Read a command's text: a line break in it would forge lines in an answer. Raises ValueError."""
    read = text(value)
    if len(f"{read}.".splitlines()) > 1:
        raise ValueError(f"{read[:_SHOWN]!r} is not a command of one line")
    return read


def plain_name(value: object) -> str:
    """Read the name of a node or of a subcluster. Raises ValueError."""
    name = text(value)
    if not is_plain_name(name):
        raise ValueError(f"{name[:_SHOWN]!r} is not a name: {ALLOWED}")
    return name


def check_lines(*values: str | None) -> None:
    """Check that each of `values` is None or a text of one line. Raises ValueError."""
    for value in values:
        if value is not None:
            line(value)


def address(value: object) -> str:
    """Read an IP address as `ipaddress` writes it, but none of IPv6 that stands for one of IPv4. Raises ValueError."""
    read = text(value)
    # The part after a `%` may be any text. Versions of Python write mapped addresses differently.
    if str(plain_address(read)) != read:
        raise ValueError(f"{read[:_SHOWN]!r} is not written as addresses are")
    return read


def decoded(kind: msgspec.json.Decoder[T], raw: bytes | str, most: int = LONGEST) -> T:
    """Read a JSON record of at most `most` bytes, strictly as the type of the decoder `kind`. Raises ValueError."""
    if len(raw) > most:
        raise ValueError(f"it is longer than {most} bytes")
    try:
        return kind.decode(raw)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


@contextlib.contextmanager
def parsing(what: str) -> Iterator[None]:
    """Turns the errors of the code inside into Unreadable, which names `what` could not be read."""
    try:
        yield
    except WRONG_KIND as error:
        raise Unreadable(f"{what} cannot be read: {error}") from error


class Dropped:
    """Logs each dropped value once, and again when another value takes its place."""

    def __init__(self, what: str, now: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._now = now
        self._since, self._lines = -math.inf, 0
        self._said: OrderedDict[bytes | str, tuple[object, str]] = OrderedDict()

    def say(self, where: bytes | str, raw: object, reason: str) -> None:
        """Log that the value `raw` at `where` was dropped, with the `reason`."""
        said = (hash(raw) if isinstance(raw, bytes | str) else raw, reason)
        if self._said.get(where) == said:
            return
        self._said[where] = said
        self._said.move_to_end(where)
        while len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        if (now := self._now()) - self._since >= _MINUTE_S:
            self._since, self._lines = now, 0
        self._lines += 1
        if self._lines < _LINES_A_MINUTE:
            log.warning(f"{self._what} dropped", where=where[:_SHOWN], reason=reason[: 4 * _SHOWN])
        elif self._lines == _LINES_A_MINUTE:
            log.warning(
                f"{self._what} dropped", where="many places", reason="the log names no more of them this minute"
            )
