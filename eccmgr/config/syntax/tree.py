"""The tree of scopes and options: the overlay of all files, in the order in which they were read.

A finished tree never changes: a change makes a new tree that shares the unchanged parts. So a transaction is one
reference, and a reload does not affect readers of the old tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from eccmgr.config.syntax.values import content

if TYPE_CHECKING:
    from eccmgr.config.syntax.document import Document, OptionNode, ScopeNode
    from eccmgr.config.syntax.values import Value

_COLON = re.compile(r"\\(?=[\\:]|\Z)|:")

ScopeKey = tuple[str, str | None]
"""The key of a scope among its siblings: its kind in lower case, and its name (None if anonymous)."""


class Step(NamedTuple):
    """One scope of a path, with its kind in the spelling that is shown."""

    kind: str
    name: str | None = None

    @property
    def key(self) -> ScopeKey:
        """The key of this scope among its siblings."""
        return self.kind.lower(), self.name


Path = tuple[Step, ...]
"""The steps from the global scope (the empty path) down to a scope."""


def keys_of(path: Path) -> tuple[ScopeKey, ...]:
    """The keys of a path's steps, for comparison."""
    return tuple(step.key for step in path)


def path_text(path: Path) -> str:
    r"""The text of a path, such as `Control_Listener::Listen:/tmp/2025:`; a `:` inside a name becomes `\:`.

    A backslash is doubled before a character that it would escape, so that no two paths look alike.
    """
    return "".join(f"{step.kind}:{_COLON.sub(_escaped, step.name or '')}:" for step in path)


def _escaped(found: re.Match[str]) -> str:
    return "\\" + found[0]


@dataclass(slots=True, eq=False)
class Setting:
    """An option that is set: its name as shown, its value, and its origin.

    The origin is `document` and `node` for a file, and `by`, the user, for a console.
    """

    name: str
    value: Value
    document: Document | None = None
    node: OptionNode | None = None
    by: str | None = None

    @property
    def place(self) -> str | None:
        """`FILE:LINE:COLUMN` of the option; None if no file has it."""
        return self.document.place(self.node.start) if self.document and self.node else None


class Block(NamedTuple):
    """A block of a file that belongs to a scope; `node` is None if the whole file belongs to it."""

    document: Document
    node: ScopeNode | None


@dataclass(slots=True, eq=False)
class Scope:
    """A scope: its options by lower-case name, its inner scopes by key, and its blocks in files."""

    kind: str = ""
    name: str | None = None
    options: dict[str, Setting] = field(default_factory=dict)
    scopes: dict[ScopeKey, Scope] = field(default_factory=dict)
    places: list[Block] = field(default_factory=list)

    def option(self, name: str) -> Setting | None:
        """The option of this name, in any case, if this very scope sets it; else None."""
        return self.options.get(name.lower())

    def of_kind(self, kind: str) -> list[Scope]:
        """The scopes of this kind, in any case, directly within this one."""
        lower = kind.lower()
        return [scope for (scope_kind, _), scope in self.scopes.items() if scope_kind == lower]

    def find(self, path: Path) -> Scope | None:
        """The scope at the end of a path from this one; None if there is no such scope."""
        scope: Scope | None = self
        for step in path:
            if scope is None:
                return None
            scope = scope.scopes.get(step.key)
        return scope

    def step(self) -> Step:
        """This scope as the last step of a path."""
        return Step(self.kind, self.name)


def same(one: Scope, other: Scope) -> bool:
    """Whether two trees have the same values, whatever their quotes, order, spelling and places."""
    if one is other:
        return True
    if one.options.keys() != other.options.keys() or one.scopes.keys() != other.scopes.keys():
        return False
    return all(
        content(setting.value) == content(other.options[name].value) for name, setting in one.options.items()
    ) and all(same(scope, other.scopes[key]) for key, scope in one.scopes.items())


def with_option(root: Scope, path: Path, setting: Setting) -> Scope:
    """Return `root` with one option set; missing scopes on the path are created."""
    copy = Scope(root.kind, root.name, dict(root.options), root.scopes, root.places)
    if not path:
        copy.options[setting.name.lower()] = setting
        return copy
    return _with_scope(copy, path[0], with_option(_child(root, path[0]), path[1:], setting))


def with_scope(root: Scope, path: Path) -> Scope:
    """Return `root` with the scope at `path`, which is created empty if it is missing."""
    if not path:
        return root
    copy = Scope(root.kind, root.name, root.options, root.scopes, root.places)
    return _with_scope(copy, path[0], with_scope(_child(root, path[0]), path[1:]))


def without_option(root: Scope, path: Path, name: str) -> Scope:
    """Return `root` with one option unset; `root` itself if the option was not set."""
    scope = root.find(path)
    if scope is None or name.lower() not in scope.options:
        return root
    options = {key: setting for key, setting in scope.options.items() if key != name.lower()}
    return _replaced(root, path, Scope(scope.kind, scope.name, options, scope.scopes, scope.places))


def without_scope(root: Scope, path: Path) -> Scope:
    """Return `root` without the scope at `path`; `root` itself if there is no such scope."""
    above, last = path[:-1], path[-1]
    parent = root.find(above)
    if parent is None or last.key not in parent.scopes:
        return root
    scopes = {key: scope for key, scope in parent.scopes.items() if key != last.key}
    return _replaced(root, above, Scope(parent.kind, parent.name, parent.options, scopes, parent.places))


def _child(scope: Scope, step: Step) -> Scope:
    return scope.scopes.get(step.key) or Scope(step.kind, step.name)


def _with_scope(copy: Scope, step: Step, child: Scope) -> Scope:
    copy.scopes = {**copy.scopes, step.key: child}
    return copy


def _replaced(root: Scope, path: Path, scope: Scope) -> Scope:
    if not path:
        return scope
    child = _replaced(root.scopes[path[0].key], path[1:], scope)
    return Scope(root.kind, root.name, root.options, {**root.scopes, path[0].key: child}, root.places)
