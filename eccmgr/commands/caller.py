"""Who gives a command, by which way, and how he wants to hear of it."""

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eccmgr.commands.answer import Format

Event = Mapping[str, Any]


class Origin(enum.StrEnum):
    """The way by which a command came."""

    CONSOLE = "console"
    """A connection to a control listener."""
    CARRIED = "carried"
    """A broadcast or one of its kin, which this node heard."""
    SCHEDULE = "schedule"
    """A schedule that was due."""
    JOB = "job"
    """A long command, in the process that runs jobs."""


@dataclass(frozen=True)
class Caller:
    """Who gave a command, and how he wants to hear of it.

    `origin` is the way by which it came, `listener` and `peer` are the two ends of his connection ("" where there is
    none), and `roles` what he may be counted among. `session` is the same object for all that he says on one
    connection; None for what a broadcast carries. `emit`, where the client asked for a stream, takes the events of a
    CHUNK as they happen. `form` is what he wants the answer rendered as. `progress` takes how much of a long command is
    done, in percent. `only_here` says of what a node was sent that no other was sent it.
    """

    user: str
    origin: Origin = Origin.CONSOLE
    roles: frozenset[str] = frozenset()
    listener: str = ""
    peer: str = ""
    emit: Callable[[Event], Awaitable[None]] | None = None
    width: int = 80
    session: object | None = field(default=None, compare=False)
    form: Format = Format.TEXT
    progress: Callable[[float], None] = field(default=lambda _percent: None, compare=False)
    only_here: bool = False
