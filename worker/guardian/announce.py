"""Announces to the neighbours which host carries an address: gratuitous ARP and unsolicited neighbour
advertisements."""

import contextlib
import ctypes
import heapq
import ipaddress
import itertools
import socket
import struct
from collections.abc import Callable, Iterable, Sequence

from worker.guardian.interfaces import Interface, Interfaces
from worker.guardian.netlink import ARP, IPV4, IPV6
from worker.guardian.wire import Address, Announcing

PACKETS_A_SECOND = 2000
"""Packets a second: switches learn slowly, so the announcements of thousands of addresses are spread."""

_BURST = 200
_ETHERNET, _ARP_REQUEST = 1, 1
_ICMPV6, _ADVERTISEMENT = 58, 136
_OVERRIDE = 0x20000000  # a flag of an advertisement: it replaces the known address
_TARGET_MAC = struct.pack("!BB", 2, 1)  # an option of an advertisement, and its length in 8 bytes
_HOP_LIMIT = 255  # a host believes no advertisement with less: it came through a router
_BROADCAST = b"\xff" * 6
_ALL_NODES = ipaddress.IPv6Address("ff02::1").packed
_OUTGOING = 4
_DISCARD = 9
_ATTACH_FILTER = 26
_NEIGHBOURS_S = 1.0
_AGAIN_S = 1.0


def gratuitous_arp(mac: bytes, address: str, to: bytes = _BROADCAST) -> bytes:
    """The frame that announces `mac` for this IPv4 address."""
    packed = ipaddress.IPv4Address(address).packed
    return (
        to + mac + struct.pack("!HHHBBH", ARP, _ETHERNET, IPV4, 6, 4, _ARP_REQUEST) + mac + packed + bytes(6) + packed
    )


def advertisement(mac: bytes, address: str, to: tuple[bytes, bytes] | None = None) -> bytes:
    """The frame that announces `mac` for this IPv6 address, to all hosts or to one host (its hardware address and
    address)."""
    source = ipaddress.IPv6Address(address).packed
    hardware, target = to or (b"\x33\x33\x00\x00\x00\x01", _ALL_NODES)
    body = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _OVERRIDE) + source + _TARGET_MAC + mac
    checksum = _checksum(source + target + struct.pack("!II", len(body), _ICMPV6) + body)
    body = body[:2] + struct.pack("!H", checksum) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), _ICMPV6, _HOP_LIMIT) + source + target
    return hardware + mac + struct.pack("!H", IPV6) + header + body


class Announcer:
    """Sends due announcements, at most PACKETS_A_SECOND. `links` answers the present interfaces by name."""

    def __init__(self, interfaces: Interfaces, links: Callable[[], dict[str, Interface]]) -> None:
        self._options = Announcing()
        self._interfaces, self._links = interfaces, links
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.setblocking(False)
        self._turns: dict[str, tuple[Address, int, float]] = {}
        self._due: list[tuple[float, int, str, int]] = []
        self._number = itertools.count()
        self._budget, self._filled, self._refilled = float(_BURST), 0.0, 0.0
        self._neighbours: dict[int, tuple[float, list[tuple[str, bytes]]]] = {}

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def configure(self, options: Announcing, now: float) -> None:
        """From now on announce by these options. Addresses without a refresh get one."""
        self._options = options
        if options.refresh_s:
            waiting = {turn for _, turn, _, _ in self._due}
            for address, turn, _ in self._turns.values():
                if turn not in waiting:
                    heapq.heappush(self._due, (now + options.refresh_s, turn, address.address, options.count + 1))

    def begin(self, addresses: Iterable[Address], now: float) -> None:
        """Announce these addresses now, then as often as configured, then at each refresh, until `forget` ends that."""
        for each in addresses:
            _, _, begun = self._turns.get(each.address, (each, 0, -1e9))
            if now - begun < _AGAIN_S:
                continue  # a rival may announce without end: answer it now and then only
            turn = next(self._number)
            self._turns[each.address] = (each, turn, now)
            heapq.heappush(self._due, (now, turn, each.address, 1))

    def forget(self, names: Iterable[str]) -> None:
        """Stop announcing these addresses."""
        for name in names:
            self._turns.pop(name, None)

    def next_at(self) -> float:
        """The time of the next announcement; infinity if nothing is to be announced."""
        return max(self._due[0][0], self._refilled) if self._due else float("inf")

    def send(self, now: float) -> None:
        """Send the due announcements that the rate allows; the rest becomes due a little later."""
        self._budget = min(_BURST, self._budget + (now - self._filled) * PACKETS_A_SECOND)
        self._filled = now
        while self._due and self._due[0][0] <= now:
            if self._budget < 1:
                self._refilled = now + 16 / PACKETS_A_SECOND
                return
            _, turn, name, sent = heapq.heappop(self._due)
            address, current, _ = self._turns.get(name, (None, -1, 0.0))
            is_refresh = sent > self._options.count
            if address is None or turn != current or (is_refresh and not self._options.refresh_s):
                continue
            self._announce(address, now)
            if (wait := self._wait_after(sent)) is not None:
                heapq.heappush(self._due, (now + wait, turn, name, sent + 1))

    def _wait_after(self, sent: int) -> float | None:
        """The seconds from announcement number `sent` of an address to the next one; None if that was the last."""
        if sent < self._options.count:
            return self._options.over_s / max(1, self._options.count - 1)
        return self._options.refresh_s or None

    def _announce(self, each: Address, now: float) -> None:
        link = self._links().get(each.interface)
        if link is None or not link.mac or not link.up:
            return
        six = ":" in each.address
        if self._options.all_hosts:
            frames = [advertisement(link.mac, each.address) if six else gratuitous_arp(link.mac, each.address)]
        else:
            frames = [
                advertisement(link.mac, each.address, (mac, ipaddress.IPv6Address(name).packed))
                if six
                else gratuitous_arp(link.mac, each.address, mac)
                for name, mac in self._known(link.index, now)
                if (":" in name) == six
            ]
        self._budget -= len(frames)
        for frame in frames:
            # The queue is full, or the link has just gone. The next announcement repeats this one.
            with contextlib.suppress(OSError):
                self._socket.sendto(frame, (each.interface, 0))

    def _known(self, index: int, now: float) -> Sequence[tuple[str, bytes]]:
        read_at, known = self._neighbours.get(index, (-1e9, []))
        if now - read_at > _NEIGHBOURS_S:
            known = self._interfaces.neighbours(index)
            self._neighbours[index] = (now, known)
            for gateway in set(self._interfaces.gateways(index)) - {name for name, _ in known}:
                _make_known(gateway)
        return known


class Rivals:
    """Hears hosts on our links that claim an address by ARP or by neighbour advertisement."""

    def __init__(self) -> None:
        self.sockets = [_listen(ARP, ()), _listen(IPV6, _ONLY_ADVERTISEMENTS)]

    def close(self) -> None:
        """Close the sockets."""
        for listener in self.sockets:
            listener.close()

    def heard(self, own: set[bytes]) -> list[tuple[str, str]]:
        """Address and hardware address of each claim, without the claims from our `own` hardware addresses."""
        claims = []
        for listener in self.sockets:
            for _ in range(1000):
                try:
                    frame, place = listener.recvfrom(128)
                except OSError:
                    break
                claimed = claim(frame) if place[2] != _OUTGOING else None
                if claimed and claimed[1] not in own:
                    claims.append((claimed[0], claimed[1].hex(":")))
        return claims


def claim(frame: bytes) -> tuple[str, bytes] | None:
    """The address that a frame's sender claims for itself, and the sender's hardware address; None if the frame claims
    no address."""
    if len(frame) >= 42 and frame[12:14] == b"\x08\x06" and frame[28:32] != bytes(4):
        return str(ipaddress.IPv4Address(frame[28:32])), frame[22:28]
    if len(frame) >= 78 and frame[12:14] == b"\x86\xdd" and frame[20] == _ICMPV6 and frame[54] == _ADVERTISEMENT:
        return str(ipaddress.IPv6Address(frame[62:78])), frame[6:12]
    return None


# Classic BPF: next header is ICMPv6 and its type is a neighbour advertisement.
_ONLY_ADVERTISEMENTS = (
    (0x30, 0, 0, 20),
    (0x15, 0, 3, _ICMPV6),
    (0x30, 0, 0, 54),
    (0x15, 0, 1, _ADVERTISEMENT),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


def _make_known(gateway: str) -> None:
    """Have the kernel ask for the hardware address of `gateway`, so that the next turn can announce to it."""
    family = socket.AF_INET6 if ":" in gateway else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.setblocking(False)
        out.sendto(b"", (gateway, _DISCARD))


def _listen(protocol: int, only: Sequence[tuple[int, int, int, int]]) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(protocol))
    made.setblocking(False)
    if only:
        code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in only))
        program = struct.pack("HL", len(only), ctypes.addressof(code))
        made.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
    return made


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
