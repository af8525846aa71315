"""The fence: floating addresses answer only while it is open, and the kernel closes it by itself at the deadline.

So a host falls silent even if every process on it is stopped or dead.
"""

import ipaddress
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from eccmgr.cluster.timing import TOKEN_S
from worker.guardian.netlink import ARP, IPV4, IPV6, NETFILTER, Events, NetlinkRequest
from worker.guardian.nft import GROUP_MASK, Elements, Rules

TABLE = "eccmgr_duravip"

_TOKEN = struct.pack("=I", 1)
_PROTOCOLS = tuple(struct.pack("!H", each) for each in (ARP, IPV4, IPV6))
_SETS = """
table netdev {table} {{
  set v4 {{ type ipv4_addr; {v4} }}
  set v6 {{ type ipv6_addr; {v6} }}
  set token {{ type mark; flags timeout; }}
  set open {{ type ether_type; flags timeout; }}
  chain inward {{
    meta protocol @open return
    arp daddr ip @v4 drop
    arp saddr ip @v4 drop
    ip daddr @v4 drop
    ip6 daddr @v6 drop
  }}
  chain outward {{
    meta protocol @open return
    arp saddr ip @v4 drop
    ip saddr @v4 drop
    ip6 saddr @v6 drop
  }}
}}
"""
_HOOKS = """
  chain in_{index} {{ type filter hook ingress device "{name}" priority -500; policy accept; jump inward; }}
  chain out_{index} {{ type filter hook egress device "{name}" priority 500; policy accept; jump outward; }}
"""


class Refused(OSError):
    """Raised if the kernel did not take a change of the fence. The fence then stands as before."""


class Fence(Protocol):
    """A fence, as the guardian uses it. Every method raises Refused."""

    name: str
    late_s: float

    def build(self, addresses: Iterable[str], interfaces: Iterable[tuple[int, str]]) -> None:
        """Build the fence anew: closed, for these addresses, on these interfaces (index and name)."""

    def cover(self, addresses: Iterable[str]) -> None:
        """Put further addresses behind the fence, before they are plumbed."""

    def hook(self, interfaces: Iterable[tuple[int, str]]) -> None:
        """Have the fence stand on all these interfaces, old and new."""

    def arm(self) -> None:
        """Make the first transaction: a token that lives TOKEN_S."""

    def open(self, left_s: float) -> None:
        """Make the second transaction: open for `left_s` from now; refused if the token has expired."""

    def close(self) -> None:
        """Close at once."""

    def touched(self) -> bool:
        """Whether another process has changed the fence since this was last asked."""

    def descriptor(self) -> int | None:
        """The descriptor that becomes readable when it is time to ask `touched`."""

    def release(self) -> None:
        """Close the descriptors of this process; the fence in the kernel stays."""


class NftablesFence:
    """A table of our own in family netdev, on every interface but `lo`."""

    name = "nftables"
    late_s = 0.0

    def __init__(self) -> None:
        """Raises OSError if nftables is not available."""
        self._rules = Rules()
        self._elements = Elements(TABLE)
        self._events = Events(NETFILTER, GROUP_MASK)
        self._hooked: set[int] = set()
        self._covered: set[str] = set()

    def build(self, addresses: Iterable[str], interfaces: Iterable[tuple[int, str]]) -> None:
        """Build the table in one transaction, so that everything that the old table blocked stays blocked
        throughout."""
        by_index, covered = dict(interfaces), set(addresses)
        parsed = [ipaddress.ip_address(address) for address in covered]
        sets = _SETS.format(
            table=TABLE,
            v4=_listed(address for address in parsed if address.version == 4),
            v6=_listed(address for address in parsed if address.version == 6),
        )
        hooks = _hooks(by_index)
        empty = f"table netdev {TABLE}\ndelete table netdev {TABLE}\n"
        self._run(f"{empty}{sets}table netdev {TABLE} {{{hooks}}}\n")
        self._hooked, self._covered = set(by_index), covered

    def cover(self, addresses: Iterable[str]) -> None:
        """Add to the sets of addresses. An address leaves the sets only when the table is built anew."""
        fresh = sorted(set(addresses) - self._covered)
        parsed = [ipaddress.ip_address(address) for address in fresh]
        changes = [
            *self._elements.add("v4", [address.packed for address in parsed if address.version == 4]),
            *self._elements.add("v6", [address.packed for address in parsed if address.version == 6]),
        ]
        if changes:
            self._carry_out(changes)
        self._covered.update(fresh)

    def hook(self, interfaces: Iterable[tuple[int, str]]) -> None:
        """Hook new interfaces. The kernel removes the chains of an interface together with it."""
        by_index = dict(interfaces)
        self._hooked &= by_index.keys()
        fresh = {index: name for index, name in by_index.items() if index not in self._hooked}
        if fresh:
            self._run(f"table netdev {TABLE} {{{_hooks(fresh)}}}\n")
            self._hooked |= fresh.keys()

    def arm(self) -> None:
        """Replace the old token in one transaction, so that the new token always has a full life."""
        self._carry_out([self._elements.flush("token"), *self._elements.add("token", (_TOKEN,), TOKEN_S)])

    def open(self, left_s: float) -> None:
        """Open in one transaction, so that a renewal loses no packet."""
        self._carry_out(
            [
                self._elements.delete("token", _TOKEN),
                self._elements.flush("open"),
                *self._elements.add("open", _PROTOCOLS, left_s),
            ]
        )

    def close(self) -> None:
        """Close the fence: no packet gets through from now on."""
        self._carry_out([self._elements.flush("token"), self._elements.flush("open")])

    def touched(self) -> bool:
        """Whether another process has changed the table. Lost events count as a change."""
        heard = self._events.read()
        return heard is None or any(self._elements.is_foreign(event) for event in heard)

    def descriptor(self) -> int | None:
        """The socket of the events."""
        return self._events.socket.fileno()

    def release(self) -> None:
        """Close the sockets. The table stays, because it silences this host when no process is left."""
        self._rules.close()
        self._elements.close()
        self._events.close()

    def _run(self, text: str) -> None:
        try:
            self._rules.run(text)
            self._events.read()  # the events of libnftables come under a port of its own
        except OSError as error:
            raise Refused(str(error)) from None

    def _carry_out(self, changes: Sequence[NetlinkRequest]) -> None:
        try:
            self._elements.carry_out(changes)
        except OSError as error:
            raise Refused(error.strerror or str(error)) from None


def _hooks(interfaces: Mapping[int, str]) -> str:
    """The interfaces in nft's language. Raises Refused for a name that nft could take for something else."""
    for name in interfaces.values():
        if '"' in name or not name.isprintable():
            raise Refused(f"no rule can name the interface {name!r}")
    return "".join(_HOOKS.format(index=index, name=name) for index, name in interfaces.items())


def _listed(addresses: Iterable[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> str:
    """The addresses in nft's language, made from the parsed numbers alone: the text of an address may carry more,
    behind a `%`."""
    joined = ", ".join(str(ipaddress.ip_address(address.packed)) for address in addresses)
    return f"elements = {{ {joined} }};" if joined else ""
