"""The connections of one server: no peer can take them all, and root always gets in.

If a peer with too many connections opens another one, the server closes an idle one for it. If none is idle, the server
turns the new connection away: it tells the reason, and throws away whatever the client still sends. Connections that
are turned away, or leave after an error, take no room from others: the server closes the oldest as soon as it needs the
descriptor.
"""

import itertools
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from eccmgr.access.penalties import Penalties
from eccmgr.control.holdings import MIB, Holdings
from eccmgr.control.limits import Limits
from eccmgr.control.peer import RemoteEnd

KEPT_FOR_ROOT = 16
"""The connections that only root may use."""
IDLE_S = 1.0
"""A connection that was idle for this long may be closed for another one."""
UNSENT_BYTES = 256 * MIB
"""If the answers that wait for their readers have more bytes than this, no further command begins."""
UNSENT_BYTES_OF_PEER = 64 * MIB
"""The maximum number of these bytes for one peer."""

# To look at thousands of connections for each refused one would cost more than it brings.
_LOOKED_AT = 256


class Guest(Protocol):
    """A connection, as the crowd sees it."""

    @property
    def remote(self) -> RemoteEnd:
        """The other end."""

    def idle_s(self) -> float:
        """The seconds for which nothing has happened; 0 while a command is under way."""

    def drop(self) -> None:
        """Close at once."""


G = TypeVar("G", bound=Guest)


class Crowd(Generic[G]):
    """The connections of one server."""

    def __init__(self) -> None:
        self.unsent = Holdings(UNSENT_BYTES, UNSENT_BYTES_OF_PEER)
        """The answers that wait for their readers."""
        self.penalties = Penalties()
        """The delays for peers whose sign-ins failed."""
        self._inside: dict[G, None] = {}
        self._of_peer: dict[str, dict[G, None]] = {}
        self._leaving: dict[G, None] = {}

    def __len__(self) -> int:
        return len(self._inside) + len(self._leaving)

    @property
    def guests(self) -> list[G]:
        """All connections that are not closed yet."""
        return [*self._inside, *self._leaving]

    def enter(self, guest: G, limits: Limits) -> str:
        """Let a connection in; answers "", or the reason why it is turned away."""
        remote = guest.remote
        theirs = self._of_peer.get(remote.key, {})
        room = limits.max_connections if remote.is_root else max(1, limits.max_connections - KEPT_FOR_ROOT)
        refusal = ""
        if len(theirs) >= limits.max_connections_of_peer and not self._make_room(theirs):
            refusal = f"Too many connections: {remote.key} has {len(theirs)} of them, and none is idle; close some"
        elif len(self._inside) >= room and not self._make_room(self._inside):
            refusal = f"Too many connections: {len(self._inside)} are open, and none is idle; try again later"
        if len(self) >= room and self._leaving:
            oldest = next(iter(self._leaving))
            del self._leaving[oldest]
            oldest.drop()
        if refusal:
            self._leaving[guest] = None
        else:
            self._inside[guest] = None
            self._of_peer.setdefault(remote.key, {})[guest] = None
        return refusal

    def turn_away(self, guest: G) -> None:
        """This connection will end: from now on it takes no room from others."""
        self._forget(guest)
        self._leaving[guest] = None

    def leave(self, guest: G) -> None:
        """A connection is closed."""
        self._forget(guest)
        self._leaving.pop(guest, None)

    def _make_room(self, guests: Iterable[G]) -> bool:
        """Of the connections that have been open for longest, close the one that has been idle for longest; answers
        whether one was idle enough."""
        oldest = itertools.islice(guests, _LOOKED_AT)
        idle_s, idlest = max(((guest.idle_s(), guest) for guest in oldest), key=lambda found: found[0])
        if idle_s < IDLE_S:
            return False
        self._forget(idlest)
        idlest.drop()
        return True

    def _forget(self, guest: G) -> None:
        if guest not in self._inside:
            return
        del self._inside[guest]
        theirs = self._of_peer[guest.remote.key]
        del theirs[guest]
        if not theirs:
            del self._of_peer[guest.remote.key]
