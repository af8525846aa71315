"""Reads group files (`console_roles`): the roles of users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eccmgr.config.syntax.faults import Fault, FaultyConfigError
from eccmgr.config.syntax.lexer import control_character
from eccmgr.config.syntax.lines import BREAK

if TYPE_CHECKING:
    from collections.abc import Mapping


_KINDS = ("unix", "scram", "cert", "node", "token")
"""The kinds of an identity, such as `scram:alice`."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The users of each group, in the order of the file."""

    users: Mapping[str, tuple[str, ...]]

    def roles_of(self, user: str) -> list[str]:
        """The roles of a user: the user's own name, then the user's groups."""
        return list(dict.fromkeys([user, *(group for group, users in self.users.items() if user in users)]))


def read_groups(path: str, data: bytes) -> Groups:
    """Parse the lines `group:user1,user2` or `group:x:user1,user2` of a group file. Raises FaultyConfigError.

    The last part of a line names the users, so a system's group file, with four parts, is accepted too. A user is a
    name of this host, or an identity such as `scram:alice`.
    """
    users: dict[str, tuple[str, ...]] = {}
    faults: list[Fault] = []
    expected = "group:user1,user2 or group:x:user1,user2"
    for number, line in enumerate(BREAK.split(data.decode("utf-8-sig", errors="replace")), 1):
        entry = line.strip()
        if control_character(entry):
            faults.append(Fault(path, number, 1, "a control character (is this a binary file?)", "text"))
            break
        if not entry or entry.startswith("#"):
            continue
        parts = _parts(entry)
        if not 2 <= len(parts) <= 4 or not parts[0]:
            column = len(line) - len(line.lstrip()) + 1
            faults.append(Fault(path, number, column, "not a group with its users", expected))
            continue
        named = (user.strip() for user in parts[-1].split(","))
        users[parts[0]] = tuple(dict.fromkeys([*users.get(parts[0], ()), *(user for user in named if user)]))
    if faults:
        raise FaultyConfigError(faults)
    return Groups(users)


def _parts(entry: str) -> list[str]:
    """The parts of a line. The colon of an identity does not separate parts."""
    parts: list[str] = []
    rest = entry
    while (colon := rest.find(":")) >= 0 and "," not in rest[:colon] and rest[:colon].strip().lower() not in _KINDS:
        parts.append(rest[:colon].strip())
        rest = rest[colon + 1 :]
    return [*parts, rest.strip()]
