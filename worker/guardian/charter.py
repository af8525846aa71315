"""The charter of a guardian: the networks in which it may carry addresses, its longest hold, and the address of Redis.

The process that starts the guardian passes the charter over a descriptor. The agent may have been taken over, so it has
no say in the charter: the guardian parses each request of the agent and compares it with the charter.
"""

import dataclasses
import errno
import ipaddress
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from eccmgr.text.network import plain_address
from worker.guardian.wire import (
    NOT_TYPED,
    Address,
    Announcing,
    Configure,
    Deadline,
    Ending,
    Message,
    Plumb,
    Unplumb,
    WireError,
    typed,
)

LONGEST_HOLD_S = 10.0
"""The longest time until a deadline, unless slow heartbeats need more."""

_PLUMBERS = frozenset({"netlink", "memory", "exec"})
_FENCES = frozenset({"", "nftables", "valid_lft", "none"})
_HIGHEST_EPOCH = 1 << 53
_LONGEST_NAME, _LONGEST_SCRIPT = 1024, 64 * 1024
_MOST_WORDS = 64
_PORTS = 65_536


@dataclass(frozen=True)
class Server:
    """One Redis server for a bare socket: `path`, or `host` and `port`, over TLS if `tls`."""

    host: str = ""
    port: int = 0
    path: str = ""
    username: str = ""
    password: str = dataclasses.field(default="", repr=False)
    db: int = 0
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    check_hostname: bool = True
    verify: bool = True


@dataclass(frozen=True)
class Grounds:
    """A network in which addresses may be carried, on this interface and with this prefix. "" stands for any interface,
    -1 for any prefix."""

    network: str
    interface: str = ""
    prefix: int = -1


@dataclass(frozen=True)
class Charter:
    """The rights of a guardian. The empty charter permits no address."""

    grounds: tuple[Grounds, ...] = ()
    """The networks, the narrowest first: an address belongs to the first one that contains it."""
    server: Server | None = None
    """The server on which sessions are ended; with None the guardian ends no session."""
    moves: bool = False
    """Whether the agent may name another host and port than those of `server`, because the master moves."""
    longest_hold_s: float = LONGEST_HOLD_S
    plumber: str = ""
    fence: str | None = None
    """Plumber and fence. With "" or None the agent chooses."""

    def permitted(self, wanted: Configure) -> Configure:
        """A Configure without the addresses that the charter does not permit. Raises WireError if a text is not an
        address at all."""
        return dataclasses.replace(
            wanted,
            vips=tuple(vip for vip in wanted.vips if self._permits(vip)),
            plumber=self.plumber or wanted.plumber,
            fence=wanted.fence if self.fence is None else self.fence,
        )

    def check(self, message: Message, now: float) -> None:
        """Raises WireError for a message that goes beyond the charter, or beyond all bounds."""
        match message:
            case Configure():
                _check_configure(message)
            case Ending():
                _check_words("keys", message.keys)
                if len(message.script) > _LONGEST_SCRIPT or not 0 <= message.port < _PORTS:
                    raise WireError("an Ending out of bounds")
                _check_words("host", (message.host,))
            case Deadline():
                _check_words("session and arguments", (message.session, *message.arguments))
                self._check_time(message.at, now)
            case Plumb():
                _check_words("session", (message.session,))
                self._check_time(message.at, now)
                _check_epochs(grant.epoch for grant in message.grants)
            case Unplumb():
                _check_words("tag", (message.tag,))
                _check_epochs(grant.epoch for grant in message.grants)

    def server_of(self, ending: Ending) -> Server | None:
        """The server on which a session is ended."""
        if self.server is not None and self.moves and ending.host:
            return dataclasses.replace(self.server, host=ending.host, port=ending.port)
        return self.server

    def _check_time(self, at: float, now: float) -> None:
        if at > now + self.longest_hold_s:
            raise WireError(f"a deadline more than {self.longest_hold_s:g} s away")

    def _permits(self, wanted: Address) -> bool:
        address = _parsed(wanted.address)
        for network, grounds in self._parsed_grounds:
            if address.version == network.version and address in network:
                lowest, highest = (0, address.max_prefixlen) if grounds.prefix < 0 else (grounds.prefix, grounds.prefix)
                return lowest <= wanted.prefix <= highest and grounds.interface in ("", wanted.interface)
        return False

    @cached_property
    def _parsed_grounds(self) -> list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, Grounds]]:
        return [(ipaddress.ip_network(grounds.network, strict=False), grounds) for grounds in self.grounds]


def write_charter(charter: Charter) -> int:
    """A descriptor from which the charter can be read once; the caller closes it."""
    descriptor = os.memfd_create("charter", os.MFD_CLOEXEC)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(json.dumps(dataclasses.asdict(charter)).encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def read_charter(descriptor: int) -> Charter:
    """Read the charter from a descriptor, and close the descriptor. Raises OSError, also if the text is not a
    charter."""
    with open(descriptor, "rb") as file:
        data = file.read()
    try:
        charter: Charter = typed(json.loads(data), Charter)
        _ = charter._parsed_grounds  # raises if a network cannot be read
    except NOT_TYPED:
        raise OSError(errno.EBADMSG, "the charter cannot be read") from None
    return charter


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Parse an address in its usual spelling. An error does not repeat the text, because that may hold anything."""
    try:
        address = plain_address(text)
    except ValueError:
        raise WireError("a text that is not an IP address") from None
    # The part after a `%` may be any text. Versions of Python write mapped addresses differently.
    if str(address) != text:
        raise WireError("an IP address that is not spelled as usual")
    return address


def _check_configure(message: Configure) -> None:
    announcing: Announcing = message.announcing
    if message.plumber not in _PLUMBERS or message.fence not in _FENCES:
        raise WireError("a plumber or a fence that does not exist")
    numbers = (
        (announcing.count, 1, 100),
        (announcing.over_s, 0, 3600),
        (announcing.refresh_s, 0, 1e9),
        (message.if_check_s, 0.01, 1e6),
    )
    if not all(lowest <= number <= highest for number, lowest, highest in numbers):
        raise WireError("an option of Configure out of bounds")


def _check_words(what: str, words: tuple[str, ...]) -> None:
    if len(words) > _MOST_WORDS or any(len(word) > _LONGEST_NAME or not word.isprintable() for word in words):
        raise WireError(f"{what} out of bounds")


def _check_epochs(epochs: Iterable[int]) -> None:
    if any(not 0 <= epoch <= _HIGHEST_EPOCH for epoch in epochs):
        raise WireError("an epoch out of bounds")
