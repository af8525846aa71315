"""Strict reading of what stands in Redis, where anybody who reaches the server may have written anything.

Each kind of record has one parser, made of these functions; it raises Unreadable. A record that cannot be read is
dropped, and the log says so once.
"""

import contextlib
import ipaddress
import json
import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import structlog

from eccmgr.errors import Unreadable

log = structlog.get_logger()

_LONGEST_NUMBER = 15
"""The most digits of a number: we write none with more, and a float holds each of these exactly."""
_REMEMBERED = 1000
_SHOWN = 100


def whole(answered: bytes | str | int) -> int:
    """Read a whole number as the scripts write it. Raises ValueError."""
    raw = str(answered) if isinstance(answered, int) else answered
    if not (raw.isascii() and raw.isdigit() and len(raw) <= _LONGEST_NUMBER):
        raise ValueError(f"{raw[:_SHOWN]!r} is no number")
    return int(raw)


def number(value: object, least: float, most: float) -> float:
    """Read a number from a JSON value within its bounds. Python's JSON also knows NaN and Infinity. Raises
    ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{str(value)[:_SHOWN]!r} is no number")
    if not least <= value <= most or not math.isfinite(value):
        raise ValueError(f"a number is out of its bounds {least:g} to {most:g}")
    return value


def integer(value: object, most: int = 10**_LONGEST_NUMBER) -> int:
    """Read a whole number from a JSON value. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"a whole number up to {most} is wanted")
    return value


def text(value: object) -> str:
    """Read a text from a JSON value; it may have several lines. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("a text is wanted")
    return value


def line(value: object) -> str:
    """Read a text of one line: a name with a line break would forge lines in an answer. Raises ValueError."""
    found = text(value)
    if not found.isprintable():
        raise ValueError(f"{found[:_SHOWN]!r} is no text of one line")
    return found


def line_or_none(value: object) -> str | None:
    """Read a text of one line, or None. Raises ValueError."""
    return None if value is None else line(value)


def address(value: object) -> str:
    """Read an IP address as `ipaddress` writes it. Raises ValueError."""
    found = text(value)
    if str(ipaddress.ip_address(found)) != found:
        raise ValueError(f"{found[:_SHOWN]!r} is not written as addresses are")
    return found


def decoded(raw: bytes | str) -> Any:
    """The value of a JSON text. Raises ValueError."""
    try:
        return json.loads(raw)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def fields(raw: bytes | str) -> dict[str, Any]:
    """The fields of a JSON object. Raises ValueError."""
    found = decoded(raw)
    if not isinstance(found, dict):
        raise ValueError("an object is wanted")
    return found


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
