"""The part of a daemon that holds its roles and their users, which decide who may run a command."""

import pwd
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from eccmgr.access.policy import Policy, groups_of_users
from eccmgr.config.files.groupfile import Groups, read_groups
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.options import listeners
from eccmgr.config.live.parts import Part, Prepared, Takeover
from eccmgr.config.live.store import Store
from eccmgr.config.syntax.changes import Change
from eccmgr.control.endpoint import Endpoint
from eccmgr.errors import ConfigError, SettingsError
from eccmgr.patterns import Pattern, PatternError

_GROUPS = "groups://"
_NOBODY_UID = 65534


class AccessPart(Part):
    """Keeps the policy in force, and hands each new one to `take`."""

    title = "roles"

    def __init__(
        self, store: Store, view: ScopeView, default: str, listen: Sequence[str], take: Callable[[Policy], None]
    ) -> None:
        """`default` and `listen` are the endpoints that stand in for those of the files. Raises ConfigError."""
        self._store = store
        self._default, self._listen = default, listen
        self._take = take
        take(self._policy(view))

    def check(self, view: ScopeView) -> None:
        """Raises ConfigError if the group file is needed and cannot be read, or a pattern is faulty."""
        self._policy(view)

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> Prepared:
        """Read the roles and the group file of `view`. Raises ConfigError."""
        policy = self._policy(view)
        return Takeover(lambda: self._take(policy))

    def _policy(self, view: ScopeView) -> Policy:
        control = view.scope("Control_Listener")
        configured = listeners(view, self._default, self._listen)
        limited = frozenset(_shown(each.endpoint) for each in configured if each.authorize)
        everywhere = control.boolean("Enable_Authorization")
        groups = self._groups(control, needed=bool(limited) or everywhere)
        return Policy(
            {role.name: _patterns(role) for role in view.scope("Authorization").scopes("Role")},
            groups_of_users(groups.users),
            limited,
            everywhere,
            frozenset({"", "anonymous", *_nobody()}),
        )

    def _groups(self, control: ScopeView, *, needed: bool) -> Groups:
        """The group file; empty if none is named, or if it cannot be read and is not `needed`."""
        uri = control.pairs("AuthorizationParameters").get("uri", "")
        place = control.place("AuthorizationParameters")
        if not uri:
            return Groups({})
        if not uri.startswith(_GROUPS) or not (named := uri.removeprefix(_GROUPS)):
            raise ConfigError(f"{place}: '{uri[:80]}' names no groups, expected uri = \"groups://FILE\"")
        path = self._path_of(named)
        try:
            contents = self._store.files.examine(path)
        except OSError as error:
            if not needed:
                return Groups({})
            raise ConfigError(f"{place}: the group file {path} cannot be read: {error.strerror}") from None
        if not contents.guarded:
            raise ConfigError(f"{place}: others than root may write the group file {path}")
        return read_groups(path, contents.data)

    def _path_of(self, named: str) -> str:
        main = self._store.loaded.main
        folders = [*([str(Path(main).parent)] if main else []), *self._store.search_path]
        paths = [str(Path(folder) / named) for folder in folders] or [named]
        return next((path for path in paths if self._store.files.exists(path)), paths[0])


def unanchored(view: ScopeView) -> Iterator[str]:
    """A warning for each pattern of a role that is not anchored: it allows any command that holds its text."""
    for role in view.scope("Authorization").scopes("Role"):
        for text in role.items("allow"):
            if not text.startswith("^"):
                place = role.place("allow")
                yield f"{place}: '{text}' allows every command that holds it, also behind broadcast; ^{text}?"


def _patterns(role: ScopeView) -> tuple[Pattern, ...]:
    try:
        return tuple(Pattern.parse(text, ignore_case=True) for text in role.items("allow"))
    except PatternError as error:
        raise ConfigError(f"{role.place('allow')}: {error}") from None


def _shown(endpoint: str) -> str:
    try:
        return str(Endpoint.parse(endpoint))
    except SettingsError:
        # The part for listeners refuses it, and names its place.
        return endpoint


def _nobody() -> tuple[str, ...]:
    try:
        return (pwd.getpwuid(_NOBODY_UID).pw_name,)
    except KeyError:
        return ()
