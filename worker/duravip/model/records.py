"""What Redis keeps of VIPs, and what the scripts answer, as frozen values."""

import enum
from dataclasses import dataclass

from eccmgr.errors import Unreadable
from eccmgr.redis.reading import line, whole


class Verdict(enum.StrEnum):
    """What became of a call that a session made."""

    OK = "ok"
    """It counted."""
    ENDED = "ended"
    """This private name is over for ever."""
    REJOIN = "rejoin"
    """The session has not joined in this era, or the caller speaks of another one."""


@dataclass(frozen=True, slots=True)
class Era:
    """One life of the server's memory; two that share a number are told apart by that memory."""

    number: int = 0
    memory: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A VIP as Redis keeps it.

    `owner` is a private name, "" for none; `to` is the node, in small letters, that a free VIP is reserved for;
    `reason` says why the last change was made. A record of another era than the present one counts as free.
    """

    owner: str = ""
    epoch: int = 0
    era: int = 0
    to: str = ""
    reason: str = ""

    @classmethod
    def parse(cls, text: str) -> "Record":
        """Read a record as the scripts write it; nothing stands for one that was never written, or lost.

        Raises Unreadable.
        """
        if not text:
            return cls()
        try:
            owner, epoch, era, to, reason = text.split("\t")
            return cls(line(owner), whole(epoch), whole(era), line(to), reason)
        except ValueError as error:
            raise Unreadable(f"What Redis keeps of a VIP cannot be read: {error}") from error

    def dump(self) -> str:
        """As the scripts write it."""
        return f"{self.owner}\t{self.epoch}\t{self.era}\t{self.to}\t{self.reason}"


@dataclass(frozen=True, slots=True)
class Late:
    """A session that looks late on the lease clock, and its renewal counter."""

    session: str
    counter: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What every call of a session is answered.

    `acked` says whether a majority of Redis's copies has it; what follows the verdict is empty unless that is OK.
    """

    verdict: Verdict
    era: Era
    acked: bool = True


@dataclass(frozen=True, slots=True)
class Beaten(Answer):
    """The answer to a heartbeat: `change` is the number of the latest change of any record."""

    opened: bool = False
    change: int = 0
    late: tuple[Late, ...] = ()


@dataclass(frozen=True, slots=True)
class Stated(Answer):
    """Which of the stated VIPs, in their order, the session keeps."""

    kept: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class Granted(Answer):
    """The epoch of each VIP that was asked for, in their order; 0 where it was refused."""

    epochs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Page(Answer):
    """What changed, up to change number `upto`; `more` where another page follows.

    `records` are VIPs by address, `said` what is kept of nodes: @NODE its VIPs, ~NODE those that it cannot carry now,
    !NODE that it is drained.
    """

    upto: int = 0
    more: bool = False
    records: tuple[tuple[str, Record], ...] = ()
    said: tuple[tuple[str, str], ...] = ()
