"""The limits of a listener for its connections: times, sizes, numbers, and the bytes that they hold together."""

from collections.abc import Callable
from dataclasses import dataclass, field

from eccmgr.access.verifiers import Verifiers
from eccmgr.control.holdings import MIB, Holdings
from eccmgr.control.peer import PeerRules
from eccmgr.control.users import UserNames

UNREAD_BYTES = 64 * MIB
"""The maximum number of bytes of commands that are not whole yet, or wait for their turn, at one listener."""
UNREAD_BYTES_OF_PEER = 16 * MIB
"""The maximum number of these bytes for one peer."""

# A client may pipeline. If more bytes wait, the server reads on once they are answered.
READ_AHEAD_BYTES = 256 * 1024
# Answers that are ready at the same time are sent together, up to this size.
COALESCE_BYTES = 64 * 1024
# After this many commands in a row the other connections have their turn.
TURN = 128
# A client that broke the protocol, or was turned away, has this long to read the answer that says so. Up to a size, the
# bytes that it still sends are thrown away.
LINGER_S = 10.0
THROWN_AWAY_MAX = 16 * MIB
# An idle connection with an open transaction stays longer, but not for ever.
KEPT_S = 3600.0
# A frame must arrive whole within this time, and a client must read an answer within it, even if the idle time is
# longer.
FRAME_S = 60.0
# A client that reads fewer bytes than this in that time counts as not reading.
READ_BYTES_MIN = 16 * 1024


@dataclass(frozen=True)
class Limits:
    """The limits of a listener: seconds of idleness (0 = for ever), bytes of a frame, connections at once, in all and
    of one peer.

    With `authenticate`, callers over TCP sign in before their first command. With `insecure`, unknown callers (those
    over TCP who need not sign in) may run every command. `peers` says which networks may do without, and which may not
    connect. With `authorize`, each command takes a role that allows it.
    """

    idle_timeout_s: float = 60.0
    max_command_bytes: int = MIB
    max_connections: int = 4096
    max_connections_of_peer: int = 64
    authenticate: bool = False
    authorize: bool = False
    insecure: bool = False
    peers: PeerRules = field(default_factory=PeerRules)


@dataclass
class Terms:
    """The terms of one listener, for its present and future connections; the limits may be replaced at any time."""

    limits: Limits
    listener: str = ""
    """The endpoint in the form that is shown."""
    unread: Holdings = field(default_factory=lambda: Holdings(UNREAD_BYTES, UNREAD_BYTES_OF_PEER))
    """The bytes from its connections that were not read as commands yet."""
    verifiers: Callable[[], Verifiers] = Verifiers
    """The verifiers of passwords in force."""
    users: UserNames = field(default_factory=UserNames)
    """The names of this host's users."""
    binding: bytes | None = None
    """The channel binding `tls-server-end-point` of a TLS listener."""
