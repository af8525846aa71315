"""Decides who may run a command, by roles, their patterns and their users. Pure.

An identity is `scram:tom`, `cert:tom`, `token:tom` or `node:east1`. A user of this host is the bare name, which may be
written as `unix:tom`. So a user of one kind never has the roles of another kind's user of the same name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from eccmgr.text.patterns import Pattern

UNIX = "unix:"
_NAMELESS = "uid "
_KNOWN_MAX = 10_000
_KNOWN_LENGTH_MAX = 256


@dataclass(frozen=True)
class PolicyRecord:
    """A policy in the form in which another process takes it over: the patterns of each role are texts."""

    roles: dict[str, tuple[str, ...]]
    groups: dict[str, tuple[str, ...]]
    everywhere: bool
    roleless: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """The roles of a daemon, and the users who have them.

    `groups` has the groups of each identity, `roles` the patterns of each role. With `everywhere`, commands that come
    by no listener (from a manager, by schedule) need a role; each listener says so for its own callers. Users in
    `roleless` have no roles, whatever their names.
    """

    roles: Mapping[str, tuple[Pattern, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    everywhere: bool = False
    roleless: frozenset[str] = frozenset({"", "anonymous"})
    _known: dict[tuple[str, str, tuple[str, ...]], str | None] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, record: PolicyRecord) -> "Policy":
        """The policy that another process has recorded."""
        roles = {role: tuple(map(pattern_of, texts)) for role, texts in record.roles.items()}
        return cls(roles, record.groups, record.everywhere, frozenset(record.roleless))

    @property
    def record(self) -> PolicyRecord:
        """This policy for another process."""
        roles = {role: tuple(pattern.text for pattern in patterns) for role, patterns in self.roles.items()}
        return PolicyRecord(roles, dict(self.groups), self.everywhere, tuple(sorted(self.roleless)))

    def limits(self, by_listener: bool | None) -> bool:
        """Whether a caller needs a role for each command: by its listener's word, or without a listener (None)."""
        return self.everywhere if by_listener is None else by_listener

    def roles_of(self, user: str) -> tuple[str, ...]:
        """The roles of a user: the user's own name, then the user's groups."""
        if user in self.roleless or user.startswith(_NAMELESS):
            return ()
        return tuple(dict.fromkeys((user, *self.groups.get(user, ()))))

    def role_for(self, user: str, command: str, carriers: tuple[str, ...] = ()) -> str | None:
        """The role by which `user` may run `command`; None if there is no such role. `command` and the `carriers`
        around it are in normal form.

        A carried command is allowed by itself, or by a pattern that ends in `$` and matches all of a carrier.
        """
        asked = user, command, carriers
        if len(command) + sum(map(len, carriers)) > _KNOWN_LENGTH_MAX:
            # Long lines are not remembered: 10,000 of them would fill the memory.
            return self._look_up(*asked)
        if asked not in self._known:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[asked] = self._look_up(*asked)
        return self._known[asked]

    def _look_up(self, user: str, command: str, carriers: tuple[str, ...]) -> str | None:
        for role in self.roles_of(user):
            for pattern in self.roles.get(role, ()):
                if pattern.is_in(command) or any(_says_all(pattern, carrier) for carrier in carriers):
                    return role
        return None


def pattern_of(text: str) -> Pattern:
    """The pattern of a role. Raises PatternError."""
    return Pattern.parse(text, ignore_case=True)


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
