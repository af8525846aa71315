"""Levelling: the best result that the sets of nodes allow, compared with every possibility."""

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eccmgr.duravip import levelling
from eccmgr.duravip.levelling import level

NODES = ("a", "b", "c", "d")
Items = list[tuple[str, tuple[str, ...]]]
items = st.lists(
    st.sets(st.sampled_from(NODES), min_size=1).flatmap(
        lambda nodes: st.tuples(st.sampled_from(sorted(nodes)), st.just(tuple(sorted(nodes))))
    ),
    max_size=6,
)
others = st.fixed_dictionaries({node: st.integers(0, 3) for node in NODES})


def loads(places: tuple[str, ...], fixed: dict[str, int]) -> tuple[int, ...]:
    """The loads, the heaviest first. Of two results, the smaller one is more level."""
    on = Counter(places)
    return tuple(sorted((fixed[node] + on[node] for node in NODES), reverse=True))


def fewest(found: Items, fixed: dict[str, int], best: tuple[int, ...]) -> int:
    """The least number of moves that leads to the loads `best`."""
    every = itertools.product(*(candidates for _, candidates in found))
    return min(
        sum(place != node for place, (node, _) in zip(places, found, strict=True))
        for places in every
        if loads(places, fixed) == best
    )


@settings(deadline=None)
@given(items, others)
def test_no_other_arrangement_is_more_level(found: Items, fixed: dict[str, int]) -> None:
    before = tuple(node for node, _ in found)
    load = {node: fixed[node] + before.count(node) for node in NODES}
    moves = level(found, load)
    after = tuple(moves.get(at, node) for at, node in enumerate(before))
    assert all(node in candidates for node, (_, candidates) in zip(after, found, strict=True))
    assert load == {node: fixed[node] + after.count(node) for node in NODES}
    best = min(loads(places, fixed) for places in itertools.product(*(candidates for _, candidates in found)))
    assert loads(after, fixed) == best


@settings(deadline=None)
@given(st.lists(st.sampled_from(NODES), max_size=6), others)
def test_movable_items_are_levelled_by_fewest_moves(on: list[str], fixed: dict[str, int]) -> None:
    found = [(node, NODES) for node in on]
    load = {node: fixed[node] + on.count(node) for node in NODES}
    moves = level(found, load)
    assert len(moves) == fewest(found, fixed, tuple(sorted(load.values(), reverse=True)))


def test_level_nodes_are_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levelling, "_way_down", None)
    nodes = tuple(f"n{number}" for number in range(100))
    assert level([("n1", nodes), ("n2", nodes)], {node: int(node in ("n1", "n2")) for node in nodes}) == {}


def test_no_way_is_longer_than_its_items(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(levelling, "_way_down", lambda *found: asked.append(found[-1]))
    load = {f"n{number}": 3 * (number == 0) for number in range(100)}
    assert level([("n0", ("n0",))] * 3, load) == {}
    assert asked == [1, 2, 3]


def test_a_chain_makes_room_from_its_end() -> None:
    load = {"a": 2, "b": 1, "c": 0}
    assert list(level([("a", ("a", "b")), ("a", ("a",)), ("b", ("b", "c"))], load).items()) == [(2, "c"), (0, "b")]


def test_several_crowded_nodes_are_unloaded_evenly() -> None:
    load = {"a": 10, "b": 10, "c": 0}
    moves = level([("a", ("a", "b", "c"))] * 10 + [("b", ("a", "b", "c"))] * 10, load)
    assert (len(moves), sorted(load.values())) == (6, [6, 7, 7])


def test_one_step_is_taken_rather_than_two() -> None:
    load = {"a": 3, "b": 3, "c": 1, "d": 1}
    anywhere, few = ("a", "b", "c", "d"), ("a", "b")
    moves = level([("b", anywhere), ("b", few), ("b", few), ("a", few), ("c", anywhere), ("d", anywhere)], load)
    assert moves == {0: "c"}
