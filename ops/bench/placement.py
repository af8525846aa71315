"""Placement of 10,240 VIPs on 4 and on 40 nodes: from nothing, after a death, for a new node, and without a change."""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from eccmgr.duravip.placement import Situation, place
from eccmgr.duravip.shares import Share
from eccmgr.duravip.states import assess
from ops.bench.table import Row

_VIPS = 10_240
_ROUNDS = 5


def measure() -> dict[str, Any]:
    """The figures: medians in seconds of processor time, by number of nodes."""
    return {"vips": _VIPS, "target_s": 1, **{f"{nodes}_nodes": _figures(nodes) for nodes in (4, 40)}}


def rows(figures: dict[str, Any]) -> list[Row]:
    """The rows of the printed table."""
    words = {
        "first_s": "all at once",
        "one_died_s": "one node died",
        "one_came_s": "one came",
        "uneven_sets_s": "uneven sets",
    }
    return [
        Row(
            f"placement of {figures['vips']:,} VIPs, {nodes} nodes, {what}",
            f"{figures[f'{nodes}_nodes'][name]} s",
            f"sorting them {figures[f'{nodes}_nodes']['floor_s']} s",
            f"{figures['target_s']} s",
        )
        for nodes in (4, 40)
        for name, what in words.items()
    ]


def _figures(number: int) -> dict[str, float]:
    nodes = [f"node{each}" for each in range(number)]
    shares = {_address(each): Share((f"duravip-{each}",)) for each in range(_VIPS)}
    stated = dict.fromkeys(nodes, shares)
    apart = {node: {address: Share(*share) for address, share in shares.items()} for node in nodes}
    empty = Situation(frozenset(nodes), assess(stated))
    settled = Situation(empty.nodes, empty.standings, {move.address: move.target for move in place(empty).moves})
    late = {address: node for address, node in settled.owners.items() if node != nodes[0]}
    chance = random.Random(1)
    some = {address: tuple(chance.sample(nodes, 3)) for address in shares}
    partly = {node: {each: shares[each] for each, takers in some.items() if node in takers} for node in nodes}
    uneven = Situation(empty.nodes, assess(partly), {address: min(takers) for address, takers in some.items()})
    crowded = Situation(empty.nodes, empty.standings, dict.fromkeys(shares, nodes[0]))
    return {
        "assess_s": _median(lambda: assess(apart)),
        "first_s": _median(lambda: place(empty)),
        "settled_s": _median(lambda: place(settled)),
        "one_died_s": _median(lambda: place(settled.without(nodes[0]))),
        "one_came_s": _median(lambda: place(Situation(empty.nodes, empty.standings, late))),
        "all_on_one_s": _median(lambda: place(crowded)),
        "uneven_sets_s": _median(lambda: place(uneven)),
        "floor_s": _median(lambda: sorted(shares)),
    }


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _median(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return round(statistics.median(times), 4)
