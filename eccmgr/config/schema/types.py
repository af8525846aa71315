"""The types of options: the values that a type accepts, and their conversion to Python values."""

import ipaddress
import re
from collections.abc import Callable
from enum import Enum

from eccmgr.config.syntax.values import Dictionary, Text, Value
from eccmgr.text.hostport import read_host_port
from eccmgr.text.naming import is_plain_name
from eccmgr.text.patterns import Pattern, PatternError
from eccmgr.text.tags import TagError, given_tags

_TRUE = frozenset({"on", "true", "enabled", "yes", "1"})
_FALSE = frozenset({"off", "false", "disabled", "no", "0"})
_NUMBER = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([A-Za-z]*)")
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    "": 1,
    "b": 1,
    "k": 1 << 10,
    "kib": 1 << 10,
    "m": 1 << 20,
    "mib": 1 << 20,
    "g": 1 << 30,
    "gib": 1 << 30,
}
_OCTAL = re.compile(r"[0-7]{1,5}")


class OptionType(Enum):
    """The type of an option's value. The text of a member describes the type for an operator."""

    BOOLEAN = "on|off, true|false, enabled|disabled, yes|no or 1|0"
    """A `bool`."""
    INTEGER = "a whole number"
    """An `int`."""
    NUMBER = "a number"
    """A `float`."""
    SECONDS = "a number of seconds (or with a unit: ms, s, m, h, d)"
    """A `float` of seconds."""
    BYTES = "a number of bytes (or with a unit: KiB, MiB, GiB)"
    """An `int` of bytes."""
    MODE = "an octal mode such as 0660"
    """An `int`."""
    TEXT = "a single value"
    """A `str`."""
    PATH = "a path"
    """A `str`."""
    NAME = "a name of 1 to 63 letters, digits, '.', '_' or '-' that begins with a letter or digit"
    """A `str`."""
    ADDRESS = "an IPv4 or IPv6 address"
    """A `str`, as written."""
    NETWORK = "a network such as 10.1.1.0/24"
    """A `str`, as written."""
    ENDPOINT = "a path or ADDRESS:PORT"
    """A `str`, as written."""
    SYNC = "always, second or never"
    """A `str`: one of these words."""
    LEVEL = "DEBUG, INFO, WARNING, ERROR or CRITICAL"
    """A `str`: one of these words, in small letters."""
    LIST = "a list"
    """A `tuple` of `str`. A single value is a list with one item."""
    PATTERNS = "a list of regular expressions"
    """A `tuple` of `str`. Each of them compiles as a regular expression."""
    DICTIONARY = "a dictionary"
    """A `dict` of `str`."""
    TAGS = "a dictionary of tags such as [ role = mta dc = ams ]"
    """A `dict` of `str`: the tags that an operator gives a node."""


PythonValue = bool | int | float | str | tuple[str, ...] | dict[str, str]


class BadValueError(ValueError):
    """Raised when a value does not fit its type; the message says which values would."""


def convert(option_type: OptionType, value: Value, low: float | None = None, high: float | None = None) -> PythonValue:
    """The Python value of `value`. Raises BadValueError if it does not fit the type or is out of range."""
    if option_type in (OptionType.LIST, OptionType.PATTERNS):
        return _items(option_type, value)
    if option_type is OptionType.TAGS:
        return _tags(value)
    if option_type is OptionType.DICTIONARY:
        if not isinstance(value, Dictionary):
            raise BadValueError(f"{option_type.value} such as [ key = value ]")
        return {key.text: item.text for key, item in value.pairs}
    if not isinstance(value, Text):
        raise BadValueError(expectation(option_type, low, high))
    converted = _CONVERTERS[option_type](value.text)
    if converted is None or _outside(converted, low, high):
        raise BadValueError(expectation(option_type, low, high))
    return converted


def expectation(option_type: OptionType, low: float | None = None, high: float | None = None) -> str:
    """The description of a value of this type and range."""
    bounds = f" from {low:g}" if low is not None else ""
    bounds += f" up to {high:.15g}" if high is not None else ""
    return option_type.value + bounds


def _outside(converted: PythonValue, low: float | None, high: float | None) -> bool:
    if not isinstance(converted, int | float):
        return False
    return (low is not None and converted < low) or (high is not None and converted > high)


def _items(option_type: OptionType, value: Value) -> tuple[str, ...]:
    if isinstance(value, Dictionary):
        raise BadValueError(f"{option_type.value} such as ( item item )")
    items = (value.text,) if isinstance(value, Text) else tuple(item.text for item in value.items)
    if option_type is OptionType.PATTERNS:
        for item in items:
            _check_pattern(item)
    return items


def _tags(value: Value) -> dict[str, str]:
    if not isinstance(value, Dictionary):
        raise BadValueError(OptionType.TAGS.value)
    try:
        return dict(given_tags((key.text, item.text) for key, item in value.pairs))
    except TagError as error:
        raise BadValueError(f"{OptionType.TAGS.value} ({error})") from None


def _check_pattern(pattern: str) -> None:
    try:
        Pattern.parse(pattern)
    except PatternError as error:
        raise BadValueError(f"regular expressions that compile ({error})") from None


def _boolean(text: str) -> bool | None:
    lower = text.lower()
    return True if lower in _TRUE else False if lower in _FALSE else None


def is_boolean(text: str) -> bool:
    """Whether `text` is a boolean value."""
    return _boolean(text) is not None


def _integer(text: str) -> int | None:
    match = _NUMBER.fullmatch(text)
    return int(match[1]) if match and not match[2] and "." not in match[1] else None


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    return float(match[1]) if match and not match[2] else None


def _seconds(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    unit = _SECONDS.get(match[2].lower()) if match else None
    return float(match[1]) * unit if match and unit is not None else None


def _bytes(text: str) -> int | None:
    match = _NUMBER.fullmatch(text)
    unit = _BYTES.get(match[2].lower()) if match else None
    return int(float(match[1]) * unit) if match and unit is not None else None


def _mode(text: str) -> int | None:
    return int(text, 8) if _OCTAL.fullmatch(text) and int(text, 8) <= 0o7777 else None


def _text(text: str) -> str:
    return text


def _path(text: str) -> str | None:
    return text or None


def _name(text: str) -> str | None:
    return text if is_plain_name(text) else None


def _address(text: str) -> str | None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return None
    return text


def _network(text: str) -> str | None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    return text


def _sync(text: str) -> str | None:
    return text.lower() if text.lower() in ("always", "second", "never") else None


def _level(text: str) -> str | None:
    return text.lower() if text.lower() in ("debug", "info", "warning", "error", "critical") else None


def _endpoint(text: str) -> str | None:
    if "/" in text:
        return text
    # A port alone means that port on every address.
    everywhere = text.startswith(":") and text.count(":") == 1
    try:
        read_host_port(f"*{text}" if everywhere else text, lowest=0)
    except ValueError:
        return None
    return text


_CONVERTERS: dict[OptionType, Callable[[str], PythonValue | None]] = {
    OptionType.BOOLEAN: _boolean,
    OptionType.INTEGER: _integer,
    OptionType.NUMBER: _number,
    OptionType.SECONDS: _seconds,
    OptionType.BYTES: _bytes,
    OptionType.MODE: _mode,
    OptionType.TEXT: _text,
    OptionType.PATH: _path,
    OptionType.NAME: _name,
    OptionType.ADDRESS: _address,
    OptionType.NETWORK: _network,
    OptionType.ENDPOINT: _endpoint,
    OptionType.SYNC: _sync,
    OptionType.LEVEL: _level,
}
