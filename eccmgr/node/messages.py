"""What a node hears of commands, and what it says: a message, a withdrawal, a response."""

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import msgspec

from eccmgr.cluster.results import State
from eccmgr.node.follower import check_entries
from eccmgr.redis.reading import Count, decoded


class Message(msgspec.Struct, frozen=True):
    """A command as it is published: the view that expects it, and how many ms it may wait before it begins.

    Whoever asks all day waits for all nodes to have read it, so that it is read as fast as can be.
    """

    id: str
    text: str
    issuer: str
    view: Count
    ttl_ms: Count = msgspec.field(name="ttl")
    channel: str
    entry: str
    before: str
    """Its place in the log, and the entry before it on its channel."""
    planned: bool = False
    """Whether it may be meant for others: then it is never begun without a claim."""
    begin_by: float = 0.0
    """On this process's monotonic clock, in seconds."""

    @classmethod
    def parse(cls, raw: bytes, now: float) -> "Message":
        """A message that is heard at `now`. Raises ValueError where `raw` is none."""
        message = _read(_message, raw)
        msgspec.structs.force_setattr(message, "begin_by", now + message.ttl_ms / 1000)
        return message


class Withdrawal(msgspec.Struct, frozen=True):
    """That a command is withdrawn, as it is published; its place in the log as a message's."""

    id: str = msgspec.field(name="abort")
    channel: str
    entry: str
    before: str

    @classmethod
    def parse(cls, raw: bytes) -> "Withdrawal":
        """Read one. Raises ValueError where `raw` is none."""
        return _read(_withdrawal, raw)


_Heard = TypeVar("_Heard", Message, Withdrawal)
_message = msgspec.json.Decoder(Message)
_withdrawal = msgspec.json.Decoder(Withdrawal)


def _read(decoder: msgspec.json.Decoder[_Heard], raw: bytes) -> _Heard:
    try:
        heard = decoded(decoder, raw)
    except ValueError as error:
        raise ValueError(f"it cannot be read: {error}") from error
    check_entries(heard.entry, heard.before)
    return heard


@dataclass(frozen=True)
class Life:
    """The session that a command is run under; the node may have joined anew before the command has ended."""

    private_name: str
    joined_view: Count


class Response(NamedTuple):
    """What a node answers, ready to be written."""

    id: str
    life: Life
    state: State
    took_ms: int
    flags: str
    body: bytes
    claimed: bool = True
    """Whether its command was claimed; it makes no difference but that Redis has less to look up where it is right."""
