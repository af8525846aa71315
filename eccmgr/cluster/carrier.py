"""What rests on a session beside its membership: VIPs, and whoever carries them."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Standing:
    """What a session that carries VIPs tells Redis with each heartbeat; a majority of `copies` must have the answer.

    With `copies` 0, of as many as the sentinels know.
    """

    private_name: str
    era: int = 0
    memory: str = ""
    copies: int = 1


@dataclass(frozen=True)
class VipNews:
    """What a session that carries VIPs is told of them when it joins, and with each heartbeat.

    The era with its memory, and whether it is open; the number of the latest change of any record; each session that
    looks late on the lease clock, with its renewal counter.
    """

    era: int
    memory: str
    opened: bool
    change: int
    late: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class SessionRefusal:
    """A heartbeat or a join that did not count: `ended` or `rejoin`, in which era for a session that carries VIPs."""

    verdict: str
    era: int = 0
    memory: str = ""


class Carrier(Protocol):
    """What carries VIPs by a session. It chooses the session's private name; nothing else may renew under it."""

    async def begin(self, *, joins: bool) -> Standing:
        """A heartbeat, or what `joins`, is about to be sent."""

    async def joined(self, news: VipNews, acked: bool) -> None:
        """We have joined. Raises RedisUnreachable where it does not count after all."""

    async def renewed(self, news: VipNews, acked: bool) -> None:
        """A heartbeat was answered."""

    async def refused(self, refusal: SessionRefusal, acked: bool) -> None:
        """A heartbeat or a join did not count."""

    async def reset(self) -> None:
        """The session is to go on under another name: choose it."""

    async def left(self) -> None:
        """The session has ended for good."""
