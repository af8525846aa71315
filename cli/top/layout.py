"""Where the panes stand on a screen. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cli.top.rows import PANES, Pane

HEADER, FOOTER = 2, 1
"""Lines above and below the panes."""
_LEAST = 5
"""The fewest lines of a pane: its title, its headings, and three rows."""
_TWO_COLUMNS_FROM = 140
_BETWEEN = 1
COLUMNS_MIN, LINES_MIN = 40, HEADER + FOOTER + _LEAST


@dataclass(frozen=True, slots=True)
class Box:
    """The place of a pane, and its size."""

    pane: Pane
    column: int
    line: int
    width: int
    height: int


def boxes(columns: int, lines: int, wants: Mapping[str, int], chosen: Pane, *, alone: bool) -> list[Box]:
    """The places of the panes on a screen. `wants` are the lines that each pane would fill, by its digit.

    If there is no room for all, the last ones are left out, but never the `chosen` one; it may also stand `alone`.
    """
    height = lines - HEADER - FOOTER
    if alone:
        return [Box(chosen, 0, HEADER, columns, height)]
    if columns >= _TWO_COLUMNS_FROM:
        width = (columns - _BETWEEN) // 2
        left = _stacked(PANES[0::2], 0, width, height, wants, chosen)
        return [*left, *_stacked(PANES[1::2], width + _BETWEEN, columns - width - _BETWEEN, height, wants, chosen)]
    return _stacked(PANES, 0, columns, height, wants, chosen)


def _stacked(
    panes: Sequence[Pane], column: int, width: int, height: int, wants: Mapping[str, int], chosen: Pane
) -> list[Box]:
    room = max(1, height // _LEAST)
    shown = list(panes[:room])
    if chosen in panes and chosen not in shown:
        shown[-1] = chosen
    heights = _shared(height, [max(_LEAST, wants.get(pane.digit, _LEAST)) for pane in shown])
    placed, line = [], HEADER
    for pane, own in zip(shown, heights, strict=True):
        placed.append(Box(pane, column, line, width, own))
        line += own
    return placed


def _shared(height: int, wants: Sequence[int]) -> list[int]:
    """Share `height` among those that want so many lines each: everybody gets the least, then all alike what is left,
    but nobody more than it wants unless all have that."""
    shares = [min(_LEAST, height)] * len(wants)
    left = height - sum(shares)
    while left > 0:
        wanting = [number for number, want in enumerate(wants) if shares[number] < want] or [len(wants) - 1]
        for number in wanting[:left]:
            shares[number] += 1
        left -= min(left, len(wanting))
    return shares
