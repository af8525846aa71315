"""Situations for placement, made in one line or drawn."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import strategies as st

from eccmgr.duravip.placement import Move, Placement, Situation
from eccmgr.duravip.shares import Share
from eccmgr.duravip.states import assess

NODES = ("east1", "east2", "east10", "west1", "west2")


def address(number: int) -> str:
    return f"10.1.1.{number}"


def situation(
    shares: Mapping[str, Mapping[str, Share]],
    owners: Mapping[str, str] | None = None,
    pins: Mapping[str, str] | None = None,
    drained: frozenset[str] = frozenset(),
    unable: Mapping[str, Mapping[str, str]] | None = None,
) -> Situation:
    return Situation(frozenset(shares), assess(shares), owners or {}, pins or {}, drained, unable or {})


def alike(nodes: str, shares: Mapping[str, Share]) -> dict[str, Mapping[str, Share]]:
    """A situation in which all of `nodes` (words) take part in the same VIPs."""
    return dict.fromkeys(nodes.split(), shares)


def plain(number: int, preference: str | None = None) -> dict[str, Share]:
    return {address(each): Share((f"d{each}",), preference) for each in range(1, number + 1)}


def after(where: Situation, moves: tuple[Move, ...]) -> Situation:
    """The situation once `moves` have been made."""
    return replace(where, owners={**where.owners, **{move.address: move.target for move in moves}})


def settled(where: Situation, found: Placement) -> dict[str, str]:
    return {**where.owners, **{move.address: move.target for move in found.moves}}


@st.composite
def situations(draw: st.DrawFn, *, evenly: bool = False, plainly: bool = False) -> Situation:
    """Any situation of up to five nodes.

    With `evenly`, all nodes can carry all VIPs. With `plainly`, there are also no preferences, pins or followers.
    """
    evenly = evenly or plainly
    nodes = draw(st.lists(st.sampled_from(NODES), min_size=1, unique=True))
    number = draw(st.integers(0, 14))
    addresses = [address(each) for each in range(1, number + 1)]
    leaders = addresses if plainly else addresses[: draw(st.integers(min(1, number), number))]
    node_or_none = st.none() | st.sampled_from(NODES)
    shares = {}
    for each in addresses:
        follows = None if each in leaders else draw(st.sampled_from(leaders))
        preference = None if plainly or follows else draw(node_or_none)
        shares[each] = Share((f"d{each}",), preference, follows)
    stated: dict[str, Mapping[str, Share]] = {}
    for node in nodes:
        out = set() if evenly else draw(st.sets(st.sampled_from(addresses), max_size=3)) if addresses else set()
        stated[node] = {each: s for each, s in shares.items() if each not in out and s.follows not in out}
    standings = assess(stated)
    owners = {each: node for each in standings if (node := draw(st.none() | st.sampled_from(standings[each].nodes)))}
    if plainly:
        return Situation(frozenset(nodes), standings, owners)
    pins = draw(st.dictionaries(st.sampled_from(addresses), st.sampled_from(NODES), max_size=3)) if addresses else {}
    drained = draw(st.frozensets(st.sampled_from(NODES), max_size=1))
    if evenly:
        return Situation(frozenset(nodes), standings, owners, pins, drained)
    why = st.just("eth1 is down")
    some = st.dictionaries(st.sampled_from(addresses), why, max_size=3) if addresses else st.just(dict[str, str]())
    unable = draw(st.dictionaries(st.sampled_from(NODES), some, max_size=2))
    return Situation(frozenset(nodes), standings, owners, pins, drained, unable)
