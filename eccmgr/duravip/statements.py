"""A node's statement of its VIPs to all agents, and an agent's picture of all statements."""

import base64
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from eccmgr.cluster.view import Seat
from eccmgr.duravip import shares
from eccmgr.duravip.shares import MAX_VIPS, Shares
from eccmgr.errors import Unreadable
from eccmgr.redis import reading

_MAX_BYTES = 32 * 1024 * 1024
"""The maximum size of an unpacked statement, in bytes."""
_LONGEST_S = 3600.0
"""The longest lateness and hold that an agent believes: an agent that believed more would never take over."""
_Span = Annotated[float, msgspec.Meta(ge=0, le=_LONGEST_S)]
_dropped = reading.Dropped("statement on VIPs")
_decoder = msgspec.json.Decoder(tuple[reading.Count, _Span, _Span, str])


@dataclass(frozen=True)
class Statement:
    """A node's VIPs in its view number `view`.

    `late_s` is the lateness of its fence beyond the usual; `hold_s` is the time for which the node holds after a
    renewal.
    """

    view: int
    late_s: float
    hold_s: float
    shares: Shares

    def dump(self) -> str:
        """The statement as Redis keeps it."""
        kept = msgspec.json.encode((self.view, self.late_s, self.hold_s, shares.to_json(self.shares)))
        return base64.b85encode(zlib.compress(kept, 1)).decode()

    @classmethod
    def parse(cls, text: str) -> "Statement":
        """Read a statement of `dump`. Raises Unreadable if another release or another program wrote it."""
        try:
            unpacker = zlib.decompressobj()
            raw = unpacker.decompress(base64.b85decode(text), _MAX_BYTES)
            if not unpacker.eof:
                raise ValueError("it is cut, or too long")
            view, late_s, hold_s, said = reading.decoded(_decoder, raw, _MAX_BYTES)
            return cls(view, late_s, hold_s, shares.from_json(said))
        except (ValueError, TypeError, zlib.error) as error:
            raise Unreadable(f"A node's statement of its VIPs cannot be read: {error}") from None


def dump_unable(unable: Mapping[str, str]) -> str:
    """The VIPs that a node cannot carry, as Redis keeps them: one line for each reason, the addresses before the
    reason."""
    by_reason: dict[str, list[str]] = {}
    for address, reason in sorted(unable.items()):
        # The system's text may be anything, but must be one line.
        said = " ".join("".join(character if character.isprintable() else " " for character in reason).split())
        by_reason.setdefault(said, []).append(address)
    return "\n".join(f"{' '.join(addresses)}\t{reason}" for reason, addresses in sorted(by_reason.items()))


def parse_unable(text: str) -> dict[str, str]:
    """Read a text of `dump_unable`, or addresses alone. Raises Unreadable."""
    unable: dict[str, str] = {}
    with reading.parsing("A node's statement of VIPs that it cannot carry"):
        for line in text.split("\n"):
            addresses, _, reason = line.partition("\t")
            reading.line(reason)
            unable.update(dict.fromkeys(map(reading.address, addresses.split()), reason))
            if len(unable) > MAX_VIPS:
                raise ValueError(f"it has more than {MAX_VIPS} VIPs")
    return unable


@dataclass
class Said:
    """The statements of and about nodes, by their names in small letters."""

    statements: dict[str, Statement] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    """Statements that have arrived and were not read yet: one may hold thousands of VIPs, so they are read later."""
    unable: dict[str, dict[str, str]] = field(default_factory=dict)
    """The addresses that a node cannot carry, each with the reason."""
    drained: set[str] = field(default_factory=set)

    def hear(self, name: str, text: str) -> None:
        """Take one entry. An entry that cannot be read is dropped."""
        kind, node = name[0], name[1:]
        if kind == "!":
            (self.drained.add if text else self.drained.discard)(node)
        elif kind == "~":
            try:
                self.unable[node] = parse_unable(text)
            except Unreadable as error:
                _dropped.say(name, text, str(error))
                self.unable.pop(node, None)
        elif text:
            self.unread[node] = text
        else:
            self.unread.pop(node, None)
            self.statements.pop(node, None)

    def forget(self) -> None:
        """Forget all statements; they will be heard again."""
        for kept in (self.statements, self.unread, self.unable, self.drained):
            kept.clear()

    @property
    def longest_hold_s(self) -> float:
        """The longest hold of any node after a renewal."""
        return max((statement.hold_s for statement in self.statements.values()), default=0.0)

    @property
    def latest_s(self) -> float:
        """The lateness of the weakest fence; a node without a fence is left out, because its fence never closes."""
        return max((statement.late_s for statement in self.statements.values()), default=0.0)


def participants(roster: Iterable[Seat], said: Said) -> Mapping[str, Seat]:
    """The live nodes that take part in any VIP, by name in small letters."""
    return {seat.key: seat for seat in roster if seat.key in said.statements}
