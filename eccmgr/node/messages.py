"""The messages of a node: the commands and withdrawals that it hears, and its responses."""

from typing import NamedTuple, TypeVar

import msgspec

from eccmgr.cluster.members import Life
from eccmgr.cluster.results import State
from eccmgr.node.follower import check_entries
from eccmgr.redis.reading import Count, decoded


class Message(msgspec.Struct, frozen=True):
    """A command as it is published. `view` is the view whose nodes it is for; `ttl_ms` is the time for which it may
    wait before it begins.

    A signed command has its text and issuer in its statement (`env`); they are known once that is opened. A gather
    waits until every node has read the message, so reading it has to be fast.
    """

    id: str
    view: Count
    ttl_ms: Count = msgspec.field(name="ttl")
    channel: str
    entry: str
    before: str
    """Its place in the log, and the entry before it on its channel."""
    text: str = ""
    issuer: str = ""
    planned: bool = False
    """Whether it may be for other nodes only. Such a command never begins without a claim."""
    env: str = ""
    sig: str = ""
    release_env: str = ""
    release_sig: str = ""
    of: str = ""
    """The digest of the statement of a signed command."""
    target: tuple[str, ...] = ()
    """The target of a signed command, as its statement names it."""
    begin_by: float = 0.0
    """The time until which it may begin, on this process's monotonic clock, in seconds."""

    @classmethod
    def parse(cls, raw: bytes, now: float) -> "Message":
        """Read a message that was heard at `now`. Raises ValueError if `raw` is not a message."""
        message = _read(_message, raw)
        if not message.text and not message.env:
            raise ValueError("it has neither a text nor a statement")
        msgspec.structs.force_setattr(message, "begin_by", now + message.ttl_ms / 1000)
        return message


class Withdrawal(msgspec.Struct, frozen=True):
    """The withdrawal of a command as it is published, with its place in the log."""

    id: str = msgspec.field(name="abort")
    channel: str
    entry: str
    before: str
    env: str = ""
    sig: str = ""

    @classmethod
    def parse(cls, raw: bytes) -> "Withdrawal":
        """Read a withdrawal. Raises ValueError if `raw` is not a withdrawal."""
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


class Response(NamedTuple):
    """A node's answer, ready to be written to Redis."""

    id: str
    life: Life
    state: State
    took_ms: int
    flags: str
    body: bytes
    of: str = ""
    """The digest of the command's statement; "" if the command is not signed."""
    claimed: bool = True
    """Whether the node claimed the command. A right value saves Redis a look-up; a wrong value does no harm."""
