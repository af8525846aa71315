"""How nodes agree on each VIP. This is worked out anew from their present statements, so no state outlives its
cause."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from eccmgr.cluster.names import fold, natural, same_node
from eccmgr.duravip.shares import MAX_VIPS, Share, Shares

_RANGES = 5
"""The maximum number of node ranges that a reason names for one statement."""


class Ownership(StrEnum):
    """Whether a VIP is carried."""

    OWNED = "owned"
    """A node has plumbed it."""
    UNOWNED = "unowned"
    """Nobody carries it."""
    MOVING = "moving"
    """Its owner is giving it up for another node."""


class Agreement(StrEnum):
    """The agreement of nodes on a VIP. If several of these hold, the last one counts."""

    SAFE = "safe"
    """They agree on everything."""
    UNSAFE = "UNSAFE"
    """They disagree on the services of its address. The VIP is still managed."""
    CONFLICT = "CONFLICT"
    """They disagree on its preference, or on the VIP that it follows. Neither counts, and the VIP is placed like any
    other."""
    BROKEN = "BROKEN"
    """They disagree on its name or address. The VIP is not managed until that is mended."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """The nodes' statements about one VIP, taken together.

    `nodes` take part in it. `preference` is None if the VIP has no preference, or if nodes disagree on it; the same
    holds for `follows`, an address. `reason` says on what nodes disagree; it is empty if they agree on everything.
    """

    agreement: Agreement
    nodes: tuple[str, ...]
    names: tuple[str, ...] = ()
    preference: str | None = None
    follows: str | None = None
    reason: str = ""

    @property
    def managed(self) -> bool:
        """Whether placement may grant or move it."""
        return self.agreement is not Agreement.BROKEN


@lru_cache(MAX_VIPS)
def in_order(address: str) -> tuple[int, bytes]:
    """A sort key for addresses: 10.1.1.9 before 10.1.1.10, and IPv4 before IPv6."""
    parsed = ipaddress.ip_address(address)
    return parsed.version, parsed.packed


_Parts = Sequence[tuple[tuple[str, ...], Share]]
"""The statements about one VIP, grouped: the nodes of a group state the same."""


def assess(stated: Mapping[str, Shares]) -> dict[str, Agreed]:
    """The standing of each VIP by address, in order of address. `stated` has the shares of each live node."""
    # Most nodes make the same statement about all VIPs. Whole statements are compared first, so few remain to compare
    # VIP by VIP.
    alike: list[tuple[Shares, list[str]]] = []
    for node in sorted(stated, key=natural):
        nodes = next((nodes for shares, nodes in alike if shares == stated[node]), None)
        if nodes is None:
            alike.append((stated[node], [node]))
        else:
            nodes.append(node)
    parts: dict[str, list[tuple[tuple[str, ...], Share]]] = {}
    addresses_of: dict[str, set[str]] = {}
    for shares, group in alike:
        members = tuple(group)
        for address, share in shares.items():
            parts.setdefault(address, []).append((members, share))
            for name in share.names:
                addresses_of.setdefault(name, set()).add(address)
    return {address: _standing(parts[address], addresses_of) for address in sorted(parts, key=in_order)}


def _standing(parts: _Parts, addresses_of: Mapping[str, set[str]]) -> Agreed:
    nodes = parts[0][0] if len(parts) == 1 else tuple(sorted((n for some, _ in parts for n in some), key=natural))
    distinct = {share for _, share in parts}
    names = _sorted({name for share in distinct for name in share.names})
    for name in names:
        if len(addresses_of[name]) > 1:
            listed = ", ".join(sorted(addresses_of[name], key=in_order))
            return Agreed(Agreement.BROKEN, nodes, names, reason=f"{name} has several addresses: {listed}")
    if len({share.names for share in distinct if share.names}) > 1:
        said = _said(parts, lambda share: ",".join(share.names))
        return Agreed(Agreement.BROKEN, nodes, names, reason=f"its names differ: {said}")
    if len({share.follows for share in distinct}) > 1:
        said = _said(parts, lambda share: share.follows or "")
        return Agreed(Agreement.CONFLICT, nodes, names, reason=f"what it follows differs: {said}")
    follows = next(iter(distinct)).follows
    preferences = _sorted({share.preference for share in distinct if share.preference})
    if any(not same_node(preferences[0], other) for other in preferences[1:]):
        said = _said(parts, lambda share: share.preference or "")
        return Agreed(Agreement.CONFLICT, nodes, names, None, follows, f"its preferences differ: {said}")
    preference = preferences[0] if preferences else None
    if len({(share.services, share.names) for share in distinct}) > 1:
        said = _groups(parts)
        return Agreed(Agreement.UNSAFE, nodes, names, preference, follows, f"its services differ: {said}")
    return Agreed(Agreement.SAFE, nodes, names, preference, follows)


def _sorted(names: set[str]) -> tuple[str, ...]:
    return tuple(names) if len(names) < 2 else tuple(sorted(names, key=natural))


def _said(parts: _Parts, what: Callable[[Share], str]) -> str:
    """Each value with its nodes: `east1 (east[1-3]), none (west1)`."""
    by_answer: dict[str, list[str]] = {}
    for nodes, share in parts:
        by_answer.setdefault(what(share) or "none", []).extend(nodes)
    return ", ".join(f"{answer} ({fold(nodes, _RANGES)})" for answer, nodes in by_answer.items())


def _groups(parts: _Parts) -> str:
    """The nodes grouped by equal services: `east[1-3] / west1`."""
    alike: dict[tuple[object, ...], list[str]] = {}
    for nodes, share in parts:
        alike.setdefault((share.services, share.names), []).extend(nodes)
    return " / ".join(fold(nodes, _RANGES) for nodes in alike.values())
