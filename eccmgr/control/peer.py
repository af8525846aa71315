"""The process and user at the other end of a socket."""

import contextlib
import ipaddress
import socket
import struct
from dataclasses import dataclass
from typing import NamedTuple

from eccmgr.text.network import network_of, plain_address

ANONYMOUS = "anonymous"
_CREDENTIALS = struct.Struct("3i")


def nameless(uid: int) -> str:
    """The name of a user who has none."""
    return f"uid {uid}"


class Credentials(NamedTuple):
    """The process at the other end of a Unix socket, and its user, as the kernel names them."""

    pid: int
    uid: int


def credentials(connection: socket.socket) -> Credentials:
    """The process and user at the other end of a Unix socket. Raises OSError for another socket."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return Credentials(pid, uid)


class PeerRule(NamedTuple):
    """The rule for callers from a network."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    allow: bool
    deny: bool


@dataclass(frozen=True)
class PeerRules:
    """The rules of a listener; the rule for the smallest network that holds a caller counts, a denial first."""

    rules: tuple[PeerRule, ...] = ()

    def rule_for(self, address: str) -> PeerRule | None:
        """The rule for a caller at an address; an IPv4 address written as IPv6 counts as IPv4."""
        try:
            found = plain_address(address)
        except ValueError:
            return None
        fitting = [rule for rule in self.rules if rule.network.version == found.version and found in rule.network]
        return max(fitting, key=lambda rule: (rule.network.prefixlen, rule.deny), default=None)


class RemoteEnd(NamedTuple):
    """The other end of a connection.

    `place` is `pid 4711` on this host, else the address. `key` is the same for all connections of one user of this host
    (`uid 1000`), else of one address. Addresses of version 6 count by their network of 64 bits, all of which one host
    may have. `user` has the name of nobody: a user of this host is known by the `uid`.
    """

    user: str
    place: str
    key: str
    is_root: bool = False
    uid: int | None = None


def remote_end(connection: socket.socket) -> RemoteEnd:
    """The other end of a connection that was accepted."""
    if connection.family == socket.AF_UNIX:
        process = credentials(connection)
        uid = process.uid
        return RemoteEnd(nameless(uid), f"pid {process.pid}", f"uid {uid}", uid == 0, uid)
    with contextlib.suppress(OSError):
        address = str(connection.getpeername()[0])
        return RemoteEnd(ANONYMOUS, address, network_of(address))
    return RemoteEnd(ANONYMOUS, "", "unknown address")
