"""The differences between groups of answers: each group against the reference, the largest group that is ok."""

import difflib
from collections.abc import Iterator, Sequence

from cli.console.groups import Group
from eccmgr.cluster.names import RANGES_SHOWN, fold
from eccmgr.cluster.outcomes import State
from eccmgr.text.counting import counted

GROUPS_SHOWN = 20
_LINES_COMPARED = 1000
"""Of each text. The time to compare two texts may grow with the product of their lengths."""
_TEXTS = (State.OK, State.FAILED, State.REFUSED)


def differences(groups: Sequence[Group]) -> list[str]:
    """The answer of the reference, then for each other group what is different there, then the nodes without an
    answer."""
    by_size = sorted(groups, key=len, reverse=True)
    reference = next((group for group in by_size if group.state is State.OK), None)
    if reference is None:
        return [*(group.line() for group in groups), "No node answered ok, so there is no reference to compare with"]
    others = [group for group in by_size if group is not reference and group.state in _TEXTS]
    silent = [group.line() for group in groups if group.state not in _TEXTS]
    lines = [reference.line()]
    for other in others[:GROUPS_SHOWN]:
        lines += _unified(reference, other)
    if left := others[GROUPS_SHOWN:]:
        nodes = fold((node for group in left for node in group.nodes), RANGES_SHOWN)
        lines.append(f"{counted(len(left), 'more group')}: {nodes}")
    if not others:
        lines.append("All answers are equal")
    return [*lines, *silent]


def _unified(reference: Group, other: Group) -> Iterator[str]:
    old, new = (group.text.splitlines() for group in (reference, other))
    if max(len(old), len(new)) > _LINES_COMPARED:
        old, new = old[:_LINES_COMPARED], new[:_LINES_COMPARED]
        yield f"Only the first {_LINES_COMPARED} lines are compared:"
    yield f"--- {len(reference)} {reference.state} (the reference)"
    yield f"+++ {other.folded}  ({len(other)} {other.state})"
    # The titles are ours: they tell more than names of files.
    yield from list(difflib.unified_diff(old, new, lineterm=""))[2:]
