"""Renders outcomes as a table: outage, takeover, time with two holders, and the time after the healing."""

import statistics
from collections.abc import Iterable, Sequence

from tests.fault.lab.scene import Outcome

HEAD = ("fault", "n", "outage", "taken over", "two holders", "after Redis is back", "after healing")


def rows(outcomes: Iterable[Outcome]) -> list[tuple[str, ...]]:
    """One row for each fault, in the order of first occurrence. Times are shown as least / median / most."""
    by_fault: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_fault.setdefault(outcome.fault, []).append(outcome)
    return [(fault, *_row(played)) for fault, played in by_fault.items()]


def _row(played: Sequence[Outcome]) -> tuple[str, ...]:
    unlawful = [each for each in played if not each.lawful]
    two = "none"
    if unlawful:
        two = f"{len(unlawful)} of {len(played)}, {spread([each.overlap for each in unlawful])}"
    taken = [each.taken for each in played if each.taken is not None]
    back = [each.recovery for each in played if each.recovery is not None]
    left = sum(not each.ended for each in played)
    after = spread([each.healing for each in played]) + (f"; {left} not ended" if left else "")
    return (
        str(len(played)),
        spread([each.outage for each in played]),
        spread(taken) if taken else "–",
        two,
        spread(back) if back else "–",
        after,
    )


def spread(values: Sequence[float]) -> str:
    """The least, median and most of the times, in seconds."""
    return " / ".join(f"{each / 1000:.2f}" for each in (min(values), statistics.median(values), max(values)))


def markdown(outcomes: Iterable[Outcome]) -> str:
    """The table in Markdown."""
    lines = [HEAD, tuple("---" for _ in HEAD), *rows(outcomes)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
