"""The limits of a listener for its connections: times, sizes, numbers, and the bytes that they hold together."""

from dataclasses import dataclass, field

from eccmgr.control.barred import Barred
from eccmgr.control.holdings import MIB, Holdings

UNREAD_BYTES = 64 * MIB
"""The maximum number of bytes of commands that are not whole yet, or wait for their turn, at one listener."""
UNREAD_BYTES_OF_PEER = 16 * MIB
"""The maximum number of these bytes for one peer."""


@dataclass(frozen=True)
class Limits:
    """The limits of a listener: seconds of idleness (0 = for ever), bytes of a frame, connections at once, in all and
    of one peer.

    If there is a `refusal`, it is the answer to every command, and no command runs. With `insecure`, unknown callers
    (those over TCP) may run every command.
    """

    idle_timeout_s: float = 60.0
    max_command_bytes: int = MIB
    max_connections: int = 4096
    max_connections_of_peer: int = 64
    refusal: Barred | None = None
    insecure: bool = False


@dataclass
class Terms:
    """The terms of one listener, for its present and future connections; the limits may be replaced at any time."""

    limits: Limits
    listener: str = ""
    """The endpoint in the form that is shown."""
    unread: Holdings = field(default_factory=lambda: Holdings(UNREAD_BYTES, UNREAD_BYTES_OF_PEER))
    """The bytes from its connections that were not read as commands yet."""
