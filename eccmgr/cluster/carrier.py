"""The carrier of a session: its VIPs rest on the session."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class CarrierState:
    """The part of each heartbeat of a session that carries VIPs.

    A majority of `copies` must have the answer; with 0, the sentinels know the number of copies.
    """

    private_name: str
    era: int = 0
    memory: str = ""
    copies: int = 1


@dataclass(frozen=True)
class VipNews:
    """The news about VIPs for a session that carries VIPs; it comes with each join and each heartbeat.

    The news has the era with its memory, and whether the era is open; the number of the latest change of any record;
    and each session that looks late on the lease clock, with its renewal counter.
    """

    era: int
    memory: str
    opened: bool
    change: int
    late: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class SessionRefusal:
    """The answer to a heartbeat or a join that did not count: `ended` or `rejoin`, with the era for a session that
    carries VIPs."""

    verdict: str
    era: int = 0
    memory: str = ""


class Carrier(Protocol):
    """Carries VIPs, which rest on a session. It chooses the session's private name, and nothing else may renew under
    that name."""

    async def begin(self, *, joins: bool) -> CarrierState:
        """A heartbeat or a join is about to be sent."""

    async def joined(self, news: VipNews, acked: bool) -> None:
        """We have joined. Raises RedisUnreachable if it turns out that the join does not count."""

    async def renewed(self, news: VipNews, acked: bool) -> None:
        """A heartbeat was answered."""

    async def refused(self, refusal: SessionRefusal, acked: bool) -> None:
        """A heartbeat or a join did not count."""

    async def reset(self) -> None:
        """Choose another private name, under which the session continues."""

    async def left(self) -> None:
        """The session has ended for good."""
