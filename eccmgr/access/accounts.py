"""The lines of the account: who signed in, who ran which command, and who was refused. Pure.

The fields of a line are separated by `@`. In a field, a backslash stands before each `@` and each backslash, and an
unseen character is written as `\\n`, `\\x1b` or `\\u202e`.
"""

import functools
import re
from collections.abc import Iterable
from typing import NamedTuple

from eccmgr.text.unseen import visible_line

AUTHENTICATION = "N"
TIMED_OUT = "T"
AUTHORIZATION = "Z"
GAP = "D"
"""The letter of a line that stands in place of lines that were dropped."""
REFUSED_MAX = 2048
"""The most characters of a refused command that are kept: it did not run, and may come from anybody."""

_SPECIAL = re.compile(r"[@\\]")
_BEHIND = r"\\\g<0>"
_SHORT = 128


class AccountLine(NamedTuple):
    """One line of the account. `command`, without its secrets, and `role` belong to an authorization alone."""

    wall_s: float
    letter: str
    listener: str
    peer: str
    user: str
    outcome: int
    command: str = ""
    role: str = ""

    def __str__(self) -> str:
        fields = [self.letter, self.listener, self.peer, self.user, str(self.outcome)]
        if self.letter == AUTHORIZATION:
            fields += [self.command, *filter(None, (self.role,))]
        return _line(self.wall_s, fields)


def gap(wall_s: float, lines: int, reason: str) -> str:
    """The line that stands in place of `lines` dropped ones."""
    return _line(wall_s, (GAP, str(lines), reason))


def shortened(command: str) -> str:
    """A refused command, not longer than is kept of it."""
    return command if len(command) <= REFUSED_MAX else f"{command[:REFUSED_MAX]}…"


def _line(wall_s: float, fields: Iterable[str]) -> str:
    return "@".join((str(int(wall_s)), *map(_escaped, fields)))


def _escaped(field: str) -> str:
    return _short(field) if len(field) < _SHORT else visible_line(_SPECIAL.sub(_BEHIND, field))


@functools.lru_cache(maxsize=4096)
def _short(field: str) -> str:
    # Listeners, users and most commands come again and again.
    return visible_line(_SPECIAL.sub(_BEHIND, field))
