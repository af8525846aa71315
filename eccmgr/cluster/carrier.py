"""The carrier of a session: it has VIPs that rest on the session."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class CarrierState:
    """What a session that carries VIPs sends with each heartbeat; a majority of `copies` must have the answer.

    `copies` 0 means as many as the sentinels know.
    """

    private_name: str
    era: int = 0
    memory: str = ""
    copies: int = 1


@dataclass(frozen=True)
class VipNews:
    """The news about VIPs that a session which carries them gets when it joins, and with each heartbeat.

    They are the era with its memory, and whether it is open; the number of the latest change of any record; each
    session that looks late on the lease clock, with its renewal counter.
    """

    era: int
    memory: str
    opened: bool
    change: int
    late: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class SessionRefusal:
    """A heartbeat or a join that did not count: `ended` or `rejoin`, with the era for a session that carries VIPs."""

    verdict: str
    era: int = 0
    memory: str = ""


class Carrier(Protocol):
    """Carries VIPs by a session. It chooses the session's private name, and nothing else may renew under that name."""

    async def begin(self, *, joins: bool) -> CarrierState:
        """A heartbeat, or a join, is about to be sent."""

    async def joined(self, news: VipNews, acked: bool) -> None:
        """We have joined. Raises RedisUnreachable if the join does not count after all."""

    async def renewed(self, news: VipNews, acked: bool) -> None:
        """A heartbeat was answered."""

    async def refused(self, refusal: SessionRefusal, acked: bool) -> None:
        """A heartbeat or a join did not count."""

    async def reset(self) -> None:
        """Choose another private name, under which the session is to go on."""

    async def left(self) -> None:
        """The session has ended for good."""
