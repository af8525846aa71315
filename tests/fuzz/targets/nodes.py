"""Node sets and targets mean what they look like, and a folded set reads back to the same set."""

import itertools
import re

from eccmgr.cluster import names, nodeset
from eccmgr.cluster.view import Seat, View
from eccmgr.commands.target import read_target
from eccmgr.errors import UsageError
from eccmgr.text.naming import is_plain_name
from tests.fuzz.target import fuzzed, text_of

_WORDS = (b"east[1-3,7],west1", b"[01-10]", b"[1-9/2]", b"@all", b"@east", b"[5]", b",", b"-", b"/", b"]", b"a1[5-10]")
_SMALL = 200
"""The maximum number of names in a set that the target also spells out itself."""
_SPAN = re.compile(r"([0-9]+)(?:-([0-9]+)(?:/([0-9]+))?)?")


@fuzzed(UsageError, words=_WORDS)
def node_sets(data: bytes) -> None:
    """A set is spelt out as a person would do it, and its folded form is the same set."""
    text = text_of(data)
    spelt = nodeset.spell_out(nodeset.parts(text))
    assert len(spelt) <= nodeset.MAX_NAMES
    if len(spelt) <= _SMALL:
        assert sorted(spelt) == sorted(set(_by_hand(text))), text
    _folds(spelt)


@fuzzed(words=(b"east1\n", b"east01\n", b"a.b-c_9\n", b"1\n", b"x-1\n", b"x-2\n"))
def folding(data: bytes) -> None:
    """For any names, the folded form names these and no others."""
    _folds([name for name in text_of(data).split("\n") if is_plain_name(name)])


@fuzzed(words=_WORDS)
def targets(data: bytes) -> None:
    """A word is a target in a view, or is refused in words."""
    seats = {name: Seat(f"#ec0-1-a#{name}", name, "east") for name in ("east1", "east2", "east10.example.com", "w")}
    target = read_target(text_of(data), View(1, seats, {}))
    assert all(seat in seats.values() for part in View(1, seats, {}).expected(target) for seat in part)


def _folds(listed: list[str]) -> None:
    if not listed:
        return
    folded = names.fold(listed)
    assert set(nodeset.spell_out(nodeset.parts(folded))) == set(listed), folded
    assert nodeset.members(folded) == {name.lower() for name in listed}


def _by_hand(text: str) -> list[str]:
    found: list[str] = []
    for part in re.findall(r"(?:\[[^\]]*\]|[^,\[])+", text):
        pieces = re.split(r"\[([^\]]*)\]", part)
        choices = [_numbers(piece) if at % 2 else [piece] for at, piece in enumerate(pieces)]
        found += map("".join, itertools.product(*choices))
    return found


def _numbers(inside: str) -> list[str]:
    found = []
    for first, last, step in _SPAN.findall(inside):
        numbers = range(int(first), int(last or first) + 1, int(step or 1))
        padded = first.startswith("0") and len(first) == len(last or first)
        found += [str(number).zfill(len(first)) if padded else str(number) for number in numbers]
    return found
