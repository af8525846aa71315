"""Levels the load of nodes by few moves; each item may go to some of the nodes only."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

Candidates = tuple[str, ...]
_Shelves = dict[str, dict[Candidates, list[int]]]
"""For each node: its items, grouped by the nodes that may have them."""


def level(items: Sequence[tuple[str, Candidates]], load: dict[str, int]) -> dict[int, str]:
    """The moves that level the loads: the new node of each item that moves, by the item's index in `items`.

    If every node may have every item, the number of moves is the smallest possible; else it is small. The moves are in
    the order in which they should happen: after the first few, the rest is still right.

    An item is a pair: its node, and all nodes that may have it. `load` is the number of items on each node, with those
    that always stay; it is updated. Afterwards no item can reach a node whose load is lower by two or more, neither
    directly nor by a chain in which each item takes the place of the next.
    """
    load_before = dict(load)
    shelves: _Shelves = {node: {} for node in load}
    for index, (node, candidates) in enumerate(items):
        shelves[node].setdefault(candidates, []).append(index)
    at_node = {index: node for index, (node, _) in enumerate(items)}
    longest = 1
    # Each node of a way has an item to give on, but the last one.
    most = min(len(load) - 1, len(items))
    while longest <= most and max(load.values()) - min(load.values()) > 1:
        path = _next_way(shelves, load, longest)
        if path is None:
            longest += 1
            continue
        _shift(path, shelves, at_node)
        load[path[0]] -= 1
        load[path[-1]] += 1
        longest = 1
    return _in_order({index: node for index, node in at_node.items() if node != items[index][0]}, items, load_before)


def _next_way(shelves: _Shelves, load: dict[str, int], longest: int) -> list[str] | None:
    """A way of at most `longest` steps from the heaviest node that has one; None if no node has one."""
    floor = min(load.values())
    heavy = (node for node, items in load.items() if items - floor > 1)
    for source in sorted(heavy, key=lambda node: (-load[node], node)):
        path = _way_down(source, shelves, load, longest)
        if path is not None:
            return path
    return None


def _way_down(source: str, shelves: _Shelves, load: dict[str, int], longest: int) -> list[str] | None:
    """The way from a node to the lightest node that can take an item from it; None if that would level nothing."""
    came_from: dict[str, str] = {source: source}
    edge = [source]
    lowest, best, floor = load[source] - 1, None, min(load.values())
    for _ in range(longest):
        if lowest == floor or not edge:
            break
        reached = []
        for node in edge:
            for candidates, there in shelves[node].items():
                if not there:
                    continue
                for other in candidates:
                    if other in came_from:
                        continue
                    came_from[other] = node
                    reached.append(other)
                    if load[other] < lowest:
                        lowest, best = load[other], other
        edge = reached
    if best is None:
        return None
    path = [best]
    while path[-1] != source:
        path.append(came_from[path[-1]])
    return path[::-1]


def _shift(path: list[str], shelves: _Shelves, at_node: dict[int, str]) -> None:
    """Move one item along each step of a path, the last step first."""
    for node, following in zip(path[-2::-1], path[:0:-1], strict=True):
        candidates = min(group for group, there in shelves[node].items() if there and following in group)
        item = shelves[node][candidates].pop()
        at_node[item] = following
        shelves[following].setdefault(candidates, []).append(item)


def _in_order(moves: dict[int, str], items: Sequence[tuple[str, Candidates]], load: dict[str, int]) -> dict[int, str]:
    """The same moves in another order: each move goes to the node that is then the lightest. In a chain, the item that
    makes room goes first."""
    left: dict[str, deque[int]] = {}
    for index, node in moves.items():
        left.setdefault(node, deque()).append(index)
    ordered = {}
    while left:
        target = min(left, key=lambda node: (load[node], node))
        index = left[target].popleft()
        if not left[target]:
            del left[target]
        ordered[index] = target
        load[target] += 1
        load[items[index][0]] -= 1
    return ordered
