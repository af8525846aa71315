"""The channels of the log. Each channel goes to one file of `ec_logger`."""

import enum
from typing import Any


class Channel(enum.StrEnum):
    """The channel that the field `channel` of an event names; all but the last go to the main log too.

    Errors go to the panic log because of their level.
    """

    MAIN = "mainlog"
    """The main log: every event that names no channel."""
    PANIC = "paniclog"
    """The panic log: events that should never happen."""
    REJECT = "rejectlog"
    """The reject log: callers and requests that were refused."""
    ACCOUNT = "acctlog"
    """The accounting log: authentications, and the commands of each user."""
    HEARTBEAT = "heartbeat"
    """Signs of life, for the main log if an `ec_logger` asks for them."""


def without_channel(_logger: Any, _method: str, event: Any) -> Any:
    """Drop an event's channel, for a process without log files; a processor of structlog."""
    event.pop("channel", None)
    return event
