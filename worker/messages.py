"""What a node hears of commands, and what it says: a message, a withdrawal, a response."""

import json
from dataclasses import dataclass

from eccmgr.cluster.results import State
from worker.follower import is_entry


@dataclass(frozen=True)
class Message:
    """A command as it is published: the view that expects it, and how many ms it may wait before it begins."""

    id: str
    text: str
    issuer: str
    view: int
    ttl_ms: int
    begin_by: float
    """On this process's monotonic clock, in seconds."""
    channel: str
    entry: str
    before: str
    """Its place in the log, and the entry before it on its channel."""
    planned: bool = False
    """Whether it may be meant for others: then it is never begun without a claim."""

    @classmethod
    def parse(cls, raw: bytes, now: float) -> "Message":
        """A message that is heard at `now`. Raises ValueError where `raw` is none."""
        try:
            fields = json.loads(raw.decode())
            return cls(
                id=str(fields["id"]),
                text=str(fields["text"]),
                issuer=str(fields["issuer"]),
                view=int(fields["view"]),
                ttl_ms=int(fields["ttl"]),
                begin_by=now + int(fields["ttl"]) / 1000,
                channel=str(fields["channel"]),
                entry=_entry(fields["entry"]),
                before=_entry(fields["before"]),
                planned=bool(fields.get("planned")),
            )
        except (KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"a field is missing or wrong: {error}") from error


@dataclass(frozen=True)
class Withdrawal:
    """That a command is withdrawn, as it is published; its place in the log as a message's."""

    id: str
    channel: str
    entry: str
    before: str

    @classmethod
    def parse(cls, raw: bytes) -> "Withdrawal":
        """Read one. Raises ValueError where `raw` is none."""
        try:
            fields = json.loads(raw.decode())
            return cls(str(fields["abort"]), str(fields["channel"]), _entry(fields["entry"]), _entry(fields["before"]))
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"a field is missing or wrong: {error}") from error


@dataclass(frozen=True)
class Life:
    """The session that a command is run under; the node may have joined anew before the command has ended."""

    private_name: str
    joined_view: int


@dataclass(frozen=True)
class Response:
    """What a node answers, ready to be written."""

    id: str
    life: Life
    state: State
    took_ms: int
    flags: str
    body: bytes
    claimed: bool = True
    """Whether its command was claimed; it makes no difference but that Redis has less to look up where it is right."""


def _entry(value: object) -> str:
    if not isinstance(value, str) or not is_entry(value):
        raise TypeError(f"{value!r} is no entry of a log")
    return value
