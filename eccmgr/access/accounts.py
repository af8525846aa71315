"""The lines of the account: who signed in, who ran which command, and who was refused. Pure.

The fields of a line are separated by `@`. In a field, a backslash stands before each `@` and each backslash, and an
unseen character is written as `\\n`, `\\x1b` or `\\u202e`.
"""

import functools
import re
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
_SHORT = 128


class AccountLine(NamedTuple):
    """One line of the account. `command`, without its secrets, and `role` belong to an authorization alone."""

    letter: str
    listener: str
    peer: str
    user: str
    outcome: int
    command: str = ""
    role: str = ""

    def at(self, wall_s: float) -> str:
        """The line, with its time."""
        # The same callers give most commands again and again.
        fields = _known(self) if len(self.command) < _SHORT else _fields(self)
        return f"{int(wall_s)}@{fields}"


def gap(wall_s: float, lines: int, reason: str) -> str:
    """The line that stands in place of `lines` dropped ones."""
    return f"{int(wall_s)}@{GAP}@{lines}@{_escaped(reason)}"


def shortened(command: str) -> str:
    """A refused command, not longer than is kept of it."""
    return command if len(command) <= REFUSED_MAX else f"{command[:REFUSED_MAX]}…"


def _fields(line: AccountLine) -> str:
    fields = [line.letter, line.listener, line.peer, line.user, str(line.outcome)]
    if line.letter == AUTHORIZATION:
        fields += [line.command, *filter(None, (line.role,))]
    return "@".join(map(_escaped, fields))


_known = functools.lru_cache(maxsize=4096)(_fields)


def _escaped(field: str) -> str:
    return visible_line(_SPECIAL.sub(r"\\\g<0>", field))
