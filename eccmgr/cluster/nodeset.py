"""Node sets: `east[1-3,7],west1`, and the names in them.

A set is read in two steps: the typed text is first checked and counted, then spelt out if it is small enough. Digits
beside a bracket belong to the text: `n1[5-10]` means the six names n15 to n110. `names.fold` writes sets.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from eccmgr.cluster import names
from eccmgr.errors import UsageError
from eccmgr.text.naming import LONGEST_NAME

MAX_NAMES = 10_000
"""The maximum number of names in one set. A larger range is refused, and never spelt out."""

# An answer repeats at most this many characters of a faulty set.
_SHOWN_MAX = 80
# The patterns are possessive, so that they read a text of a megabyte in one pass.
_RANGE = r"[0-9]{1,63}+(?>(?:-[0-9]{1,63}+(?>(?:/[0-9]{1,9}+)?))?)"
_PART = re.compile(rf"(?>(?:[A-Za-z0-9._-]++|\[{_RANGE}(?>(?:,{_RANGE})*)\](?!\[))+)\Z")
_BRACKETS = re.compile(r"\[([^\]]*)\]")


def parts(text: str) -> list[str]:
    """The parts of a set, between the commas outside of brackets. Raises UsageError if `text` is not a set."""
    split = names.split_folded(text)
    if not split or ",".join(split) != text:
        raise no_set(text)
    return split


def spell_out(folded: Iterable[str]) -> list[str]:
    """Every name in the parts `folded`, once each. Raises UsageError if a part is faulty, or if there are too many
    names."""
    listed = list(folded)
    number = 0
    for part in listed:
        number += count(part)
        if number > MAX_NAMES:
            raise too_many()
    return list(dict.fromkeys(itertools.chain.from_iterable(map(_names_in, listed))))


@lru_cache(maxsize=16)
def members(folded: str) -> frozenset[str]:
    """The names, in small letters, in a set that `names.fold` wrote. Raises ValueError if it is not a set."""
    if "[" not in folded:
        return frozenset(folded.lower().split(","))
    try:
        return frozenset(name.lower() for name in spell_out(names.split_folded(folded)))
    except UsageError as error:
        raise ValueError(f"no set of nodes: {error}") from error


def count(part: str) -> int:
    """The number of names in one part of a set, which is not spelt out. Raises UsageError if the part is faulty."""
    if not _PART.match(part):
        raise no_set(part)
    if "[" not in part:
        return 1
    if why := next(filter(None, map(_why_no_range, _ranges(part))), ""):
        raise no_set(part, why)
    if len(_BRACKETS.sub("", part)) >= LONGEST_NAME:
        raise no_set(part, f"a name has at most {LONGEST_NAME} characters")
    number = 1
    for inside in _BRACKETS.findall(part):
        number *= sum(_length(span) for span in inside.split(","))
    return number


def too_many() -> UsageError:
    """The error for a set of too many names."""
    return UsageError(f"A node set may name at most {MAX_NAMES} nodes")


def no_set(text: str, why: str = "write it like east[1-3,7],west1") -> UsageError:
    """The error for a text that is not a set, with what would be right."""
    return UsageError(f"Not a node set: '{text[:_SHOWN_MAX]}'; {why}")


def _ranges(part: str) -> list[str]:
    return [span for inside in _BRACKETS.findall(part) for span in inside.split(",")]


def _why_no_range(span: str) -> str:
    """The fault of a range, for example `3-1`; empty for a good range."""
    first, dash, rest = span.partition("-")
    last, stepped, step = rest.partition("/")
    if not dash:
        return ""
    if int(first) > int(last):
        return f"{span} runs backwards, write {last}-{first}{stepped}{step}"
    if stepped and int(step) == 0:
        return f"{span} has a step of 0"
    if len(first) != len(last) and "0" in (first[0], last[0]) and first != "0":
        return f"{span} is padded unevenly, write {first.zfill(len(last))}-{last.zfill(len(first))}{stepped}{step}"
    return ""


def _length(span: str) -> int:
    first, dash, rest = span.partition("-")
    last, _, step = rest.partition("/")
    return max(0, int(last) - int(first)) // max(1, int(step or 1)) + 1 if dash else 1


def _names_in(part: str) -> Iterator[str]:
    """The names in `part`. The text beside a bracket stays as it is."""
    # The pieces alternate: a text, then the inside of a bracket.
    pieces = _BRACKETS.split(part)
    choices = [_numbers(piece) if i % 2 else (piece,) for i, piece in enumerate(pieces)]
    return map("".join, itertools.product(*choices))


def _numbers(inside: str) -> list[str]:
    """The numbers in a bracket, as they stand in names: if the first number begins with 0, all have its length."""
    numbers: list[str] = []
    for span in inside.split(","):
        first, _, rest = span.partition("-")
        last, _, step = rest.partition("/")
        width = len(first) if first.startswith("0") and len(first) == len(last or first) else 0
        spelt = range(int(first), int(last or first) + 1, int(step or 1))
        numbers += (str(number).zfill(width) for number in spelt)
    return numbers
