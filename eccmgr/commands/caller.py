"""The caller of a command: the user, the way the command came, and the form of the answer."""

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from eccmgr.commands.answer import Format

Event = Mapping[str, Any]


class Origin(enum.StrEnum):
    """The way a command came."""

    CONSOLE = "console"
    """A connection to a control listener."""
    CARRIED = "carried"
    """A command that a manager sent to this node, by broadcast, gather or unicast."""
    SCHEDULE = "schedule"
    """A schedule that was due."""
    JOB = "job"
    """A long command, in the process that runs jobs."""


class Room(Protocol):
    """The room for answers that a caller has not read yet."""

    @property
    def is_over(self) -> bool:
        """Whether there is none left."""

    @property
    def bounds(self) -> str:
        """The bounds in words."""

    async def room(self, patience_s: float) -> bool:
        """Wait for room; False if that takes too long."""


class Access(enum.Enum):
    """The commands that a listener allows to all its callers."""

    ALL = "all"
    """Every command: this process knows the user, or the listener accepts every command from everybody."""
    OPEN = "open"
    """The commands that are open to everybody (`Command.is_open`), because the user is unknown."""


@dataclass(frozen=True)
class Caller:
    """The caller of a command, and how to answer it.

    `origin` is the way the command came, `listener` and `peer` are the two ends of the connection ("" without one), and
    `access` says which commands that listener allows. `roles` are the user's roles. `session` is the same object for
    all commands of one connection, and None for a carried command. `emit`, if the client asked for a stream, sends an
    event in a CHUNK frame. `form` is the form of the answer, `width` the columns of the terminal. `progress` takes the
    part of a long command that is done, in percent. `only_here`: the command was sent to this node alone. `room` is the
    room for answers at the caller's listener; None if nobody bounds it.
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
    access: Access = Access.ALL
    room: Room | None = field(default=None, compare=False)
    runs_on: bool = False
    """Whether a gather goes on if its client goes away."""
    proposed_id: str = ""
    """The id that the client proposes for what it sends to nodes; "" if it proposes none."""
    limited: bool | None = None
    """Whether its listener asks for a role for each command; None: the command came by no listener."""
