"""Prints figures, each beside its floor or its peer, and beside its target."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure, as texts."""

    figure: str
    measured: str
    beside: str = ""
    target: str = ""


HEAD = Row("figure", "measured", "beside", "to reach")


def ratio(figure: str, ours: float, floor: float, unit: str, target: float | None, name: str = "floor") -> Row:
    """The row of a figure that should be at most `target` times another one, called `name`."""
    beside = f"{name} {floor:g} {unit}"
    times = f"{ours:g} {unit}  ({ours / floor:.3g} x)"
    return Row(figure, times, beside, "" if target is None else f"{target:g} x")


def render(rows: Iterable[Row]) -> str:
    """The rows as a table in columns."""
    cells = [(row.figure, row.measured, row.beside, row.target) for row in (HEAD, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
