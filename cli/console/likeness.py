"""What two answers have in common: they are equal, or they differ only in numbers and in the node's own name."""

import enum
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

# A decimal number, but not a part of a version or an address: those are several whole numbers.
_NUMBER = re.compile(r"((?<![0-9.])[0-9]+\.[0-9]+(?:e[+-]?[0-9]{1,3})?(?!\.?[0-9])|[0-9]+)", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*+")
NODE = "{node}"
"""Stands in a shown text for the name of each node."""


class Folding(enum.StrEnum):
    """Which answers are shown once, under the names of all nodes that gave them."""

    OFF = "off"
    """None: each node has a line of its own."""
    ON = "on"
    """Equal ones."""
    SIMILAR = "similar"
    """Those that differ only in numbers and in the node's own name."""


class Likeness(NamedTuple):
    """A text without its numbers and its node's name. Between two names, the texts between the numbers."""

    parts: tuple[tuple[str, ...], ...]

    @property
    def has_name(self) -> bool:
        """Whether the node's own name is left out."""
        return len(self.parts) > 1

    def filled(self, numbers: Iterable[str]) -> str:
        """The text with `numbers` in it, and NODE for the name."""
        shown = iter(numbers)
        return NODE.join("".join((part[0], *(next(shown) + text for text in part[1:]))) for part in self.parts)


Numbers = tuple[str, ...]
Reading = Callable[[str, str], tuple[Likeness, Numbers]]
"""Reads the text that a node answered: what counts, and what does not. The arguments are the node's name and the
text."""


def whole(_node: str, text: str) -> tuple[Likeness, Numbers]:
    """The whole text counts."""
    return Likeness(((text,),)), ()


def but_for_numbers(node: str, text: str) -> tuple[Likeness, Numbers]:
    """The text counts but for its numbers and the node's own name (also its first label, and in either case)."""
    parts, numbers = [], list[str]()
    for part in _without_name(node, text):
        pieces = _NUMBER.split(part)
        parts.append(tuple(pieces[::2]))
        numbers += pieces[1::2]
    return Likeness(tuple(parts)), tuple(numbers)


def reading(folding: Folding) -> Reading:
    """How answers are read for `folding`."""
    return but_for_numbers if folding is Folding.SIMILAR else whole


def _without_name(node: str, text: str) -> list[str]:
    """The texts before, between and behind the node's name."""
    name = node.lower()
    label = name.partition(".")[0]
    lowered = text.lower()
    # A text with letters whose small form is longer keeps the names of its nodes.
    if label not in lowered or len(lowered) != len(text):
        return [text]
    parts, start = [], 0
    for word in _WORD.finditer(lowered):
        for own in (name, label):
            if word[0] == own or word[0].startswith(f"{own}."):
                parts.append(text[start : word.start()])
                start = word.start() + len(own)
                break
    return [*parts, text[start:]]


class Range(NamedTuple):
    """The numbers at one place of alike texts: whether they differ, and what is shown there."""

    varies: bool
    shown: str


def ranges(numbers: Iterable[Numbers]) -> Iterator[Range]:
    """For each place the number itself, or `{LEAST…MOST}`."""
    for column in map(set, zip(*numbers, strict=True)):
        least, most = (choose(column, key=lambda number: (float(number), number)) for choose in (min, max))
        yield Range(least != most, f"{{{least}…{most}}}" if least != most else least)


def order(numbers: Numbers) -> tuple[float, ...]:
    """A sort key of alike texts: by their first number, then by their second, and so on."""
    return tuple(map(float, numbers))
