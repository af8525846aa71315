"""The last line of a gather on a terminal: how many nodes are in which state, and how long they took."""

from collections.abc import Iterable, Mapping, Sequence

from eccmgr.cluster.outcomes import Outcome, State
from eccmgr.text.counting import counted

_SIZES_SHOWN = 5
_ORDER = (
    *(State.OK, State.FAILED, State.REFUSED, State.LOST, State.ABSENT, State.MISSED, State.SKIPPED, State.ABORTED),
    *(State.RUNNING, State.PENDING),
)


def last_line(counts: Mapping[State, int], ok_sizes: Sequence[int], answered: Iterable[Outcome]) -> str:
    """`= 994 ok in 2 groups (942, 52), 3 failed, 3 lost; median 0.9 s, p95 1.9 s, slowest node77 4.1 s`.

    `ok_sizes` are the sizes of the groups that are ok, `answered` the outcomes of the nodes that answered.
    """
    states = [f"{counts[state]} {state}" for state in _ORDER if counts.get(state)]
    if counts.get(State.OK):
        states[0] += _groups(sorted(ok_sizes, reverse=True))
    return f"= {', '.join(states) or 'no node'}{_times(answered)}"


def _groups(sizes: Sequence[int]) -> str:
    if not sizes or sum(sizes) == 1:
        return ""
    if sizes[0] == 1:
        return ", no two alike"
    if len(sizes) == 1:
        return " in 1 group"
    listed = ", ".join(map(str, sizes[:_SIZES_SHOWN])) + (", …" if len(sizes) > _SIZES_SHOWN else "")
    return f" in {counted(len(sizes), 'group')} ({listed})"


def _times(answered: Iterable[Outcome]) -> str:
    outcomes = sorted(answered, key=lambda outcome: outcome.seconds)
    if not outcomes:
        return ""
    slowest = f"{outcomes[-1].node} {seconds(outcomes[-1].seconds)}"
    if len(outcomes) == 1:
        return f"; {slowest}"
    median, p95 = (seconds(outcomes[_rank(len(outcomes), share)].seconds) for share in (50, 95))
    return f"; median {median}, p95 {p95}, slowest {slowest}"


def _rank(number: int, percent: int) -> int:
    """The place of the nearest rank: the least value that `percent` of all do not exceed."""
    return max(0, -(-number * percent // 100) - 1)


def seconds(value: float) -> str:
    """`1.9 s`; under a tenth of a second `40 ms`."""
    return f"{value:.1f} s" if value >= 0.0995 else f"{value * 1000:.0f} ms"
