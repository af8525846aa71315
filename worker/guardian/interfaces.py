"""The interfaces of this host and the addresses on them, by netlink."""

import enum
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from worker.guardian.netlink import (
    CREATE,
    EXCL,
    REPLACE,
    ROUTE,
    Netlink,
    NetlinkReply,
    NetlinkRequest,
    attribute,
    attributes,
    understood,
)

NEW_LINK, DELETE_LINK, NEW_ADDRESS, DELETE_ADDRESS = 16, 17, 20, 21
_GET_LINK, _GET_ADDRESS, _GET_ROUTE, _GET_NEIGHBOUR = 18, 22, 26, 30
EVENT_GROUPS = 0x1 | 0x10 | 0x100  # links, IPv4 addresses, IPv6 addresses
MARK = 60652
"""The metric of every address that a guardian plumbs. It tells these addresses from the host's own."""

_UP, _RUNNING, _LOOPBACK = 0x1, 0x40, 0x8
_NO_DAD, _DAD_FAILED = 0x02, 0x08
_FOREVER = 0xFFFFFFFF
_MAC_BYTES = 6

_ADDRESS = struct.Struct("=BBBBi")


class _LinkPart(enum.IntEnum):
    """Attributes of an interface."""

    MAC = 1
    NAME = 3


class _AddressPart(enum.IntEnum):
    """Attributes of an address. LOCAL is the host's own end; if it is there, ADDRESS is the peer's end."""

    ADDRESS = 1
    LOCAL = 2
    LIFETIMES = 6
    FLAGS = 8
    METRIC = 9


class _RoutePart(enum.IntEnum):
    """Attributes of a route."""

    INTERFACE = 4
    GATEWAY = 5


class _NeighbourPart(enum.IntEnum):
    """Attributes of a neighbour."""

    ADDRESS = 1
    MAC = 2


class NeighbourState(enum.IntFlag):
    """The kernel's states of a neighbour."""

    INCOMPLETE = 0x01
    REACHABLE = 0x02
    STALE = 0x04
    DELAY = 0x08
    PROBE = 0x10
    FAILED = 0x20
    NO_ARP = 0x40
    PERMANENT = 0x80


_USABLE = int(
    NeighbourState.REACHABLE
    | NeighbourState.STALE
    | NeighbourState.DELAY
    | NeighbourState.PROBE
    | NeighbourState.PERMANENT
)


@dataclass(frozen=True)
class Interface:
    """An interface; `up` if packets get through, `mac` empty if it has no address of six bytes."""

    index: int
    name: str
    up: bool
    loopback: bool
    mac: bytes


@dataclass(frozen=True)
class Present:
    """An address on an interface; `ours` if a guardian put it there."""

    address: str
    prefix: int
    index: int
    ours: bool
    dad_failed: bool


@dataclass(frozen=True)
class Neighbour:
    """A neighbour: its address, its hardware address (empty if unknown), and the bits of the kernel's `state`."""

    address: str
    mac: bytes
    index: int
    state: int


class Interfaces:
    """Reads and changes the kernel's interfaces and addresses. Raises OSError."""

    def __init__(self) -> None:
        self._netlink = Netlink(ROUTE)

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    @understood()
    def links(self) -> list[Interface]:
        """Every interface."""
        interfaces = []
        for reply in self._netlink.dump(_GET_LINK, bytes(16)):
            _, _, _, index, flags, _ = struct.unpack_from("=BBHiII", reply.body)
            parts = attributes(reply.body, 16)
            name = parts.get(_LinkPart.NAME, b"").rstrip(b"\0").decode()
            up = bool(flags & _UP and flags & _RUNNING)
            mac = parts.get(_LinkPart.MAC, b"")
            interfaces.append(
                Interface(index, name, up, bool(flags & _LOOPBACK), mac if len(mac) == _MAC_BYTES else b"")
            )
        return interfaces

    def addresses(self) -> list[Present]:
        """Every address on every interface."""
        return [parse_address(reply) for reply in self._netlink.dump(_GET_ADDRESS, bytes(8))]

    def neighbours(self, index: int) -> list[tuple[str, bytes]]:
        """Address and hardware address of the hosts to which an interface has lately sent."""
        reachable = (
            neighbour for neighbour in self.neighbour_table() if neighbour.index == index and neighbour.state & _USABLE
        )
        return [(neighbour.address, neighbour.mac) for neighbour in reachable if len(neighbour.mac) == _MAC_BYTES]

    @understood()
    def neighbour_table(self) -> list[Neighbour]:
        """The kernel's neighbours, for ARP (v4) and neighbour discovery (v6)."""
        neighbours = []
        for reply in self._netlink.dump(_GET_NEIGHBOUR, bytes(12)):
            family, index, state = struct.unpack_from("=BxxxiH", reply.body)
            parts = attributes(reply.body, 12)
            if (packed := parts.get(_NeighbourPart.ADDRESS)) is not None:
                mac = parts.get(_NeighbourPart.MAC, b"")
                neighbours.append(Neighbour(socket.inet_ntop(family, packed), mac, index, state))
        return neighbours

    @understood()
    def gateways(self, index: int) -> list[str]:
        """The hosts to which an interface's default routes lead."""
        hosts = []
        for reply in self._netlink.dump(_GET_ROUTE, bytes(12)):
            family, length = reply.body[0], reply.body[1]
            parts = attributes(reply.body, 12)
            gateway = parts.get(_RoutePart.GATEWAY)
            if length == 0 and gateway is not None and parts.get(_RoutePart.INTERFACE) == struct.pack("=i", index):
                hosts.append(socket.inet_ntop(family, gateway))
        return hosts

    def add(self, wanted: Sequence[tuple[str, int, int]], *, valid_s: int = 0, renew: bool = False) -> list[int]:
        """Add addresses, each with prefix length and index; answers 0 or the error number of each. `valid_s` 0 means
        for good."""
        flags = CREATE | (REPLACE if renew else EXCL)
        life = valid_s or _FOREVER
        lifetimes = attribute(_AddressPart.LIFETIMES, struct.pack("=IIII", life, life, 0, 0))
        more = lifetimes + attribute(_AddressPart.METRIC, struct.pack("=I", MARK))
        return self._netlink.carry_out([_request(NEW_ADDRESS, flags, *place, more) for place in wanted])

    def delete(self, unwanted: Sequence[tuple[str, int, int]]) -> list[int]:
        """Remove addresses, each with prefix length and index; answers 0 or the error number of each."""
        return self._netlink.carry_out([_request(DELETE_ADDRESS, 0, *place, b"") for place in unwanted])


@understood()
def parse_address(reply: NetlinkReply) -> Present:
    """The address in a dump or an event. Raises OSError."""
    family, prefix, flags, _, index = _ADDRESS.unpack_from(reply.body)
    parts = attributes(reply.body, 8)
    if (more := parts.get(_AddressPart.FLAGS)) is not None:
        flags = struct.unpack("=I", more)[0]
    local = parts.get(_AddressPart.LOCAL)
    address = socket.inet_ntop(family, parts[_AddressPart.ADDRESS] if local is None else local)
    ours = parts.get(_AddressPart.METRIC) == struct.pack("=I", MARK)
    return Present(address, prefix, index, ours, bool(flags & _DAD_FAILED))


def _request(kind: int, flags: int, address: str, prefix: int, index: int, more: bytes) -> NetlinkRequest:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    body = _ADDRESS.pack(family, prefix, _NO_DAD if family == socket.AF_INET6 else 0, 0, index)
    body += attribute(_AddressPart.LOCAL, packed) + attribute(_AddressPart.ADDRESS, packed)
    return NetlinkRequest(kind, flags, body + more)
