"""Decides who may run a command, by roles, their patterns and their users. Pure.

An identity is `scram:tom`, `cert:tom` or `node:east1`. A user of this host is the bare name, which may be written as
`unix:tom`. So a user of one kind never has the roles of another kind's user of the same name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from eccmgr.patterns import Pattern

UNIX = "unix:"
KINDS = (UNIX, "scram:", "cert:", "node:")
_NAMELESS = "uid "
_KNOWN_MAX = 10_000


@dataclass(frozen=True)
class Policy:
    """The roles of a daemon, and the callers that they limit.

    `groups` has the groups of each identity, `roles` the patterns of each role. `limited` are the endpoints of the
    listeners whose callers need a role for each command; With `everywhere`, commands that come by no listener (from a
    manager, by schedule) need a role too. Users in `roleless` have no roles, whatever their names.
    """

    roles: Mapping[str, tuple[Pattern, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limited: frozenset[str] = frozenset()
    everywhere: bool = False
    roleless: frozenset[str] = frozenset({"", "anonymous"})
    _known: dict[tuple[str, str, str], str | None] = field(default_factory=dict, repr=False, compare=False)

    def limits(self, listener: str) -> bool:
        """Whether callers of `listener` ("": none) need a role for each command."""
        return listener in self.limited if listener else self.everywhere

    def roles_of(self, user: str) -> tuple[str, ...]:
        """The roles of a user: the user's own name, then the user's groups."""
        if user in self.roleless or user.startswith(_NAMELESS):
            return ()
        return tuple(dict.fromkeys((user, *self.groups.get(user, ()))))

    def role_for(self, user: str, command: str, carrier: str = "") -> str | None:
        """The role by which `user` may run `command`; None if there is no such role. `command` and `carrier` are in
        normal form.

        A command inside `carrier` is allowed by itself, or by a pattern that ends in `$` and matches all of `carrier`.
        """
        asked = user, command, carrier
        if asked not in self._known:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[asked] = self._look_up(*asked)
        return self._known[asked]

    def _look_up(self, user: str, command: str, carrier: str) -> str | None:
        for role in self.roles_of(user):
            for pattern in self.roles.get(role, ()):
                if pattern.is_in(command) or (carrier and _says_all(pattern, carrier)):
                    return role
        return None


def identity(written: str) -> str:
    """The identity for a user of a group file: `unix:tom` is `tom`."""
    return written.removeprefix(UNIX)


def groups_of_users(users: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """The groups of each identity, from the users of each group."""
    found: dict[str, tuple[str, ...]] = {}
    for group, names in users.items():
        for name in names:
            found[identity(name)] = (*found.get(identity(name), ()), group)
    return found


def _says_all(pattern: Pattern, carrier: str) -> bool:
    return pattern.text.endswith("$") and not pattern.text.endswith("\\$") and pattern.is_all_of(carrier)
