"""How figures are printed: each beside its floor or its peer, and beside what it is to reach."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure, in words and numbers fit to read."""

    figure: str
    measured: str
    beside: str = ""
    target: str = ""


HEAD = Row("figure", "measured", "beside", "to reach")


def ratio(figure: str, ours: float, floor: float, unit: str, target: float | None, name: str = "floor") -> Row:
    """A figure that is to be at most `target` times another, which is called `name`."""
    beside = f"{name} {floor:g} {unit}"
    times = f"{ours:g} {unit}  ({ours / floor:.3g} x)"
    return Row(figure, times, beside, "" if target is None else f"{target:g} x")


def render(rows: Iterable[Row]) -> str:
    """The rows under each other, in columns."""
    cells = [(row.figure, row.measured, row.beside, row.target) for row in (HEAD, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
