"""What one node's agent asks of Redis and of its guardian. It is carried out in the order in which it was decided.

What goes to the guardian goes down its pipe before any call to Redis that comes after it.
"""

from dataclasses import dataclass

from worker.duravip.model.records import Era


@dataclass(frozen=True, slots=True)
class Call:
    """A call to Redis by `session`, by a caller that has seen `era`; its answer belongs to that session alone."""

    session: str
    era: Era


@dataclass(frozen=True, slots=True)
class Beat(Call):
    """A heartbeat, begun at `sent`: renews the session, or where it `joins` begins it in this era."""

    sent: float
    joins: bool


@dataclass(frozen=True, slots=True)
class State(Call):
    """Tells a server that lost its memory what this node holds, and with which epoch; part of a join."""

    holdings: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Open(Call):
    """The era has been watched for long enough: whoever holds anything has said so."""


@dataclass(frozen=True, slots=True)
class TakeOver(Call):
    """Ends a session that has not renewed since its `counter` was first seen."""

    watched: str
    counter: int


@dataclass(frozen=True, slots=True)
class Wish:
    """A VIP that is asked for: above epoch `seen`, and even if it is reserved for another where `force`."""

    address: str
    seen: int
    reason: str
    force: bool = False


@dataclass(frozen=True, slots=True)
class Acquire(Call):
    """Asks for VIPs."""

    wishes: tuple[Wish, ...]


@dataclass(frozen=True, slots=True)
class Gift:
    """A VIP that is given up; `to` is the node that it is for, "" for whoever placement names."""

    address: str
    epoch: int
    to: str
    reason: str


@dataclass(frozen=True, slots=True)
class Release(Call):
    """Gives VIPs up; each has been unplumbed."""

    gifts: tuple[Gift, ...]


@dataclass(frozen=True, slots=True)
class Read(Call):
    """Reads the records that changed after change number `since`."""

    since: int


@dataclass(frozen=True, slots=True)
class End(Call):
    """Ends a session of ours under which nothing is plumbed any more."""


@dataclass(frozen=True, slots=True)
class Extend:
    """To the guardian: `session` may hold what it holds until `at`."""

    session: str
    at: float
    era: Era


@dataclass(frozen=True, slots=True)
class Plumb:
    """To the guardian: plumb these addresses with their epochs, if it is not later than `at`."""

    session: str
    at: float
    addresses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Unplumb:
    """To the guardian: unplumb these addresses, and never plumb them again with the epoch given or a lower one."""

    tag: int
    addresses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ReplaceGuardian:
    """It confirms nothing any more: kill it and start another."""


Action = Call | Extend | Plumb | Unplumb | ReplaceGuardian
