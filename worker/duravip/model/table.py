"""A node's beliefs about each VIP, and each participant's latest statement of its beliefs."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from eccmgr.duravip.states import Agreement, Ownership, in_order
from eccmgr.errors import Unreadable
from eccmgr.redis import reading

_MAX_BYTES = 32 * 1024 * 1024
"""The maximum size of a participant's unpacked statement, in bytes."""
_decoder = msgspec.json.Decoder(list[tuple[str, tuple[str, ...], Ownership, Agreement, str | None]])


@dataclass(frozen=True, slots=True)
class Belief:
    """A node's belief about one VIP; `owner` is a node's name, None for nobody."""

    names: tuple[str, ...]
    ownership: Ownership
    agreement: Agreement
    owner: str | None = None

    @property
    def state(self) -> str:
        """`owned,safe`."""
        return f"{self.ownership},{self.agreement}"


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


def pack(beliefs: Mapping[str, Belief]) -> bytes:
    """A participant's statement, compressed; equal beliefs give equal bytes."""
    rows = [
        [address, belief.names, belief.ownership, belief.agreement, belief.owner]
        for address, belief in sorted(beliefs.items(), key=lambda item: in_order(item[0]))
    ]
    return zlib.compress(msgspec.json.encode(rows), 1)


def unpack(data: bytes) -> dict[str, Belief]:
    """Read the bytes of `pack`. Raises Unreadable if another release or another program wrote them."""
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(data, _MAX_BYTES)
        if not unpacker.eof:
            raise ValueError("it is cut, or too long")
        beliefs = {}
        for address, names, ownership, agreement, owner in reading.decoded(_decoder, text, _MAX_BYTES):
            reading.check_lines(*names, owner)
            beliefs[reading.address(address)] = Belief(names, ownership, agreement, owner)
        return beliefs
    except (ValueError, TypeError, zlib.error) as error:
        raise Unreadable(f"A node's statement of its beliefs cannot be read: {error}") from None
