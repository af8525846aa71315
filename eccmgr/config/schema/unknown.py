"""Finds unknown scopes and options: refuses them on a command line, with a suggestion, and reports them in files."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from eccmgr.config.schema.masking import MASK, is_secret
from eccmgr.config.schema.printing import heading
from eccmgr.errors import CommandError
from eccmgr.text import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eccmgr.config.schema.paths import Assignment
    from eccmgr.config.schema.spec import ScopeSpec
    from eccmgr.config.syntax.tree import Path, Scope

_SHOWN_MAX = 80
# A switch, or a number with its unit: such a value is not a secret, and is mistyped most often.
_HARMLESS = re.compile(r"(?:true|false|yes|no|on|off|[0-9]{1,6}[A-Za-z%]{0,3})\Z", re.IGNORECASE)
_KEPT = " It is kept, and does nothing here"


def check_known(found: Assignment, line: str) -> None:
    """Raises CommandError if `config set` with the operands `line` names, without a `=`, an unknown scope or option."""
    place, option = found.here, found.option
    if found.signed or place.has_option(option) or known_within(place.spec, option):
        return
    kinds = _kinds(place.scope, place.spec)
    close = _closest(option, (*_options(place.scope, place.spec), *kinds))
    value = words.split(line[found.value_at :])
    names_scope = close in kinds and len(value) > 1
    sign_at = found.value_at + value[-1].start if names_scope else found.value_at
    given = line[sign_at:].strip()
    # An unknown option may be secret.
    shown = given if _HARMLESS.match(given) and not is_secret(option, None) else MASK
    raise CommandError(
        f"Unknown {'scope' if names_scope else 'option'} {_named(option, place.path, close)} "
        f"To set it all the same: config set {line[:sign_at].strip()} = {shown}"
    )


def unknown_in(scope: Scope, spec: ScopeSpec, path: Path = ()) -> Iterator[str]:
    """Yield a line for each unknown option and scope in files; the contents of an unknown scope are not checked."""
    for setting in scope.options.values():
        if not known_within(spec, setting.name):
            close = _closest(setting.name, _options(None, spec))
            yield f"{setting.place}: unknown option {_named(setting.name, path, close)}{_KEPT}"
    for child in scope.scopes.values():
        known = spec.scope(child.kind)
        if known is not None:
            yield from unknown_in(child, known, (*path, child.step()))
            continue
        first = child.places[0] if child.places else None
        place = first.document.place(first.node.start) if first and first.node else ""
        close = _closest(child.kind, _kinds(None, spec))
        yield f"{place}: unknown scope {_named(child.kind, path, close)}{_KEPT}"


def known_within(spec: ScopeSpec | None, option: str) -> bool:
    """Whether a scope, or a scope inside it that inherits from it, knows the option."""
    return spec is not None and (
        spec.option(option) is not None or any(known_within(inner, option) for inner in spec.scopes)
    )


def _named(word: str, path: Path, close: str | None) -> str:
    where = f" in {' '.join(map(heading, path))}" if path else ""
    hint = f" Did you mean '{close}'?" if close else ""
    return f"'{word[:_SHOWN_MAX]}'{where}.{hint}"


def _options(scope: Scope | None, spec: ScopeSpec | None) -> list[str]:
    known = [option.name for option in spec.options] if spec else []
    return [*known, *(setting.name for setting in scope.options.values())] if scope else known


def _kinds(scope: Scope | None, spec: ScopeSpec | None) -> list[str]:
    known = [inner.name for inner in spec.scopes] if spec else []
    return [*known, *(inner.kind for inner in scope.scopes.values())] if scope else known


def _closest(word: str, known: Iterable[str]) -> str | None:
    by_lower = {name.lower(): name for name in known}
    # So long a word is similar to no name, and is costly to compare.
    close = difflib.get_close_matches(word.lower(), by_lower, n=1) if len(word) <= _SHOWN_MAX else []
    return by_lower[close[0]] if close else None
