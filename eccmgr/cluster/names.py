"""Names of nodes, subclusters and members: which names are allowed, and how names sort, fold and match."""

import re
import secrets
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import pairwise

from eccmgr.errors import CommandError, SettingsError
from eccmgr.text.naming import ALLOWED, is_plain_name

# The digits are taken in pieces that `int` accepts, because a text from outside may have any number of digits.
_DIGITS = re.compile(r"([0-9]{1,300})")
_MARKS = re.compile(r"[\[\],]")
RANGES_SHOWN = 20


def check_name(name: str, what: str = "Node") -> str:
    """Check that a node or subcluster may have this name; answers the name. Raises SettingsError."""
    if not is_plain_name(name):
        raise SettingsError(f"{what} name '{name}': {ALLOWED}")
    return name


def private_name(role: str, pid: int, host: str, nonce: str | None = None) -> str:
    """A name that is unique to one life of a process: `#ec0-20768-1f9ac2d4#pono`."""
    return f"#{role}-{pid}-{nonce or secrets.token_hex(4)}#{host}"


def public_name(private: str) -> str:
    """The last part of a private name: the node's name, or for another member the name of the host."""
    return private.rpartition("#")[2]


_Order = tuple[tuple[int, int, str], ...]
_Pieces = tuple[str, ...]
"""A name in pieces: texts at even positions, numbers at odd ones. A number may be folded already."""


def natural(name: str) -> _Order:
    """A sort key that compares numbers in names as numbers: east2 before east10."""
    pieces = _DIGITS.split(name.lower())
    return tuple((0, int(piece), piece) if i % 2 else (1, 0, piece) for i, piece in enumerate(pieces))


def fold(names: Iterable[str], limit: int | None = None) -> str:
    """Fold `east1 east2 west1` into `east[1-2],west1`. More than `limit` ranges become the first ones and the number of
    the rest."""
    parts = {pieces: pieces for pieces in map(tuple, map(_DIGITS.split, names))}
    # Names that differ only in their last number become one, then those that differ only in the number before it, and
    # so on. The time grows with the number of names, not with its square.
    for axis in range(max(map(len, parts), default=0) - 2, 0, -2):
        parts = _folded_along(axis, parts)
    ranges = ["".join(pieces) for pieces in sorted(parts, key=lambda pieces: (natural("".join(parts[pieces])), pieces))]
    if limit is None or len(ranges) <= limit:
        return ",".join(ranges)
    return ",".join(ranges[:limit]) + f" and {len(ranges) - limit} more ranges"


def _folded_along(axis: int, parts: dict[_Pieces, _Pieces]) -> dict[_Pieces, _Pieces]:
    """Fold those parts into one that differ only in the number at `axis`; each part has its first name, in pieces."""
    alike: dict[tuple[_Pieces, _Pieces], list[_Pieces]] = {}
    for pieces in parts:
        alike.setdefault((pieces[:axis], pieces[axis + 1 :]), []).append(pieces)
    folded = {}
    for (before, behind), group in alike.items():
        if len(group) == 1:
            folded[group[0]] = parts[group[0]]
        else:
            numbers = [pieces[axis] for pieces in group]
            first = min(numbers, key=lambda number: (int(number), number))
            folded[*before, f"[{','.join(_ranges(numbers))}]", *behind] = parts[*before, first, *behind]
    return folded


def _ranges(numbers: list[str]) -> Iterator[str]:
    """The ranges of different numbers, such as `1-3`, `01-10` and `7`. A padded range has numbers of one length."""
    in_order = sorted(numbers, key=lambda number: (len(number), int(number)))
    first = in_order[0]
    for number, following in pairwise([*in_order, ""]):
        if not following or int(following) != int(number) + 1 or not _alike_in_length(first, following):
            yield number if number == first else f"{first}-{number}"
            first = following


def _alike_in_length(first: str, following: str) -> bool:
    """Whether `following` is written as a range that begins with `first` writes it."""
    if first.startswith("0") and len(first) > 1:
        return len(first) == len(following)
    return not following.startswith("0")


class NameIndex:
    """Names of nodes. Each is found by its whole name, or else by its first label; case does not count.

    A short name finds the fully qualified names that begin with it, and a fully qualified name finds its first label.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_key = {name.lower(): name for name in names}

    def fitting(self, name: str) -> list[str]:
        """The names that `name` may mean, in the spelling of this index."""
        key = name.lower()
        if key in self._by_key:
            return [self._by_key[key]]
        label, dot, _ = key.partition(".")
        if dot:
            return [self._by_key[label]] if label in self._by_key else []
        return self._by_label.get(label, [])

    def find(self, name: str, what: str = "node") -> str:
        """The one name that `name` means. Raises CommandError if `name` fits no name, or several."""
        fitting = self.fitting(name)
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            listed = ", ".join(sorted(fitting, key=natural))
            raise CommandError(f"{what.capitalize()} '{name}' fits several: {listed}; give the whole name")
        raise CommandError(f"Unknown {what} '{name}'{known(self._by_key.values())}")

    def find_all(self, names: Iterable[str]) -> list[str]:
        """The names of nodes that `names` mean, once each. Raises CommandError, which lists the `names` that
        fit no node."""
        meant: dict[str, None] = {}
        unknown = []
        for name in names:
            fitting = self.fitting(name)
            if len(fitting) == 1:
                meant[fitting[0]] = None
            else:
                unknown.append(name)
        if len(unknown) == 1:
            # This raises, and says whether the name fits no node or several.
            self.find(unknown[0])
        if unknown:
            raise CommandError(f"Unknown nodes '{fold(unknown, RANGES_SHOWN)}'{known(self._by_key.values())}")
        return list(meant)

    @cached_property
    def _by_label(self) -> dict[str, list[str]]:
        """The fully qualified names, by their first label."""
        names: dict[str, list[str]] = {}
        for key, name in self._by_key.items():
            label, dot, _ = key.partition(".")
            if dot:
                names.setdefault(label, []).append(name)
        return names


def resolve(name: str, names: Iterable[str], what: str = "node") -> str:
    """The one of `names` that `name` means (`NameIndex.find`). Raises CommandError."""
    return NameIndex(names).find(name, what)


def same_node(one: str, other: str) -> bool:
    """Whether two names can mean one node: without case, a short name equals its fully qualified name."""
    shorter, longer = sorted((one.lower(), other.lower()), key=len)
    return shorter == longer or ("." not in shorter and longer.startswith(f"{shorter}."))


def known(names: Iterable[str]) -> str:
    """The end of an answer to an unknown name: `; known: east[1-2],west1`, or a remark that there are no names."""
    listed = list(names)
    return f"; known: {fold(listed, RANGES_SHOWN)}" if listed else "; none is known"


def split_folded(folded: str) -> list[str]:
    """The parts between commas; commas in brackets do not count, so `a[1-2,5],b` has two parts."""
    parts, start, inside = [], 0, False
    for mark in _MARKS.finditer(folded):
        inside = mark[0] == "[" or (inside and mark[0] == ",")
        if mark[0] == "," and not inside:
            parts.append(folded[start : mark.start()])
            start = mark.end()
    return [*parts, folded[start:]]
