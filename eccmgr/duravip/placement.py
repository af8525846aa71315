"""Decides which node should carry each VIP: every node with the same view gets the same result.

A VIP and its followers are one *unit*, and placement keeps them together. A unit goes to the first of these: the node
to which an operator moved it; its preferred node; the node that carries it; the node with the fewest units. The load of
a node is its number of units.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from eccmgr.cluster.names import natural, resolve
from eccmgr.duravip.levelling import level
from eccmgr.duravip.states import Agreed, in_order
from eccmgr.errors import CommandError


@dataclass(frozen=True, slots=True)
class Situation:
    """A view, in the form that placement needs. Nodes have the names under which they live.

    `nodes` are the live nodes. `standings` has the participants of each VIP, `owners` the node that carries it (an
    owner that is not alive does not count). `pins` holds the VIPs that an operator moved, each with its target. A pin
    lasts while the target or nobody has the VIP. `unable` holds the VIPs that a node cannot carry now, each with the
    reason: no guardian serves the node, an interface is down, a plumbing failed.
    """

    nodes: frozenset[str]
    standings: Mapping[str, Agreed]
    owners: Mapping[str, str] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)
    drained: frozenset[str] = frozenset()
    unable: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def without(self, nodes: Collection[str]) -> Situation:
        """The situation after the death of these nodes."""
        return replace(self, nodes=self.nodes.difference(nodes))


@dataclass(frozen=True, slots=True)
class Move:
    """A VIP that should go to another node; `source` is None if nobody carries the VIP."""

    address: str
    source: str | None
    target: str
    reason: str
    unit: str
    """The leader of its unit: the VIP itself, or the VIP that it follows."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The moves that should happen.

    `takeovers` (nobody carries the VIP) and `departures` (its owner is drained or unable, or the VIP is apart from the
    VIP that it follows) happen at once. `balancing` waits for a mature view, and goes in batches. `stranded` holds the
    VIPs that only a drained or unable node could carry, each with the reason; such a VIP stays on its node.
    """

    takeovers: tuple[Move, ...] = ()
    departures: tuple[Move, ...] = ()
    balancing: tuple[Move, ...] = ()
    stranded: Mapping[str, str] = field(default_factory=dict)

    @property
    def moves(self) -> tuple[Move, ...]:
        """All moves, in the order in which they happen."""
        return (*self.takeovers, *self.departures, *self.balancing)


@dataclass(slots=True)
class _Unit:
    """A VIP and its followers. `owner` is the owner of the VIP; if the VIP has none (not `led`), the owner of most
    followers."""

    leader: str
    members: tuple[str, ...]
    candidates: tuple[str, ...]
    owner: str | None
    led: bool
    whole: bool = True
    """Whether each candidate can carry the whole unit."""
    anchor: str | None = None
    why: str = ""
    target: str | None = None


def next_batch(moves: Sequence[Move], size: int) -> tuple[Move, ...]:
    """The first moves, at most `size`. A unit is never split: a unit larger than `size` is a batch by itself."""
    batch: list[Move] = []
    for _, unit in groupby(moves, key=lambda move: move.unit):
        together = list(unit)
        if batch and len(batch) + len(together) > size:
            break
        batch.extend(together)
    return tuple(batch)


def place(situation: Situation) -> Placement:
    """The placement for a situation; empty if all VIPs are well placed. The order of the input makes no difference."""
    units = _units(situation)
    usable = {node for candidates in {unit.candidates for unit in units} for node in candidates}
    load = dict.fromkeys(sorted(usable, key=natural), 0)
    homeless = []
    for unit in units:
        unit.target = unit.anchor or (unit.owner if unit.owner in unit.candidates else None)
        if unit.target is not None:
            load[unit.target] += 1
        elif unit.candidates:
            homeless.append(unit)
    for unit in homeless:
        unit.target, unit.why = _lightest(unit, load), "the fewest VIPs"
        load[unit.target] += 1
    free = [unit for unit in units if unit.anchor is None and unit.led and unit.whole and unit.target == unit.owner]
    relocated = level([(unit.target or "", unit.candidates) for unit in free], load)
    for index, target in relocated.items():
        free[index].target, free[index].why = target, "levels the load"
    return _outcome(situation, units, [free[index] for index in relocated])


def home_of(situation: Situation, address: str) -> str | None:
    """The node that would get a VIP if nothing pinned it; None if no node can carry it."""
    standing = situation.standings[address]
    leader = standing.follows or address
    pins = {pinned: node for pinned, node in situation.pins.items() if pinned != leader}
    moves = place(replace(situation, pins=pins)).moves
    return next((move.target for move in moves if move.address == leader), _owner(situation, leader))


def preferred_node(standing: Agreed, nodes: Iterable[str]) -> str | None:
    """The node of `nodes` that a VIP's preference names; None if the preference names no such node."""
    if standing.preference is None:
        return None
    try:
        return resolve(standing.preference, nodes)
    except CommandError:
        return None


def _owner(situation: Situation, address: str) -> str | None:
    owner = situation.owners.get(address)
    return owner if owner in situation.nodes else None


def _units(situation: Situation) -> list[_Unit]:
    followers: dict[str, list[str]] = {}
    leaders = []
    for address in sorted(situation.standings, key=in_order):
        standing = situation.standings[address]
        if not standing.managed:
            continue
        if standing.follows is None:
            leaders.append(address)
        else:
            followers.setdefault(standing.follows, []).append(address)
    able = _able(situation)
    meant: dict[str, str | None] = {}
    units = []
    for leader in leaders:
        owner = _owner(situation, leader)
        members = (leader, *followers.get(leader, ()))
        unit = _Unit(leader, members, able[leader], owner, led=owner is not None, why="with its followers")
        if len(unit.members) > 1:
            _join(unit, able, situation)
        standing = situation.standings[leader]
        if standing.preference is not None:
            if standing.preference not in meant:
                meant[standing.preference] = preferred_node(standing, situation.nodes)
            unit.anchor, unit.why = meant[standing.preference], "its preferred node"
        pin = situation.pins.get(leader)
        if pin is not None and unit.owner in (None, pin) and pin in unit.candidates:
            unit.anchor, unit.why = pin, "moved there by an operator"
        if unit.anchor not in unit.candidates:
            unit.anchor = None
        units.append(unit)
    return units


def _able(situation: Situation) -> dict[str, tuple[str, ...]]:
    """The nodes that can carry each VIP. Most VIPs have the same nodes, so they share one tuple."""
    usable = situation.nodes - situation.drained
    seen: dict[tuple[str, ...], tuple[str, ...]] = {}
    able = {}
    impaired = {address for addresses in situation.unable.values() for address in addresses}
    for address, standing in situation.standings.items():
        nodes = seen.get(standing.nodes)
        if nodes is None:
            nodes = tuple(sorted(usable.intersection(standing.nodes), key=natural))
            seen[standing.nodes] = nodes
        if address in impaired:
            nodes = tuple(node for node in nodes if address not in situation.unable.get(node, ()))
        able[address] = nodes
    return able


def _join(unit: _Unit, able: Mapping[str, tuple[str, ...]], situation: Situation) -> None:
    """Make several VIPs one unit. Its candidates are the nodes that can carry all of them; if no node can, the nodes
    that can carry most. Its owner is the node that has most of them."""
    carries = {node: sum(node in able[member] for member in unit.members) for node in unit.candidates}
    most = max(carries.values(), default=0)
    unit.whole = most == len(unit.members)
    unit.candidates = tuple(node for node in unit.candidates if carries[node] == most)
    if unit.owner is None:
        owners = [owner for member in unit.members if (owner := _owner(situation, member)) is not None]
        unit.owner = max(sorted(set(owners), key=natural), key=owners.count, default=None)


def _lightest(unit: _Unit, load: Mapping[str, int]) -> str:
    fewest = min(load[node] for node in unit.candidates)
    return max((node for node in unit.candidates if load[node] == fewest), key=lambda node: _weight(unit.leader, node))


def _weight(address: str, node: str) -> bytes:
    """Rendezvous hashing: each address has its own order of nodes, and a new node does not change the order of the
    others."""
    return hashlib.blake2b(f"{address} {node}".encode(), digest_size=8).digest()


def _outcome(situation: Situation, units: Iterable[_Unit], levelled: Sequence[_Unit]) -> Placement:
    takeovers: list[Move] = []
    departures: list[Move] = []
    homeward: list[Move] = []
    levelling: list[Move] = []
    stranded = {}
    turn = {unit.leader: index for index, unit in enumerate(levelled)}
    for unit in units:
        if unit.target is None:
            stranded.update(dict.fromkeys(unit.members, _why_stranded(situation, unit)))
            continue
        patient = unit.led and unit.owner in unit.candidates and unit.owner != unit.target
        # A VIP that is elsewhere moves to the unit's present node first. There the unit waits for its turn, to move
        # together.
        now = unit.owner if patient and unit.owner is not None else unit.target
        for member in unit.members:
            source = _owner(situation, member)
            reason = unit.why if member == unit.leader else f"with {unit.leader}"
            if source == unit.target:
                continue
            missing = next((node for node in (now, unit.target) if node not in situation.standings[member].nodes), None)
            if missing is not None:
                stranded[member] = f"it follows {unit.leader}, and {missing} takes no part in it"
            elif source is None:
                takeovers.append(Move(member, None, now, reason, unit.leader))
            elif source == now:
                (levelling if unit.leader in turn else homeward).append(
                    Move(member, source, unit.target, reason, unit.leader)
                )
            else:
                if source not in unit.candidates:
                    reason = f"{_trouble(situation, source, member)}; {reason}"
                departures.append(Move(member, source, now, reason, unit.leader))
    levelling.sort(key=lambda move: turn[move.unit])
    return Placement(tuple(takeovers), tuple(departures), (*homeward, *levelling), stranded)


def _trouble(situation: Situation, node: str, address: str) -> str:
    if node in situation.drained:
        return f"{node} is drained"
    if address in situation.unable.get(node, ()):
        return f"{node} cannot carry it now"
    return f"{node} cannot carry all that moves with it"


def _why_stranded(situation: Situation, unit: _Unit) -> str:
    live = [node for node in situation.standings[unit.leader].nodes if node in situation.nodes]
    if not live:
        return "no node that takes part in it is alive"
    return "; ".join(_trouble(situation, node, unit.leader) for node in sorted(live, key=natural)[:5])
