"""Puts into words how long nodes have been absent."""

import math
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from eccmgr.cluster.names import RANGES_SHOWN, fold, split_folded

if TYPE_CHECKING:
    from eccmgr.cluster.view import Seat


def absence(since_ms: int | None, now_s: float | None = None) -> str:
    """`since 09:07`; with the date if that day is not the day of `now_s` (Unix time; None: now).

    `never seen` for a node that never came.
    """
    if since_ms is None:
        return "never seen"
    then, today = time.localtime(since_ms / 1000), time.localtime(now_s)
    return time.strftime("since %H:%M" if then[:3] == today[:3] else "since %Y-%m-%d %H:%M", then)


def absent_for(since_ms: int | None, now_s: float | None = None) -> str:
    """`absent since 09:07`, or `absent, never seen`."""
    return f"absent{',' if since_ms is None else ''} {absence(since_ms, now_s)}"


def absent_nodes(absent: "Iterable[Seat]", now_s: float | None = None) -> str:
    """`east[33,36] since 09:07, west9 never seen`: the longest absent nodes first. Of many nodes, this names only the
    first ranges."""
    alike: dict[str, list[str]] = {}
    for seat in sorted(absent, key=lambda seat: math.inf if seat.since_ms is None else seat.since_ms):
        alike.setdefault(absence(seat.since_ms, now_s), []).append(seat.name)
    said: list[str] = []
    left, unsaid = RANGES_SHOWN, sum(map(len, alike.values()))
    for when, called in alike.items():
        if left <= 0:
            return f"{', '.join(said)} and {unsaid} more nodes"
        folded = fold(called, left)
        said.append(f"{folded} {when}")
        left -= len(split_folded(folded))
        unsaid -= len(called)
    return ", ".join(said)
