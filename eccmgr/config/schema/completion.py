"""The next words of a `config` command typed so far: subcommands, scopes, instances, options, values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eccmgr.config.schema import paths
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.printing import walk
from eccmgr.config.schema.spec import Naming
from eccmgr.config.schema.types import OptionType
from eccmgr.text.words import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eccmgr.config.schema.spec import ScopeSpec
    from eccmgr.config.syntax.tree import Scope

_SETTINGS_ONLY = frozenset({"get", "unset"})
_SCOPES_ONLY = frozenset({"show", "showrecurse"})


def candidates(command: str, words: Sequence[str], root: Scope, schema: ScopeSpec = SCHEMA) -> list[str]:
    """The completions of the last of `words` (an empty word if nothing is typed yet), quoted if needed.

    `words` are the words behind `config COMMAND`; `root` is the tree that the session sees. Names match without case.
    """
    *done, partial = words or [""]
    command, lower = command.lower(), partial.lower()
    if command in ("get", "eval", "set", "unset", "show", "showrecurse"):
        texts = _of_path(command, done, paths.start(root, schema))
    elif command == "help":
        known = schema.find(done)
        texts = _names(known) if known else []
    else:
        texts = _of_operands(command, len(done), root, schema)
    return [quote(text) for text in dict.fromkeys(texts) if text.lower().startswith(lower)]


def _of_operands(command: str, position: int, root: Scope, schema: ScopeSpec) -> list[str]:
    if command == "begin":
        return ["from", "scratch"][position : position + 1]
    if command == "writeback":
        return ["--force"]
    if command == "locate" and position == 0:
        return [*(scope.kind for _, scope in walk(root)), *_kinds(schema)]
    return []


def _names(scope: ScopeSpec) -> list[str]:
    return [*(option.name for option in scope.options), *(inner.name for inner in scope.scopes)]


def _kinds(schema: ScopeSpec) -> list[str]:
    return [kind for scope in schema.scopes for kind in (scope.name, *_kinds(scope))]


def _of_path(command: str, done: list[str], here: paths.Here) -> list[str]:
    index = 0
    names: list[str] = []
    while index < len(done):
        if command == "set" and here.has_option(done[index]):
            return _values(here, done[index]) if index == len(done) - 1 else []
        if not here.has_kind(done[index]):
            return []
        above, kind = here, done[index]
        here, index = paths.one_scope(above, done, index, len(done))
        if index == len(done) and here.path[-1].name is None:
            names = [
                scope.name for scope in (above.scope.of_kind(kind) if above.scope else []) if scope.name is not None
            ]
            if here.scope is None and (above.naming(kind) in (Naming.ALWAYS, None)):
                return names
    return [*names, *_inside(command, here)]


def _inside(command: str, here: paths.Here) -> list[str]:
    """The options and scopes that can come next inside a scope."""
    options = [setting.name for setting in here.scope.options.values()] if here.scope else []
    scopes = [scope.kind for scope in here.scope.scopes.values()] if here.scope else []
    spec = here.spec
    if spec and command not in _SETTINGS_ONLY:
        options += [option.name for option in spec.options]
    if spec and command in ("eval", "set"):
        scopes += [scope.name for scope in spec.scopes]
    if spec and command == "set":
        # A console cannot set a locked option.
        options = [option for option in options if not spec.locks(option)]
        scopes = [kind for kind in scopes if not spec.locks_scope(kind)]
    return scopes if command in _SCOPES_ONLY else [*options, *scopes]


def _values(here: paths.Here, option: str) -> list[str]:
    spec = here.spec.option(option) if here.spec else None
    return ["true", "false"] if spec and spec.type is OptionType.BOOLEAN else []
