"""Renders a table as text."""

from collections.abc import Sequence


def columns(headings: Sequence[str], rows: Sequence[Sequence[str]], widest: int = 1000) -> str:
    """The table, with two blanks between columns. A cell longer than `widest` does not widen its column."""
    table = [headings, *rows]
    widths = [min(max(len(row[column]) for row in table), widest) for column in range(len(headings) - 1)]
    return "\n".join(
        "  ".join((*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1])) for row in table
    )
