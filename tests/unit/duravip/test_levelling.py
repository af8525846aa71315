"""Levelling: the best that the sets of nodes allow, held against every possibility."""

import itertools
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from eccmgr.duravip.levelling import level

NODES = ("a", "b", "c", "d")
items = st.lists(
    st.sets(st.sampled_from(NODES), min_size=1).flatmap(
        lambda nodes: st.tuples(st.sampled_from(sorted(nodes)), st.just(tuple(sorted(nodes))))
    ),
    max_size=6,
)
others = st.fixed_dictionaries({node: st.integers(0, 3) for node in NODES})


def loads(places: tuple[str, ...], fixed: dict[str, int]) -> tuple[int, ...]:
    """The loads, the heaviest first: of two, the lesser is the more level one."""
    on = Counter(places)
    return tuple(sorted((fixed[node] + on[node] for node in NODES), reverse=True))


@settings(deadline=None)
@given(items, others)
def test_no_other_arrangement_is_more_level_and_none_as_level_takes_fewer_moves(
    found: list[tuple[str, tuple[str, ...]]], fixed: dict[str, int]
) -> None:
    before = tuple(node for node, _ in found)
    load = {node: fixed[node] + before.count(node) for node in NODES}
    moves = level(found, load)
    after = tuple(moves.get(at, node) for at, node in enumerate(before))
    assert all(node in candidates for node, (_, candidates) in zip(after, found, strict=True))
    assert load == {node: fixed[node] + after.count(node) for node in NODES}
    every = list(itertools.product(*(candidates for _, candidates in found)))
    best = min(loads(places, fixed) for places in every)
    assert loads(after, fixed) == best
    fewest = min(
        sum(one != other for one, other in zip(places, before, strict=True))
        for places in every
        if loads(places, fixed) == best
    )
    assert len(moves) == fewest


def test_a_chain_makes_room_from_its_end() -> None:
    load = {"a": 2, "b": 1, "c": 0}
    assert list(level([("a", ("a", "b")), ("a", ("a",)), ("b", ("b", "c"))], load).items()) == [(2, "c"), (0, "b")]
