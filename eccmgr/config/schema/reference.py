"""Renders the schema: help on scopes and options for the console, and the configuration reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.spec import Naming
from eccmgr.config.schema.types import expectation
from eccmgr.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eccmgr.config.schema.spec import OptionSpec, ScopeSpec

_PAGE_HEAD = """\
# Configuration reference

<!-- Generated from eccmgr/config/schema/known.py; change that, not this page. -->

The case of names does not count. An option that is not *dynamic* takes effect after a restart, any other at once.
If a scope does not set an option, the option has its value from the nearest scope around it that sets it, else its
default.
A *locked* option changes only in files: [operations.md](operations.md#locked-options) says in which, and why.
An option *without effect* is accepted, checked and kept, but changes nothing: existing files have it.
Scopes and options that are not listed here are kept and shown, for other programs that know them.
"""


def help_text(words: Sequence[str] = (), schema: ScopeSpec = SCHEMA) -> str:
    """The help on a scope or an option, which the kinds of scopes on its path name. Raises CommandError."""
    scope, locked = schema, False
    for index, word in enumerate(words):
        option, inner = scope.option(word), scope.scope(word)
        if index == len(words) - 1 and option:
            return "\n".join(_option_help(option, locked=locked or option.locked))
        if inner is None:
            raise CommandError(f"Nothing is known of '{' '.join(words)}'")
        scope, locked = inner, locked or inner.locked
    return "\n".join(_scope_help(scope, locked=locked))


def reference_page(schema: ScopeSpec = SCHEMA) -> str:
    """The configuration reference in Markdown, with every scope and option."""
    return "\n".join([_PAGE_HEAD, *_sections(schema, ())])


def _option_help(option: OptionSpec, *, locked: bool) -> Iterator[str]:
    yield f"{option.name}: {option.help}"
    yield f"  takes {expectation(option.type, option.low, option.high)}"
    yield f"  default: {'none' if option.default is None else option.default}"
    if option.without_effect:
        yield f"  without effect: {option.without_effect}"
    else:
        yield "  dynamic: takes effect at once" if option.dynamic else "  not dynamic: takes effect after a restart"
    if option.secret:
        yield "  holds secrets"
    if locked:
        yield "  locked: changes only in files"


def _scope_help(scope: ScopeSpec, *, locked: bool) -> Iterator[str]:
    yield f"{written(scope)}: {scope.help}" if scope.name else f"{scope.help[:1].upper()}{scope.help[1:]}:"
    if locked:
        yield "  locked, with all in it: changes only in files"
    width = max((len(option.name) for option in scope.options), default=0)
    for option in scope.options:
        yield f"  {option.name:<{width}}  {option.help}"
    for inner in scope.scopes:
        yield f"  {written(inner)}  {inner.help}"


def written(scope: ScopeSpec) -> str:
    """The syntax of a scope of this kind in a file."""
    name = {Naming.NEVER: "", Naming.ALWAYS: ' "NAME"', Naming.EITHER: ' ["NAME"]'}[scope.naming]
    return f"{scope.name}{name} {{ … }}"


def _sections(scope: ScopeSpec, path: tuple[ScopeSpec, ...], *, around: bool = False) -> Iterator[str]:
    title = " › ".join(f"`{written(kind)}`" for kind in path) or "The global scope"
    yield f"## {title}\n"
    locked = around or scope.locked
    yield f"{scope.help[:1].upper()}{scope.help[1:]}.{' Locked, with all in it.' if locked else ''}\n"
    if scope.options:
        yield "| option | takes | default | dynamic | |"
        yield "|---|---|---|---|---|"
        yield from (_row(option, locked=locked or option.locked) for option in scope.options)
        yield ""
    for inner in scope.scopes:
        yield from _sections(inner, (*path, inner), around=locked)


def _row(option: OptionSpec, *, locked: bool) -> str:
    default = "" if option.default is None else f"`{option.default}`"
    takes = expectation(option.type, option.low, option.high).replace("|", "\\|")
    effect = f"; **without effect**: {option.without_effect}" if option.without_effect else ""
    about = f"{'**locked**: ' if locked else ''}{option.help}{effect}"
    return f"| `{option.name}` | {takes} | {default} | {'yes' if option.dynamic else 'no'} | {about} |"
