"""Placement: every node computes the same owners of the VIPs, with few moves."""

import random
from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from eccmgr.duravip.placement import Situation, home_of, next_batch, place, preferred_node
from eccmgr.duravip.shares import Share
from tests.unit.duravip.situations import address, after, alike, plain, settled, situation, situations

A, B, C = address(1), address(2), address(3)


def loads(where: Situation) -> Counter[str]:
    found = Counter(where.owners.get(each) for each, s in where.standings.items() if s.follows is None)
    return Counter({node: found[node] for node in where.nodes - where.drained})


def test_uncarried_vip_goes_to_its_preferred_node_immediately() -> None:
    found = place(situation(alike("east1 east2", plain(1, "east2"))))
    assert [(move.address, move.source, move.target) for move in found.takeovers] == [(A, None, "east2")]
    assert found.takeovers[0].reason == "its preferred node"


def test_preference_takes_short_or_full_name() -> None:
    short = place(situation(alike("a.example.com b.example.com", plain(1, "b"))))
    full = place(situation(alike("a b", plain(1, "B.example.com"))))
    assert (short.moves[0].target, full.moves[0].target) == ("b.example.com", "b")


def test_vip_without_preferred_node_goes_to_the_emptiest() -> None:
    shares = {**plain(3), B: Share(("d2",), "west1")}
    found = place(situation(alike("east1 east2", shares), {A: "east1", C: "east1"}))
    assert [(move.address, move.target, move.reason) for move in found.takeovers] == [(B, "east2", "the fewest VIPs")]


def test_dead_nodes_vips_are_spread_at_once() -> None:
    whole = situation(alike("a b c", plain(9)))
    whole = after(whole, place(whole).moves)
    found = place(whole.without("c"))
    assert {move.address for move in found.takeovers} == {each for each, owner in whole.owners.items() if owner == "c"}
    assert not found.departures
    assert not found.balancing
    assert sorted(Counter(settled(whole, found).values()).values()) == [4, 5]


def test_misplaced_vip_goes_home_while_others_stay() -> None:
    shares = {A: Share(("a",), "east1"), B: Share(("b",), "east2"), C: Share(("c",))}
    found = place(situation(alike("east1 east2", shares), {A: "east2", B: "east2", C: "east1"}))
    assert [(move.address, move.target, move.reason) for move in found.balancing] == [
        (A, "east1", "its preferred node")
    ]
    assert not found.takeovers


def test_newcomer_gets_its_share_by_fewest_moves() -> None:
    found = place(situation(alike("a b c", plain(9)), {address(n): "ab"[n % 2] for n in range(1, 10)}))
    assert len(found.balancing) == 3
    assert {move.target for move in found.balancing} == {"c"}


def test_chain_of_vips_levels_nodes_that_share_none() -> None:
    stated = {"a": {A: Share(), B: Share()}, "b": {B: Share(), C: Share()}, "c": {C: Share()}}
    found = place(situation(stated, {A: "a", B: "a", C: "b"}))
    assert settled(situation(stated, {A: "a"}), found) == {A: "a", B: "b", C: "c"}


def test_pinned_vip_stays_and_is_not_levelled() -> None:
    where = situation(alike("a b", plain(4, "a")), dict.fromkeys(plain(4), "b"), dict.fromkeys(plain(4), "b"))
    assert not place(where).moves
    assert home_of(where, A) == "a"


def test_pin_ends_with_its_owner_but_survives_moves() -> None:
    shares = alike("a b c", plain(1, "a"))
    assert place(situation(shares, {A: "c"}, {A: "b"})).moves[0].target == "a"
    assert place(situation(shares, {}, {A: "b"})).moves[0].target == "b"
    assert place(situation(shares, {}, {A: "dead"})).moves[0].target == "a"


def test_drained_node_is_emptied_and_gets_nothing() -> None:
    where = situation(alike("a b", plain(4, "a")), {A: "a"}, drained=frozenset({"a"}))
    found = place(where)
    assert [(move.address, move.target) for move in found.departures] == [(A, "b")]
    assert found.departures[0].reason == "a is drained; the fewest VIPs"
    assert {move.target for move in found.moves} == {"b"}


def test_only_possible_node_keeps_its_vip_though_drained() -> None:
    found = place(situation(alike("a", plain(1)), {A: "a"}, drained=frozenset({"a"})))
    assert (found.moves, found.stranded) == ((), {A: "a is drained"})


def test_node_with_interface_down_gets_no_vips() -> None:
    found = place(situation(alike("a b", plain(2)), {A: "a", B: "a"}, unable={"a": {A: "eth1 is down"}}))
    assert [(move.address, move.target, move.reason) for move in found.departures] == [
        (A, "b", "a cannot carry it now; the fewest VIPs")
    ]


def test_a_broken_vip_is_neither_granted_nor_moved() -> None:
    stated = {"a": {A: Share(("x",)), B: Share(("y",))}, "b": {A: Share(("z",)), B: Share(("y",))}}
    assert {move.address for move in place(situation(stated)).moves} == {B}


def test_followers_go_with_their_leader_wherever_it_goes() -> None:
    shares = {A: Share(("a",), "east1"), B: Share((), None, A), C: Share((), None, A)}
    at_home = place(situation(alike("east1 east2", shares), {A: "east2", B: "east2", C: "east2"}))
    assert {(move.address, move.target, move.unit) for move in at_home.balancing} == {
        (each, "east1", A) for each in (A, B, C)
    }
    parted = place(situation(alike("east1 east2", shares), {A: "east1", B: "east2"}))
    assert [(move.address, move.target) for move in parted.departures] == [(B, "east1")]
    assert [(move.address, move.target) for move in parted.takeovers] == [(C, "east1")]


def test_leader_goes_where_all_its_followers_can_go() -> None:
    stated = {"east1": {A: Share(("a",), "east1")}, "east2": {A: Share(("a",), "east1"), B: Share((), None, A)}}
    assert {(move.address, move.target) for move in place(situation(stated)).moves} == {(A, "east2"), (B, "east2")}


def test_follower_that_cannot_go_stays_with_its_leader() -> None:
    found = place(situation({"east1": {A: Share()}, "east2": {B: Share((), None, A)}}))
    assert [(move.address, move.target) for move in found.moves] == [(A, "east1")]
    assert found.stranded == {B: f"it follows {A}, and east1 takes no part in it"}


def test_a_batch_never_parts_a_unit() -> None:
    shares = {A: Share(("a",), "a"), B: Share((), None, A), C: Share((), None, A), address(4): Share(("d",), "a")}
    found = place(situation(alike("a b", shares), dict.fromkeys(shares, "b"))).balancing
    assert [len(next_batch(found, size)) for size in (1, 3, 4, 10)] == [3, 3, 4, 4]
    assert next_batch((), 5) == ()


def test_a_preference_that_fits_several_nodes_is_none() -> None:
    where = situation(alike("a.x a.y", plain(1, "a")))
    assert preferred_node(where.standings[A], where.nodes) is None


@settings(deadline=None)
@given(situations(), st.randoms(use_true_random=False))
def test_every_node_computes_alike_for_any_input_order(where: Situation, chance: random.Random) -> None:
    def shuffled(mapping: dict[str, object]) -> dict[str, object]:
        items = list(mapping.items())
        chance.shuffle(items)
        return dict(items)

    other = replace(
        where,
        standings=shuffled(dict(where.standings)),  # type: ignore[arg-type]
        owners=shuffled(dict(where.owners)),
        pins=shuffled(dict(where.pins)),
        unable=shuffled(dict(where.unable)),
    )
    assert place(other) == place(where)


@settings(deadline=None)
@given(situations())
def test_repeated_moves_come_to_an_end(where: Situation) -> None:
    for _ in range(6):
        found = place(where)
        if not found.moves:
            break
        where = after(where, found.moves)
    assert not place(where).moves


@settings(deadline=None)
@given(situations(evenly=True), st.integers(1, 3))
def test_batches_move_nothing_twice_and_at_most_all(where: Situation, size: int) -> None:
    where = after(where, place(where).takeovers)
    where = after(where, place(where).departures)
    expected = {(move.address, move.target) for move in place(where).balancing}
    moved: Counter[str] = Counter()
    while batch := next_batch(place(where).balancing, size):
        moved.update(move.address for move in batch)
        where = after(where, batch)
        assert max(moved.values()) == 1
    assert moved.total() == len(expected)


@settings(deadline=None)
@given(situations(), st.integers(1, 3))
def test_batches_come_to_an_end(where: Situation, size: int) -> None:
    for _ in range(60):
        found = place(where)
        batch = (*found.takeovers, *found.departures) or next_batch(found.balancing, size)
        where = after(where, batch)
    assert not place(where).moves


@settings(deadline=None)
@given(situations())
def test_no_vip_goes_where_nothing_can_carry_it(where: Situation) -> None:
    for _ in range(6):
        where = after(where, place(where).moves)
    found = place(where)
    for each, standing in where.standings.items():
        owner = where.owners.get(each)
        if each in found.stranded:
            continue
        assert owner in standing.nodes
        assert owner not in where.drained
        if standing.follows is not None:
            assert owner == where.owners.get(standing.follows)
        elif not any(other.follows == each for other in where.standings.values()):
            assert each not in where.unable.get(owner or "", ())


@settings(deadline=None)
@given(situations())
def test_pins_and_preferences_are_never_levelled_away(where: Situation) -> None:
    for move in place(where).balancing:
        standing = where.standings[move.unit]
        assert where.pins.get(move.unit) != move.source or move.source in where.drained
        assert preferred_node(standing, where.nodes) != move.source or where.pins.get(move.unit) == move.target


@settings(deadline=None)
@given(situations(plainly=True))
def test_the_load_is_level_after_the_fewest_moves(where: Situation) -> None:
    where = after(where, place(where).takeovers)
    found = place(where).balancing
    before, ends = loads(where), loads(after(where, found))
    assert max(ends.values()) - min(ends.values()) <= 1
    low, larger = divmod(sum(before.values()), len(before))
    quota = sorted((low + 1 if at < larger else low for at in range(len(before))), reverse=True)
    fewest = sum(max(0, have - may) for have, may in zip(sorted(before.values(), reverse=True), quota, strict=True))
    assert len(found) == fewest


@settings(deadline=None)
@given(situations(plainly=True), st.lists(st.sampled_from(range(1, 15)), max_size=5))
def test_nodes_that_nobody_prefers_are_level_among_themselves(where: Situation, preferring: list[int]) -> None:
    one = min(where.nodes)
    standings = {
        each: replace(standing, preference=one) if each in map(address, preferring) else standing
        for each, standing in where.standings.items()
    }
    where = replace(where, standings=standings)
    for _ in range(3):
        where = after(where, place(where).moves)
    others = [load for node, load in loads(where).items() if node != one]
    assert max(others, default=0) - min(others, default=0) <= 1
