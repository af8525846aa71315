"""Node sets and targets mean what they look like, and a folded set reads back to the same set."""

import itertools
import re

from eccmgr.cluster import algebra, names, nodeset
from eccmgr.cluster.view import Seat, View
from eccmgr.commands.gather import GatherWish
from eccmgr.commands.normal_form import normal_form
from eccmgr.commands.target import read_target
from eccmgr.errors import UsageError
from eccmgr.text.naming import is_plain_name
from eccmgr.text.tags import LONGEST_LINE, TagError, line_of, read_line
from eccmgr.text.target_words import looks_like_a_target
from eccmgr.text.unseen import first_unseen
from eccmgr.text.words import quote
from tests.fuzz.target import fuzzed, text_of

_WORDS = (b"east[1-3,7],west1", b"[01-10]", b"[1-9/2]", b"@all", b"@east", b"[5]", b",", b"-", b"/", b"]", b"a1[5-10]")
_OPERATORS = (b"&", b"!", b"^", b"(", b")", b" ", b"@role:m*", b"role:mta", b"@all!east1", b"((w))", b"@west^")
_SMALL = 200
"""The maximum number of names in a set that the target also spells out itself."""
_NAMES = ("east1", "east2", "east10.example.com", "w")
_VIEW = View(1, {name: Seat(f"#ec0-1-a#{name}", name, "east", tag_line="role=mta") for name in _NAMES}, {})
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
    target = read_target(text_of(data), _VIEW)
    assert all(seat in _VIEW.live.values() for part in _VIEW.expected(target) for seat in part)


@fuzzed(words=(*_WORDS, *_OPERATORS))
def target_algebra(data: bytes) -> None:
    """A target with operators is a set of the view, and a gather sees the same target as its normal form."""
    text = text_of(data)
    nodes = algebra.nodes_of(algebra.parse(text), _VIEW)
    assert nodes <= _VIEW.live.keys()
    assert algebra.nodes_of(algebra.parse(f"({text})"), _VIEW) == nodes
    assert algebra.nodes_of(algebra.parse(f"@all!({text})"), _VIEW) == _VIEW.live.keys() - nodes
    if nodes and looks_like_a_target(text) and not first_unseen(text):
        line = f"{quote(text)} version"
        assert GatherWish.parse(line, _VIEW).text == "version"
        assert str(normal_form(f"gather {line}").carried) == "version"


@fuzzed(TagError, words=(b"role=mta ", b"os=linux ", b"=", b"Role=", b"a.b-c_9=x+1 ", b"dc=ams"))
def tag_lines(data: bytes) -> None:
    """Tags that are read are written as they were, and have bounds."""
    tags = read_line(text_of(data))
    assert read_line(line_of(tags)) == tags
    assert len(line_of(tags)) <= LONGEST_LINE
    assert all(name == name.lower() and value for name, value in tags.items())


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
