"""Parses a target: `@all`, `@SUBCLUSTER`, `@TAG:VALUE`, a node's name, a set such as `east[1-3,7]`, and several of
these with operators between them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from eccmgr.cluster import algebra, names, nodeset
from eccmgr.cluster.algebra import AllNodes, InSubcluster, Listed
from eccmgr.cluster.view import EVERYONE, Target, TargetKind, View
from eccmgr.errors import CommandError
from eccmgr.text.long_lines import off_loop
from eccmgr.text.target_words import looks_like_a_target

T = TypeVar("T")

_LARGE = 1000
"""In a view of more nodes, a target is read in a thread: it may take a tenth of a second."""
ABOUT_TARGETS = (
    "TARGET is @all, @NAME (a subcluster), @TAG:VALUE (the nodes with that tag; VALUE may hold * and ?),\n"
    "a node's name, a set of nodes such as east[1-3,7],west1, or several of these with operators\n"
    "between them, which count from left to right: , (and also) & (only those also in) ! (without)\n"
    "^ (in one of both); parentheses come first. With blanks in it, TARGET is quoted."
)


def read_target(word: str, view: View) -> Target:
    """Parse `word` as a target, which stands for the nodes of `view` from then on.

    Raises CommandError if it is faulty, or names an unknown node, subcluster or tag, or means no node.
    """
    expression = algebra.parse(word)
    match expression[0].operand if len(expression) == 1 else None:
        case AllNodes():
            return EVERYONE
        case InSubcluster(name):
            return Target(TargetKind.SUBCLUSTER, view.subcluster(name))
        case Listed((name,)) if "[" not in name:
            return Target(TargetKind.NODE, view.node(name).name)
    keys = algebra.nodes_of(expression, view)
    if len(keys) > nodeset.MAX_NAMES:
        raise nodeset.too_many()
    if not keys:
        raise CommandError(f"No node is in {word.strip()[:80]}")
    spelt = [view.spelling(key) for key in keys]
    where = algebra.written(expression, view) if algebra.names_groups(expression) else ""
    if len(spelt) == 1:
        return Target(TargetKind.NODE, spelt[0], where)
    target = Target(TargetKind.SET, names.fold(spelt), where)
    # Whoever uses the target finds these at hand.
    view.expected(target)
    return target


def one_node(word: str, view: View) -> Target:
    """Parse `word` as a node's name, or as a target that means one node. Raises CommandError."""
    if not looks_like_a_target(word):
        return Target(TargetKind.NODE, view.node(word).name)
    target = read_target(word, view)
    if len(seats := view.listed(target)) == 1:
        return Target(TargetKind.NODE, seats[0].name, target.where)
    shown = names.fold((seat.name for seat in seats), names.RANGES_SHOWN)
    raise CommandError(f"One node is wanted, but {word.strip()[:80]} means {len(seats)}: {shown}; use gather")


def nodes_of_target(word: str, view: View) -> Sequence[str]:
    """The names of the nodes of `view` that `word` means, a node's name or a target. Raises CommandError."""
    return [seat.name for seat in view.listed(read_target(word, view))]


async def read_in(view: View, read: Callable[[str], T], line: str) -> T:
    """The result of `read` for `line`, which may hold a target in `view`. In a large view, `read` runs in a thread."""
    if len(view.live) + len(view.absent) <= _LARGE:
        return await off_loop(read, line)
    return await asyncio.to_thread(read, line)
