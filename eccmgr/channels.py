"""The channels of the log: which of the files of `ec_logger` an event is for."""

import enum
from typing import Any


class Channel(enum.StrEnum):
    """What an event names by its field `channel`; every channel but the last goes to the main log as well.

    Errors go to the panic log by their level.
    """

    MAIN = "mainlog"
    """What happens: every event that names no channel."""
    PANIC = "paniclog"
    """What should never happen."""
    REJECT = "rejectlog"
    """What was turned away."""
    ACCOUNT = "acctlog"
    """Who authenticated, and who ran what."""
    HEARTBEAT = "heartbeat"
    """Signs of life, for the main log of an `ec_logger` that asks for them."""


def without_channel(_logger: Any, _method: str, event: Any) -> Any:
    """Drop the channel of an event, where there are no files: a processor of structlog."""
    event.pop("channel", None)
    return event
