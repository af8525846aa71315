"""A node's beliefs about each VIP with their explanation, and each participant's latest statement of its beliefs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eccmgr.duravip.beliefs import Belief


@dataclass(frozen=True, slots=True)
class Participant:
    """A node that takes part: the private name of its control connection, that of its session, and its latest
    statement."""

    node: str
    control_name: str
    session_name: str
    beliefs: Mapping[str, Belief]


@dataclass(frozen=True, slots=True)
class Row:
    """This node's belief about a VIP, with its explanation.

    `epoch` is that of the latest grant, 0 before the first one. `nodes` take part in the VIP; its preference names the
    node `preferred`. `target` is the node to which it is moving. The stable times are the seconds since its view last
    changed, and since the nodes' statements about it last changed. `reason` explains an `agreement`. `unable` maps each
    node that cannot carry it now to the reason.
    """

    address: str
    belief: Belief
    epoch: int
    nodes: tuple[str, ...]
    preferred: str | None = None
    follows: str | None = None
    pinned: bool = False
    target: str | None = None
    view_stable_s: float = 0.0
    configuration_stable_s: float = 0.0
    reason: str = ""
    unable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VipTable:
    """All VIPs of the cluster, in order of address, and its participants."""

    rows: Sequence[Row]
    participants: Sequence[Participant] = ()
    drained: frozenset[str] = field(default_factory=frozenset)
