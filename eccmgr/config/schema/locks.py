"""Locked options. They decide what may run, as which user, where, and who may ask for it.

They change only in files that nobody else may write: never by a console or any other way to run a command, and not in
the file that the daemon itself writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eccmgr.config.syntax.changes import Action, Change
from eccmgr.config.syntax.tree import Scope, path_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eccmgr.config.schema.spec import ScopeSpec
    from eccmgr.config.syntax.tree import Path


def locked_by(changes: Iterable[Change], before: Scope, schema: ScopeSpec) -> str | None:
    """The first locked option or scope that `changes` of the tree `before` would change; None if they change no locked
    one."""
    return next((where for change in changes if (where := _locked_by(change, before, schema))), None)


def only_locked(scope: Scope, spec: ScopeSpec) -> Scope:
    """A tree with only the locked options and scopes of `scope`."""
    options = {name: setting for name, setting in scope.options.items() if spec.locks(name)}
    scopes = {}
    for key, child in scope.scopes.items():
        known = spec.scope(child.kind)
        kept = child if spec.locks_scope(child.kind) else only_locked(child, known) if known else None
        if kept is not None and (kept is child or kept.options or kept.scopes):
            scopes[key] = kept
    return Scope(scope.kind, scope.name, options, scopes, scope.places)


def _locked_by(change: Change, before: Scope, schema: ScopeSpec) -> str | None:
    spec: ScopeSpec | None = schema
    for step in change.path:
        if spec is None:
            return None
        if spec.locks_scope(step.kind):
            return change.where
        spec = spec.scope(step.kind)
    if spec is None:
        return None
    if change.option:
        return change.where if spec.locks(change.option) else None
    dropped = before.find(change.path) if change.action is Action.DROP else None
    return next(_locked_in(dropped, spec, change.path), None) if dropped else None


def _locked_in(scope: Scope, spec: ScopeSpec, path: Path) -> Iterator[str]:
    """The locked options and scopes that a scope holds."""
    for setting in scope.options.values():
        if spec.locks(setting.name):
            yield path_text(path) + setting.name
    for child in scope.scopes.values():
        known, inner = spec.scope(child.kind), (*path, child.step())
        if spec.locks_scope(child.kind):
            yield path_text(inner)
        elif known:
            yield from _locked_in(child, known, inner)
