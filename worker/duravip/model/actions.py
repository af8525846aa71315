"""The actions of one node's agent: its requests to Redis and to its guardian, in the order in which they are carried
out.

A message to the guardian goes down its pipe before any later call to Redis.
"""

from dataclasses import dataclass

from eccmgr.duravip.records import Era


@dataclass(frozen=True, slots=True)
class RedisCall:
    """A call to Redis by `session`, whose agent has seen `era`. Its answer concerns that session alone."""

    session: str
    era: Era


@dataclass(frozen=True, slots=True)
class Beat(RedisCall):
    """A heartbeat that began at `sent`. It renews the session, or begins it in this era if it `joins`."""

    sent: float
    joins: bool


@dataclass(frozen=True, slots=True)
class StateHeld(RedisCall):
    """States the VIPs that this node holds, with their epochs, to a server that lost its memory; part of a join."""

    holdings: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class OpenEra(RedisCall):
    """Opens an era that this node has watched for long enough: every holder of a VIP has stated it."""


@dataclass(frozen=True, slots=True)
class TakeOver(RedisCall):
    """Takes over a session that has not renewed since its `counter` was first seen."""

    watched: str
    counter: int


@dataclass(frozen=True, slots=True)
class Wish:
    """A VIP to ask for, with an epoch above `seen`. With `force` it is asked for even if it is reserved for another
    node."""

    address: str
    seen: int
    reason: str
    force: bool = False


@dataclass(frozen=True, slots=True)
class Acquire(RedisCall):
    """Asks for VIPs."""

    wishes: tuple[Wish, ...]


@dataclass(frozen=True, slots=True)
class Gift:
    """A VIP to give up for the node `to`; with "", placement chooses the node."""

    address: str
    epoch: int
    to: str
    reason: str


@dataclass(frozen=True, slots=True)
class Release(RedisCall):
    """Releases VIPs; each has been unplumbed."""

    gifts: tuple[Gift, ...]


@dataclass(frozen=True, slots=True)
class Read(RedisCall):
    """Reads the records that changed after the change number `since`."""

    since: int


@dataclass(frozen=True, slots=True)
class EndCarrying(RedisCall):
    """Ends a session of ours after all of its VIPs were unplumbed."""


@dataclass(frozen=True, slots=True)
class Extend:
    """To the guardian: `session` may hold its VIPs until `at`."""

    session: str
    at: float
    era: Era


@dataclass(frozen=True, slots=True)
class TellPlumb:
    """To the guardian: plumb these addresses with their epochs, at `at` at the latest."""

    session: str
    at: float
    addresses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class TellUnplumb:
    """To the guardian: unplumb these addresses, and never plumb them again with their epochs or lower ones."""

    tag: int
    addresses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ReplaceGuardian:
    """Kill the guardian, because it no longer confirms anything, and start another."""


Action = RedisCall | Extend | TellPlumb | TellUnplumb | ReplaceGuardian
