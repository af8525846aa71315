"""`\\compare`: which nodes answered differently than in the run before. Pure."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from cli.console.reports import KeptReport, NodeAnswer
from eccmgr.cluster.names import fold, natural
from eccmgr.text.counting import counted

_GROUPS_MAX = 20
_LINES_MAX = 20


@dataclass(frozen=True)
class ChangedAnswer:
    """The nodes that gave the same answer before, and the same other answer now. One that did not take part in a run
    has None there."""

    nodes: tuple[str, ...]
    before: str | None
    now: str | None


def changes(before: KeptReport, now: KeptReport) -> list[ChangedAnswer]:
    """The nodes whose answers differ between two runs; those with the same change together."""
    then, present = _by_node(before), _by_node(now)
    alike: dict[tuple[str | None, str | None], list[str]] = {}
    for key in sorted(then.keys() | present.keys(), key=natural):
        pair = tuple(str(found[key]) if key in found else None for found in (then, present))
        if pair[0] != pair[1]:
            alike.setdefault((pair[0], pair[1]), []).append((present.get(key) or then[key]).node)
    return [ChangedAnswer(tuple(nodes), *pair) for pair, nodes in alike.items()]


def told(before: KeptReport, now: KeptReport) -> str:
    """The changes as text."""
    changed = changes(before, now)
    number = sum(len(change.nodes) for change in changed if None not in (change.before, change.now))
    head = f"{now.id} against {before.id}: "
    if not changed:
        return f"{head}no node changed its answer"
    more = len(changed) - _GROUPS_MAX
    of_all = f"{number} of {counted(len(now.nodes), 'node')} changed"
    lines = [line for change in changed[:_GROUPS_MAX] for line in _lines(change)]
    return "\n".join([head + of_all, *lines, *([f"and {more} more kinds of change"] if more > 0 else [])])


def _by_node(report: KeptReport) -> dict[str, NodeAnswer]:
    return {answer.node.lower(): answer for answer in report.nodes}


def _lines(change: ChangedAnswer) -> Iterator[str]:
    name = fold(change.nodes)
    if change.before is None or change.now is None:
        yield f"{name}: only in the run {'now' if change.before is None else 'before'}"
    elif len(f"{change.before}.{change.now}.".splitlines()) == 1:
        yield f"{name}: {change.before}  →  {change.now}"
    else:
        yield f"{name}:"
        differing = list(difflib.unified_diff(change.before.splitlines(), change.now.splitlines(), n=1, lineterm=""))
        yield from (f"  {line}".rstrip() for line in differing[2 : _LINES_MAX + 2])
        if len(differing) > _LINES_MAX + 2:
            yield f"  … {len(differing) - _LINES_MAX - 2} more lines"
