"""Prints trees for `config show`, `showrecurse` and `locate`; a tree printed whole parses to the same tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eccmgr.config.schema.masking import masked
from eccmgr.config.syntax.tree import path_text
from eccmgr.config.syntax.values import format_value, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eccmgr.config.schema.spec import OptionSpec, ScopeSpec
    from eccmgr.config.syntax.tree import Path, Scope, Step
    from eccmgr.config.syntax.values import Value

INDENT = "  "


def option_line(name: str, value: Value, spec: OptionSpec | None, *, reveal: bool = False) -> str:
    """`Option = value`, with secrets masked unless `reveal`."""
    return f"{name} = {format_value(value if reveal else masked(name, value, spec))}"


def heading(step: Scope | Step) -> str:
    """The heading of a scope in a file: `Listen ":25"`, `Logs`."""
    return step.kind if step.name is None else f"{step.kind} {quote(step.name)}"


def show(scope: Scope, spec: ScopeSpec | None, *, reveal: bool = False) -> str:
    """The options of a scope, one a line, and the scopes in it without their contents."""
    lines = list(_options(scope, spec, reveal))
    lines += [f"{heading(child)} {{ ... }}" for child in scope.scopes.values()]
    return "\n".join(lines)


def show_recurse(scope: Scope, spec: ScopeSpec | None, *, reveal: bool = False, indent: str = "") -> str:
    """The whole contents of a scope, in the syntax of a file."""
    return "\n".join(contents(scope, spec, reveal=reveal, indent=indent))


def block(scope: Scope, spec: ScopeSpec | None, *, reveal: bool = False, indent: str = "") -> str:
    """A whole scope with its heading and brackets, in the syntax of a file."""
    return "\n".join(_block(scope, spec, reveal, indent))


def locate(root: Scope, kind: str, matches: Callable[[str], bool]) -> list[str]:
    """For each scope of `kind` whose name matches, anywhere in the tree: its heading and its path."""
    lower = kind.lower()
    return [
        f"{heading(scope)}\n{INDENT}is at {path_text(path)}"
        for path, scope in walk(root)
        if scope.kind.lower() == lower and matches(scope.name or "")
    ]


def walk(root: Scope, path: Path = ()) -> Iterator[tuple[Path, Scope]]:
    """Yield every scope below `root` with its path, in the order written."""
    for scope in root.scopes.values():
        inner = (*path, scope.step())
        yield inner, scope
        yield from walk(scope, inner)


def _options(scope: Scope, spec: ScopeSpec | None, reveal: bool) -> Iterator[str]:
    for lower, setting in scope.options.items():
        yield option_line(setting.name, setting.value, spec.option(lower) if spec else None, reveal=reveal)


def contents(scope: Scope, spec: ScopeSpec | None, *, reveal: bool, indent: str) -> Iterator[str]:
    """The lines of `show_recurse`; a line may hold newlines within a value."""
    for line in _options(scope, spec, reveal):
        yield indent + line
    for child in scope.scopes.values():
        yield from _block(child, spec.scope(child.kind) if spec else None, reveal, indent)


def _block(scope: Scope, spec: ScopeSpec | None, reveal: bool, indent: str) -> Iterator[str]:
    yield f"{indent}{heading(scope)} {{"
    yield from contents(scope, spec, reveal=reveal, indent=indent + INDENT)
    yield f"{indent}}}"
