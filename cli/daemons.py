"""The shared part of the two daemons' command lines: settings, configuration, logging, the run, and the exit code."""

import asyncio
import grp
import itertools
import os
import pwd
import resource
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog
import typer

from cli.concealment import keep, revealed
from eccmgr.cluster.names import check_name
from eccmgr.config.files.load import search_path
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.guarded import guarded_view
from eccmgr.config.live.options import overrides
from eccmgr.config.live.roles import unanchored
from eccmgr.config.live.store import Store
from eccmgr.config.schema.unknown import unknown_in
from eccmgr.control.endpoint import Endpoint
from eccmgr.daemon import Daemon
from eccmgr.errors import ConfigError, EccmgrError, SettingsError
from eccmgr.host import streams
from eccmgr.host.log_lines import FORMAT, on_standard_error
from eccmgr.host.printed import PrintedLines
from eccmgr.host.undumpable import hide_memory
from eccmgr.logs.files import LogFiles, configure_logs
from eccmgr.modules.catalogue import installed
from eccmgr.redis.password import masked
from eccmgr.redis.scripts import load_all
from eccmgr.settings import DaemonSettings, load, read_password
from eccmgr.text.unseen import visible_lines

S = TypeVar("S", bound=DaemonSettings)
log = structlog.get_logger()

_DESCRIPTORS = 65_536
_WARNINGS_MAX = 100
_UMASK = 0o022
"""Others may write no file of a daemon, whatever mask it inherits."""
_NAMED = {"cluster": "Cluster", "subcluster": "Subcluster", "name": "Node"}
"""The settings that are names, each with a word for the named thing."""


class DaemonProgram(Generic[S]):
    """A daemon as a program: its name, its settings, its default file, and a function that makes it.

    `lead`, if given, may run the daemon as a child of this process instead; it then answers the daemon's exit code.
    """

    def __init__(
        self,
        name: str,
        kind: type[S],
        default_file: str,
        make: Callable[[S, Store, LogFiles], Daemon],
        lead: Callable[[S, ScopeView], int | None] = lambda _settings, _view: None,
    ) -> None:
        self._name = name
        self._kind = kind
        self._default_file = default_file
        self._make = make
        self._lead = lead

    def run(self, flags: dict[str, Any], *, check: bool = False) -> int:
        """Run in the foreground, or only `check` the files.

        The exit code is 0 after a clean end, 1 after a failure, 2 if the settings make no sense.
        """
        try:
            settings = load(self._kind, flags, revealed, _password_in)
            if masked(settings.redis) != settings.redis:
                hide_memory()
            store = self._store(settings, flags)
            if check:
                store.load()
                self._make(settings, store, LogFiles()).check()
                unknown = unknown_in(store.live, store.schema)
                warnings = itertools.chain(store.loaded.ignored, unknown, unanchored(store.view()))
                for warning in itertools.islice(warnings, _WARNINGS_MAX):
                    typer.echo(visible_lines(f"Warning: {warning}"), err=True)
                typer.echo(f"{store.loaded.main}: no faults" if store.loaded.main else "There is no file to check")
                return 0
            os.umask(os.umask(_UMASK) | _UMASK)
            streams.forgive_output()
            # Processes that it starts log in the same form.
            os.environ[FORMAT] = settings.log_format
            log_files = configure_logs(self._name, settings.verbose)
            sys.stdout = PrintedLines()
            # This comes first: a parent that stays root must read no file that its child may write.
            if os.geteuid() == 0 and (code := self._lead(settings, guarded_view(store))) is not None:
                return code
            store.load()
            load_all()
            _raise_descriptor_limit()
            hides = _has_secrets(settings, store.view())
            if hides:
                hide_memory()
            daemon = self._make(settings, store, log_files)
            _become((guarded_view(store) if store.loaded.local_changes else store.view()).scope("Security"))
            if hides:
                # A change of the user undoes it where fs.suid_dumpable is 1.
                hide_memory()
            _run(daemon.run())
        except ConfigError as error:
            self._complain(str(error))
            return 1
        except SettingsError as error:
            self._complain(f"{self._name}: {error}")
            return 2
        except EccmgrError as error:
            self._complain(f"{self._name}: {error}")
            return 1
        return 0

    def _complain(self, text: str) -> None:
        """Say why it ends; the journal gets that as an error."""
        for line in visible_lines(text).split("\n"):
            typer.echo(on_standard_error(line, {"level": "error", "program": self._name, "event": line}), err=True)

    def open(self, settings: S, flags: Mapping[str, Any]) -> Store:
        """The configuration: flags win over the environment, and both win over the files.

        Raises FaultyConfigError, and SettingsError for a flag with an invalid value.
        """
        store = self._store(settings, flags)
        store.load()
        return store

    def _store(self, settings: S, flags: Mapping[str, Any]) -> Store:
        """A store that has read nothing yet."""
        names = {name: value for name in _NAMED if (value := getattr(settings, name, None)) is not None}
        for name, value in names.items():
            check_name(value, _NAMED[name])
        tags = getattr(settings, "tag", ())
        given = {**names, "tag": tags} if tags else names
        for text in settings.listen:
            Endpoint.parse(text)
        by_flag = {name: value for name, value in given.items() if flags.get(name) is not None}
        by_variable = {name: value for name, value in given.items() if name not in by_flag}
        main = settings.config
        if main is None and Path(self._default_file).exists():
            main = self._default_file
        return Store(
            main,
            search_path=search_path(os.environ.get("EC_CONF_SEARCH_PATH")),
            overrides=overrides(by_flag, by_variable),
            schema=installed().schema,
        )


def _has_secrets(settings: DaemonSettings, view: ScopeView) -> bool:
    """Whether a daemon holds the password of Redis, a signing key, or the key of a TLS listener."""
    control = view.scope("Control_Listener")
    signs = settings.signing_key or view.scope("cluster").text("signing_key")
    tls = any(scope.text("TLS_Key") for scope in (control, *control.scopes("Listen")))
    return masked(settings.redis) != settings.redis or bool(signs) or tls


def _password_in(file: str) -> str:
    """The password in a file, which is read once: a child that will be another user may not be able to read it."""
    stands_for = f"the password in {file}"
    if (password := revealed(stands_for)) == stands_for:
        password = read_password(file)
        keep(stands_for, password)
    return password


def _run(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop's event loop if that is installed: a node then takes a third less processor time for a command."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


def _raise_descriptor_limit() -> None:
    """Allow many connections; the usual soft limit of 1,024 is meant for programs that use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _become(security: ScopeView) -> None:
    """Change from root to the user and group of the configuration. Raises ConfigError with their place."""
    user, group = security.text("User"), security.text("Group")
    try:
        entry = pwd.getpwnam(user) if user is not None else None
    except KeyError:
        raise ConfigError(f"{security.place('User')}: no user '{user}' on this host") from None
    try:
        group_id = grp.getgrnam(group).gr_gid if group is not None else entry.pw_gid if entry is not None else None
    except KeyError:
        raise ConfigError(f"{security.place('Group')}: no group '{group}' on this host") from None
    if os.geteuid() != 0:
        if entry is not None and entry.pw_uid != os.geteuid():
            raise ConfigError(f"{security.place('User')}: only root can become '{user}'")
        return
    if entry is not None and group_id is not None:
        os.initgroups(entry.pw_name, group_id)
    if group_id is not None:
        os.setgid(group_id)
    if entry is not None:
        os.setuid(entry.pw_uid)
