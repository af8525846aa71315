"""Splits many VIPs over several calls."""

from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")
BATCH = 250
"""The maximum number of VIPs in one call: no call may hold Redis up for long."""


def batches(items: list[T]) -> Iterator[list[T]]:
    """The items in order, at most BATCH at a time."""
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
