"""Changes of a configuration: applies them to a tree, finds those between two trees, and tells which collide."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from eccmgr.config.syntax.tree import (
    Setting,
    keys_of,
    path_text,
    with_option,
    with_scope,
    without_option,
    without_scope,
)
from eccmgr.config.syntax.values import content

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eccmgr.config.syntax.tree import Path, Scope
    from eccmgr.config.syntax.values import Value


class Action(Enum):
    """The effect of a change."""

    SET = "set"
    """An option gets a value."""
    UNSET = "unset"
    """An option loses its value."""
    DROP = "drop"
    """A scope is removed with its contents."""
    CREATE = "create"
    """An empty scope is created."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change: of an option (`option` is its name as shown) or of a whole scope (`option` is empty)."""

    action: Action
    path: Path
    option: str = ""
    value: Value | None = None

    @property
    def where(self) -> str:
        """The changed option or scope, for an operator: `Control_Listener::Timeout`, `Datasource:ecdb:`."""
        return path_text(self.path) + self.option


def apply(root: Scope, change: Change, by: str | None = None) -> Scope:
    """Return `root` with `change`, which the user `by` made."""
    match change:
        case Change(Action.SET, path, option, value) if value is not None:
            return with_option(root, path, Setting(option, value, by=by))
        case Change(Action.UNSET, path, option):
            return without_option(root, path, option)
        case Change(Action.DROP, path):
            return without_scope(root, path)
    return with_scope(root, change.path)


def apply_all(root: Scope, changes: Iterable[Change], by: str | None = None) -> Scope:
    """Return `root` with `changes`, made one after another by the user `by`."""
    for change in changes:
        root = apply(root, change, by)
    return root


def difference(old: Scope, new: Scope) -> list[Change]:
    """The changes that turn `old` into `new`; each option and each dropped scope appears once."""
    return list(_differences(old, new, ()))


def _differences(old: Scope, new: Scope, path: Path) -> Iterator[Change]:
    if old is new:
        return
    for lower, setting in old.options.items():
        if lower not in new.options:
            yield Change(Action.UNSET, path, setting.name)
    for lower, setting in new.options.items():
        old_setting = old.options.get(lower)
        if old_setting is None or (old_setting is not setting and content(old_setting.value) != content(setting.value)):
            yield Change(Action.SET, path, setting.name, setting.value)
    for key, scope in old.scopes.items():
        if key not in new.scopes:
            yield Change(Action.DROP, (*path, scope.step()))
    for key, scope in new.scopes.items():
        here = (*path, scope.step())
        before_scope = old.scopes.get(key)
        if before_scope is not None:
            yield from _differences(before_scope, scope, here)
        elif scope.options or scope.scopes:
            yield from _differences(type(scope)(), scope, here)
        else:
            yield Change(Action.CREATE, here)


def collide(one: Change, other: Change) -> bool:
    """Whether two changes affect the same option, or one drops the scope of the other."""
    mine, theirs = keys_of(one.path), keys_of(other.path)
    if one.option and other.option:
        return mine == theirs and one.option.lower() == other.option.lower()
    if not one.option and not other.option:
        shorter = min(len(mine), len(theirs))
        return mine[:shorter] == theirs[:shorter]
    scope, inner = (theirs, mine) if one.option else (mine, theirs)
    return inner[: len(scope)] == scope
