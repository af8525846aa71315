"""The part of a daemon that holds its roles, the users who have them, and the verifiers of their passwords."""

import asyncio
import pwd
from collections.abc import Callable, Iterator, Sequence

from eccmgr.access.policy import Policy, groups_of_users, pattern_of
from eccmgr.access.verifiers import Verifiers
from eccmgr.config.files.groupfile import Groups, read_groups
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.options import listeners
from eccmgr.config.live.parts import Part, Prepared, Takeover
from eccmgr.config.live.secret_files import SecretFiles
from eccmgr.config.live.store import Store
from eccmgr.config.syntax.changes import Change
from eccmgr.errors import ConfigError
from eccmgr.text.patterns import Pattern, PatternError

_NOBODY_UID = 65534


class RolesPart(Part):
    """Reads the policy and the verifiers of passwords, and hands each new pair to `take`."""

    title = "roles"

    def __init__(
        self,
        store: Store,
        view: ScopeView,
        default: str,
        listen: Sequence[str],
        take: Callable[[Policy, Verifiers], None],
    ) -> None:
        """`default` and `listen` are the endpoints that stand in for those of the files. Raises ConfigError."""
        self._files = SecretFiles(store)
        self._default, self._listen = default, listen
        self._take = take
        take(*self._read(view))

    def check(self, view: ScopeView) -> None:
        """Raises ConfigError if the group file is needed and cannot be read, or a pattern is faulty."""
        self._read(view)

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> Prepared:
        """Read the roles, the group file and the verifiers of `view`. Raises ConfigError."""
        policy, verifiers = await asyncio.to_thread(self._read, view)
        return Takeover(lambda: self._take(policy, verifiers))

    def _read(self, view: ScopeView) -> tuple[Policy, Verifiers]:
        return self._policy(view), self._verifiers(view)

    def _policy(self, view: ScopeView) -> Policy:
        control = view.scope("Control_Listener")
        configured = listeners(view, self._default, self._listen)
        everywhere = control.boolean("Enable_Authorization")
        groups = self._groups(
            control,
            needed=everywhere
            or self._is_for_pages(view, "Enable_Authorization")
            or any(each.authorize for each in configured),
        )
        return Policy(
            {role.name: _patterns(role) for role in view.scope("Authorization").scopes("Role")},
            groups_of_users(groups.users),
            everywhere,
            frozenset({"", "anonymous", *_nobody()}),
        )

    def _is_for_pages(self, view: ScopeView, option: str) -> bool:
        """Whether the pages over HTTP ask for what `option` says."""
        return view.scope("Http_Listener").boolean(option)

    def _groups(self, control: ScopeView, *, needed: bool) -> Groups:
        """The group file; empty if none is named, or if it cannot be read and is not `needed`."""
        path, data = self._file_of(control, "AuthorizationParameters", "groups", needed=needed)
        return read_groups(path, data)

    def _verifiers(self, view: ScopeView) -> Verifiers:
        """The verifiers of the users who sign in over TCP."""
        control, configured = view.scope("Control_Listener"), listeners(view, self._default, self._listen)
        needed = self._is_for_pages(view, "Enable_Authentication") or any(
            each.authenticate and not each.endpoint.startswith(("/", ".")) for each in configured
        )
        path, data = self._file_of(control, "AuthScramParameters", "scram", needed=needed)
        try:
            return Verifiers.parse(data)
        except ValueError as error:
            raise ConfigError(f"{path}: {error}; ec_scrampasswd writes such lines") from None

    def _file_of(self, control: ScopeView, option: str, scheme: str, *, needed: bool) -> tuple[str, bytes]:
        """The path and contents of the file that an option names by its `uri`; both empty if none is named, or if the
        file cannot be read and is not `needed`. Raises ConfigError."""
        uri, place, begins = control.pairs(option).get("uri", ""), control.place(option), f"{scheme}://"
        if not uri:
            return "", b""
        if not uri.startswith(begins) or not (named := uri.removeprefix(begins)):
            raise ConfigError(f"{place}: '{uri[:80]}' names no file, expected uri = \"{begins}FILE\"")
        path = self._files.path_of(named)
        return path, self._files.read(path, place, needed=needed)


def unanchored(view: ScopeView) -> Iterator[str]:
    """A warning for each pattern of a role that is not anchored: it allows any command that holds its text."""
    for role in view.scope("Authorization").scopes("Role"):
        for text in role.items("allow"):
            if not text.startswith("^") and text != ".*":
                place = role.place("allow")
                yield f"{place}: '{text}' allows every command that holds it, also behind broadcast; ^{text}?"


def _patterns(role: ScopeView) -> tuple[Pattern, ...]:
    try:
        return tuple(map(pattern_of, role.items("allow")))
    except PatternError as error:
        raise ConfigError(f"{role.place('allow')}: {error}") from None


def _nobody() -> tuple[str, ...]:
    try:
        return (pwd.getpwuid(_NOBODY_UID).pw_name,)
    except KeyError:
        return ()
