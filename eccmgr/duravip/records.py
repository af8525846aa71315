"""The records of VIPs in Redis, and the answers of the scripts, as frozen values."""

import enum
from dataclasses import dataclass

from eccmgr.errors import Unreadable
from eccmgr.redis.reading import line, whole

MOVED = "move"
"""The reason that an operator's move leaves in a record: it pins the VIP."""


class Verdict(enum.StrEnum):
    """The verdict on a session's call."""

    OK = "ok"
    """The call counted."""
    ENDED = "ended"
    """The private name has ended for ever."""
    REJOIN = "rejoin"
    """The session has not joined in this era, or the call belongs to another era."""


@dataclass(frozen=True, slots=True)
class Era:
    """One life of the server's memory. `memory` tells two eras with the same number apart."""

    number: int = 0
    memory: str = ""


@dataclass(frozen=True, slots=True)
class VipRecord:
    """A VIP as Redis keeps it.

    `owner` is a private name, "" for a free VIP. `to` is the node, in small letters, for which a free VIP is reserved.
    `reason` explains the last change. A record of an era other than the present one counts as free.
    """

    owner: str = ""
    epoch: int = 0
    era: int = 0
    to: str = ""
    reason: str = ""

    @classmethod
    def parse(cls, text: str) -> "VipRecord":
        """Read a record as the scripts write it; "" stands for a record that was never written or was lost.

        Raises Unreadable.
        """
        if not text:
            return cls()
        try:
            owner, epoch, era, to, reason = text.split("\t")
            return cls(line(owner), whole(epoch), whole(era), line(to), line(reason))
        except ValueError as error:
            raise Unreadable(f"The record of a VIP in Redis cannot be read: {error}") from error

    def dump(self) -> str:
        """The record as the scripts write it."""
        return f"{self.owner}\t{self.epoch}\t{self.era}\t{self.to}\t{self.reason}"


@dataclass(frozen=True, slots=True)
class Late:
    """A session that looks late on the lease clock, and its renewal counter."""

    session: str
    counter: int


@dataclass(frozen=True, slots=True)
class SessionAnswer:
    """The answer to any call of a session.

    `acked` says whether a majority of Redis's copies has the call. The fields after the verdict are empty unless the
    verdict is OK.
    """

    verdict: Verdict
    era: Era
    acked: bool = True


@dataclass(frozen=True, slots=True)
class Beaten(SessionAnswer):
    """The answer to a heartbeat: `change` is the number of the latest change of any record."""

    opened: bool = False
    change: int = 0
    late: tuple[Late, ...] = ()


@dataclass(frozen=True, slots=True)
class Stated(SessionAnswer):
    """The answer to a statement: for each stated VIP, in order, whether the session keeps it."""

    kept: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class Granted(SessionAnswer):
    """The epoch of each VIP that was asked for, in order; 0 if it was refused."""

    epochs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Page(SessionAnswer):
    """The changes up to the change number `upto`; with `more`, another page follows.

    `records` has the VIPs by address. `said` has the statements about nodes: @NODE its VIPs, ~NODE the VIPs that it
    cannot carry now, !NODE that it is drained.
    """

    upto: int = 0
    more: bool = False
    records: tuple[tuple[str, VipRecord], ...] = ()
    said: tuple[tuple[str, str], ...] = ()
