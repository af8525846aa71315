"""Plumbs addresses on this host's interfaces by netlink. It never touches an address that was there before us."""

import contextlib
import errno
import os
import socket
from collections.abc import Sequence

from worker.guardian.interfaces import DELETE_ADDRESS, NEW_ADDRESS, Interface, Interfaces, Present, parse_address
from worker.guardian.netlink import NetlinkReply
from worker.guardian.plumber import Failures
from worker.guardian.wire import Address

_GONE = (errno.EADDRNOTAVAIL, errno.ENODEV, 0)
_OWN = "it is the host's own address"


def check_rights() -> None:
    """Raises OSError if the kernel does not let this process change addresses, or send the packets that announce
    them."""
    interfaces = Interfaces()
    try:
        # No interface has the number 0: a process with the right hears that, and nothing is changed.
        (number,) = interfaces.delete([("192.0.2.1", 32, 0)])
    finally:
        interfaces.close()
    if number not in _GONE:
        raise OSError(f"it may not change addresses ({os.strerror(number)}): that takes CAP_NET_ADMIN")
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0).close()
    except OSError as error:
        raise OSError(f"it may not announce addresses ({error.strerror}): that takes CAP_NET_RAW") from None


class NetlinkPlumber:
    """Plumbs by netlink. `valid_s` is the lifetime of newly plumbed addresses, in whole seconds; 0 if a better fence
    stands."""

    name = "netlink"

    def __init__(self) -> None:
        self.interfaces = Interfaces()
        self.links: dict[str, Interface] = {}
        self.valid_s = 0
        self._own: set[str] = set()
        self._prepared: set[str] = set()
        self.look()

    def close(self) -> None:
        """Close the socket."""
        self.interfaces.close()

    def look(self) -> list[Present]:
        """Read the present interfaces and addresses anew."""
        self.links = {known.name: known for known in self.interfaces.links()}
        present = self.interfaces.addresses()
        self._own = {known.address for known in present if not known.ours}
        return present

    def heard(self, event: NetlinkReply) -> str:
        """Take note of an address that came or went; answers that address if it is ours and gone or not well, else
        ''."""
        if event.kind not in (NEW_ADDRESS, DELETE_ADDRESS):
            return ""
        present = parse_address(event)
        if present.ours:
            return present.address if event.kind == DELETE_ADDRESS or present.dad_failed else ""
        (self._own.add if event.kind == NEW_ADDRESS else self._own.discard)(present.address)
        return ""

    def sweep(self, configured: Sequence[Address]) -> Failures:  # noqa: ARG002
        """Remove every address with our mark, even if the configuration no longer names it."""
        return self._delete(
            [(present.address, present.prefix, present.index) for present in self.look() if present.ours]
        )

    def plumb(self, addresses: Sequence[Address], epochs: Sequence[int]) -> list[str | None]:  # noqa: ARG002
        """Plumb addresses. IPv6 needs no duplicate address detection: the epoch has decided which host carries the
        address."""
        reasons: dict[str, str | None] = {vip.address: self._objection(vip) for vip in addresses}
        possible = [vip for vip in addresses if not reasons[vip.address]]
        for name in {vip.interface for vip in possible} - self._prepared:
            self._prepare(name)
        numbers = self.interfaces.add([self._place(vip) for vip in possible], valid_s=self.valid_s)
        ours: set[str] | None = None
        for vip, number in zip(possible, numbers, strict=True):
            if number == errno.EEXIST:
                if ours is None:
                    ours = {present.address for present in self.look() if present.ours}
                reasons[vip.address] = "" if vip.address in ours else _OWN
            elif number:
                reasons[vip.address] = os.strerror(number)
        return [reasons[vip.address] for vip in addresses]

    def finished(self) -> list[tuple[str, int, str]]:
        """The kernel answers at once."""
        return []

    def unplumb(self, addresses: Sequence[Address]) -> Failures:
        """Unplumb addresses. An address counts as unplumbed if it is gone, or if its interface is gone. The host's own
        address stays."""
        places = [self._place(each) for each in addresses if each.interface in self.links]
        if any(place[0] in self._own for place in places):
            ours = {(each.address, each.prefix, each.index) for each in self.look() if each.ours}
            places = [place for place in places if place in ours]
        return self._delete(places)

    def renew(self, addresses: Sequence[Address]) -> None:
        """Restart the lifetimes of these addresses. An address that cannot be renewed expires, and `check` finds
        that."""
        places = [self._place(vip) for vip in addresses if vip.interface in self.links]
        self.interfaces.add(places, valid_s=self.valid_s, renew=True)

    def check(self, addresses: Sequence[Address]) -> Failures:
        """Mend the addresses: missing ones, surplus ones, an IPv6 address that the kernel took for a duplicate, an
        address on the wrong interface."""
        ours = {(each.address, each.index): each for each in self.look() if each.ours}
        wanted = {
            (each.address, self.links[each.interface].index) for each in addresses if each.interface in self.links
        }
        wrong = [each for key, each in ours.items() if key not in wanted or each.dad_failed]
        self._delete([(each.address, each.prefix, each.index) for each in wrong])
        right = ours.keys() - {(each.address, each.index) for each in wrong}
        missing = [
            each
            for each in addresses
            if each.interface not in self.links or (each.address, self.links[each.interface].index) not in right
        ]
        answers = self.plumb(missing, [0] * len(missing))
        return tuple((each.address, answer) for each, answer in zip(missing, answers, strict=True) if answer)

    def _objection(self, wanted: Address) -> str:
        link = self.links.get(wanted.interface)
        if link is None:
            return f"there is no interface {wanted.interface}"
        if not link.up:
            return f"{wanted.interface} is down"
        return _OWN if wanted.address in self._own else ""

    def _place(self, each: Address) -> tuple[str, int, int]:
        return each.address, each.prefix, self.links[each.interface].index

    def _delete(self, places: list[tuple[str, int, int]]) -> Failures:
        numbers = self.interfaces.delete(places)
        return tuple(
            (place[0], os.strerror(number))
            for place, number in zip(places, numbers, strict=True)
            if number not in _GONE
        )

    def _prepare(self, name: str) -> None:
        """Set the interface so that removing the first address of a subnet does not remove the others."""
        self._prepared.add(name)
        with contextlib.suppress(OSError), open(f"/proc/sys/net/ipv4/conf/{name}/promote_secondaries", "w") as file:
            file.write("1")
