"""The messages between agent and guardian: one JSON object a line, over a socketpair.

The standard library alone reads them: a guardian starts with `-S`, which finds no packages, and has to start quickly.
`json` takes a third of the import time of `msgspec`.

All times are CLOCK_BOOTTIME in seconds. The guardian takes messages in the order in which they were written.

agent → guardian   Configure · Ending · Deadline · Plumb · Unplumb
guardian → agent   Ready · Kept · Plumbed · NotPlumbed · Unplumbed · Down · LinkState · Unfit
"""

import dataclasses
import json
import time
import types
from dataclasses import dataclass
from types import GenericAlias
from typing import Any

LONGEST_LINE = 16 * 1024 * 1024
"""The maximum length of a line in bytes; 10,000 addresses take about a tenth of it. A longer line ends the
connection."""


def boot_time() -> float:
    """The seconds since the host started, with the time of suspension. No step of a wall clock changes it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class WireError(ValueError):
    """Raised when a line is not a message."""


@dataclass(frozen=True)
class Address:
    """A floating address as the configuration describes it."""

    address: str
    prefix: int
    interface: str


@dataclass(frozen=True)
class Grant:
    """An address with the epoch under which it was granted."""

    address: str
    epoch: int


@dataclass(frozen=True)
class Announcing:
    """The announcing of a plumbed address: `count` times within `over_s`, then every `refresh_s` (0: never again)."""

    count: int = 5
    over_s: float = 2.0
    refresh_s: float = 60.0
    all_hosts: bool = True
    """If false, announce only to the gateways and to the hosts in the neighbour table."""


@dataclass(frozen=True)
class Configure:
    """The addresses that this node may carry. This is the first message, and is sent again at each reload. The guardian
    answers the first one with Ready.

    Plumber and fence count only in the first one.
    """

    vips: tuple[Address, ...]
    plumber: str = "netlink"
    """`netlink`, `memory` or `exec`; the guardian gets the program of `exec` with its start (`--exec PROGRAM`)."""
    fence: str = ""
    """`nftables`, `valid_lft` or `none`; empty: the best that works."""
    announcing: Announcing = Announcing()
    if_check_s: float = 5.0


@dataclass(frozen=True)
class Ending:
    """Tells the guardian how to end a session by itself; sent again whenever the master moves.

    The guardian knows from its charter how to reach Redis. `host` and `port` count only if the charter says that the
    master moves.
    """

    script: str
    """The text of the script for EVAL."""
    keys: tuple[str, ...]
    host: str = ""
    port: int = 0


@dataclass(frozen=True)
class Deadline:
    """The session stands until `at`: extend the fence. The guardian answers with Kept once the fence stands."""

    session: str
    at: float
    arguments: tuple[str, ...] = ()
    """ARGV of the script that ends this session."""


@dataclass(frozen=True)
class Plumb:
    """Carry these addresses, unless it is later than `at`. The guardian answers each with Plumbed or NotPlumbed."""

    grants: tuple[Grant, ...]
    session: str
    at: float


@dataclass(frozen=True)
class Unplumb:
    """Give up these addresses: none is plumbed again with its epoch or a lower one. The guardian answers with
    Unplumbed."""

    grants: tuple[Grant, ...]
    tag: str


@dataclass(frozen=True)
class Ready:
    """The guardian serves: the fence is closed, and none of the configured addresses is plumbed."""

    fence: str
    """`nftables`, `valid_lft` or `none`."""
    plumber: str
    """`netlink`, `memory` or `exec`."""
    late_s: float
    """The time for which the fence may stay open after the deadline if every process is stopped, beyond the lateness
    that all nodes allow for. Infinite without a fence."""
    why: str = ""
    """The reason why no better fence is in force; empty if this is the best one."""


@dataclass(frozen=True)
class Kept:
    """The fence stands until `at`."""

    session: str
    at: float


@dataclass(frozen=True)
class Plumbed:
    """The address is carried and was announced, `ms` after the guardian read the request."""

    address: str
    epoch: int
    ms: float


@dataclass(frozen=True)
class NotPlumbed:
    """The address is not carried, or no longer carried: the agent should release it."""

    address: str
    epoch: int
    reason: str


@dataclass(frozen=True)
class Unplumbed:
    """The addresses of an Unplumb are gone, except `failures`: each an address with its reason."""

    tag: str
    failures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Down:
    """The fence is closed, nothing is plumbed, the session is over. Only a new session can carry anything again."""

    session: str
    reason: str


@dataclass(frozen=True)
class LinkState:
    """An interface with configured addresses is up or down; sent after the first Configure and at each change."""

    interface: str
    up: bool
    there: bool = True
    """Whether the interface exists."""


@dataclass(frozen=True)
class Unfit:
    """The guardian cannot serve on this host, and ends."""

    reason: str


Message = (
    Configure
    | Ending
    | Deadline
    | Plumb
    | Unplumb
    | Ready
    | Kept
    | Plumbed
    | NotPlumbed
    | Unplumbed
    | Down
    | LinkState
    | Unfit
)

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Configure,
        Ending,
        Deadline,
        Plumb,
        Unplumb,
        Ready,
        Kept,
        Plumbed,
        NotPlumbed,
        Unplumbed,
        Down,
        LinkState,
        Unfit,
    )
}
_fields: dict[Any, dict[str, Any]] = {}


def encode(message: Message) -> bytes:
    """The message as a line, with its newline."""
    body = [type(message).__name__, dataclasses.asdict(message)]
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message of a line, with every field of the right type. Raises WireError."""
    try:
        name, fields = json.loads(line)
        message: Message = typed(fields, _KINDS[name])
    except NOT_TYPED:
        # The error does not repeat the line, which may hold anything.
        raise WireError("a line that is not a message") from None
    return message


NOT_TYPED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""The errors of JSON and of `typed` for a value of another type."""


def typed(value: Any, kind: Any) -> Any:
    """A value of JSON as `kind`, which is a dataclass, a tuple, a plain type, or one of these or None. Raises
    NOT_TYPED."""
    if isinstance(kind, types.UnionType):
        kind, nothing = kind.__args__
        return None if value is None and nothing is types.NoneType else typed(value, kind)
    if isinstance(kind, GenericAlias):
        kinds = kind.__args__
        if not isinstance(value, list):
            raise TypeError
        if kinds[-1] is ...:
            return tuple([typed(each, kinds[0]) for each in value])
        return tuple([typed(each, part) for each, part in zip(value, kinds, strict=True)])
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if kind not in _fields:
            _fields[kind] = {field.name: field.type for field in dataclasses.fields(kind)}
        fields = _fields[kind]
        return kind(**{key: typed(each, fields[key]) for key, each in value.items()})
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or value != value:
        raise TypeError
    if kind is str and not value.isascii():
        value.encode()  # half a surrogate pair is not a text
    return value


class Lines:
    """Cuts a stream into messages; an incomplete one waits for the next piece."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete now. Raises WireError, also for a line without end."""
        start = len(self._rest)
        self._rest += data
        end = self._rest.rfind(b"\n", start)
        if end < 0:
            if len(self._rest) > LONGEST_LINE:
                raise WireError("a line without end")
            return []
        whole, self._rest = bytes(self._rest[:end]), self._rest[end + 1 :]
        return [decode(line) for line in whole.split(b"\n") if line]
