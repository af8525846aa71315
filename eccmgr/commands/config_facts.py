"""The fields of the `config` commands: options with typed values, and scopes. Secrets are masked as in the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eccmgr.config.schema import printing
from eccmgr.config.schema.masking import masked
from eccmgr.config.schema.types import BadValueError, convert
from eccmgr.config.syntax.tree import path_text
from eccmgr.config.syntax.values import Dictionary, content

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eccmgr.commands.answer import Facts
    from eccmgr.config.schema.paths import Here
    from eccmgr.config.schema.spec import OptionSpec, ScopeSpec
    from eccmgr.config.syntax.tree import Path, Scope
    from eccmgr.config.syntax.values import Value


def option_facts(path: Path, name: str, value: Value, spec: OptionSpec | None, *, reveal: bool) -> Facts:
    """The fields of one option; its value has the option's type, and is as written where no schema knows the option."""
    kind = spec.type.name.lower() if spec is not None else None
    return {"scope": path_text(path), "option": name, "value": _typed(name, value, spec, reveal), "type": kind}


def scope_facts(path: Path, scope: Scope, spec: ScopeSpec | None, *, reveal: bool) -> Facts:
    """The fields of one scope: its options by name, and the scopes directly within it."""
    return {
        "scope": path_text(path),
        "options": _options(scope, spec, reveal),
        "scopes": [{"kind": child.kind, "name": child.name} for child in scope.scopes.values()],
    }


def places_facts(places: Iterable[Here]) -> Facts:
    """The fields of several scopes: their kinds, names and paths."""
    return {"scopes": [_place(here.path) for here in places]}


def located_facts(paths: Iterable[Path]) -> Facts:
    """The fields of scopes that were searched for."""
    return {"scopes": [_place(path) for path in paths]}


def whole_facts(places: Iterable[Here], *, reveal: bool) -> Facts:
    """The fields of scopes with all that is in them: every scope by its path, with its options and their places."""
    found = []
    for here in places:
        if here.scope is None:
            continue
        found.append(_whole(here.path, here.scope, here.spec, reveal))
        for path, scope in printing.walk(here.scope, here.path):
            spec = here.spec
            for step in path[len(here.path) :]:
                spec = spec.scope(step.kind) if spec is not None else None
            found.append(_whole(path, scope, spec, reveal))
    return {"scopes": found}


def _whole(path: Path, scope: Scope, spec: ScopeSpec | None, reveal: bool) -> Facts:
    origins = {setting.name: setting.place or f"set by {setting.by}" for setting in scope.options.values()}
    return {"scope": path_text(path), "options": _options(scope, spec, reveal), "places": origins}


def _place(path: Path) -> Facts:
    return {"kind": path[-1].kind, "name": path[-1].name, "path": path_text(path)}


def _options(scope: Scope, spec: ScopeSpec | None, reveal: bool) -> Facts:
    return {
        setting.name: _typed(setting.name, setting.value, spec.option(lower) if spec is not None else None, reveal)
        for lower, setting in scope.options.items()
    }


def _typed(name: str, value: Value, spec: OptionSpec | None, reveal: bool) -> object:
    shown = value if reveal else masked(name, value, spec)
    if spec is not None and shown == value:
        try:
            return convert(spec.type, value, spec.low, spec.high)
        except BadValueError:
            pass
    kept = content(shown)[1]
    return dict(kept) if isinstance(shown, Dictionary) else kept  # type: ignore[arg-type]
