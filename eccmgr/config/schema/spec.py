"""The types of the schema; the schema itself is in `known.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from eccmgr.config.syntax.values import Text, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eccmgr.config.schema.types import OptionType


class Naming(Enum):
    """Whether scopes of a kind have names."""

    NEVER = "never"
    """`Security { … }`"""
    ALWAYS = "always"
    """`Listen "/tmp/2025" { … }`"""
    EITHER = "either"
    """With a name or without."""


@dataclass(frozen=True, slots=True)
class OptionSpec:
    """The schema of one option: its spelling, its type, its default, and one line of help.

    `low` and `high` bound a number, in the unit of its type. A `dynamic` option takes effect at once, any other option
    after a restart. The text of a `secret` option holds passwords. A `locked` option changes only in files (see
    `locks.py`). `default_of` gives a default that depends on the scope's name; `default` then only describes it. If
    `without_effect` gives a reason, nothing acts on the option.
    """

    name: str
    type: OptionType
    default: str | None
    help: str
    low: float | None = None
    high: float | None = None
    dynamic: bool = True
    secret: bool = False
    locked: bool = False
    default_of: Callable[[str | None], str] | None = None
    without_effect: str = ""

    def default_value(self, scope_name: str | None) -> Value | None:
        """The default in a scope of this name; None if the option has none."""
        default = self.default_of(scope_name) if self.default_of else self.default
        return None if default is None else Text(default)


@dataclass(frozen=True, slots=True)
class ScopeSpec:
    """The schema of one scope: its spelling, whether it has a name (and of which type), its options and scopes.

    If the scope is `locked`, everything in it is locked too: its instances, and every option and scope, known or not.
    """

    name: str
    help: str
    naming: Naming = Naming.NEVER
    name_type: OptionType | None = None
    options: tuple[OptionSpec, ...] = ()
    scopes: tuple[ScopeSpec, ...] = ()
    locked: bool = False
    _options: dict[str, OptionSpec] = field(init=False, repr=False, compare=False)
    _scopes: dict[str, ScopeSpec] = field(init=False, repr=False, compare=False)
    _locked: frozenset[str] = field(init=False, repr=False, compare=False)
    _locked_scopes: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_options", {option.name.lower(): option for option in self.options})
        object.__setattr__(self, "_scopes", {scope.name.lower(): scope for scope in self.scopes})
        object.__setattr__(self, "_locked_scopes", frozenset(_locked_scopes(self)))
        object.__setattr__(self, "_locked", frozenset(_locked_options(self)) | self._locked_scopes)

    def locks(self, name: str) -> bool:
        """Whether an option or a scope of this name is locked here, or in an inner scope that might inherit it."""
        return self.locked or name.lower() in self._locked

    def locks_scope(self, kind: str) -> bool:
        """Whether scopes of this kind are locked here, or in an inner scope. An option may have the name of a scope."""
        return self.locked or kind.lower() in self._locked_scopes

    def option(self, name: str) -> OptionSpec | None:
        """The option of this name, in any case."""
        return self._options.get(name.lower())

    def scope(self, kind: str) -> ScopeSpec | None:
        """The scope of this kind, in any case, directly within this one."""
        return self._scopes.get(kind.lower())

    def find(self, kinds: Sequence[str]) -> ScopeSpec | None:
        """The scope at the end of a path of kinds; None if the schema does not know it."""
        spec: ScopeSpec | None = self
        for kind in kinds:
            if spec is None:
                return None
            spec = spec.scope(kind)
        return spec


def _locked_options(scope: ScopeSpec, *, around: bool = False) -> set[str]:
    """The locked options in a scope and in its inner scopes. With `around`, the scope is inside a locked scope."""
    locked = around or scope.locked
    names = {option.name.lower() for option in scope.options if locked or option.locked}
    return names.union(*(_locked_options(inner, around=locked) for inner in scope.scopes))


def _locked_scopes(scope: ScopeSpec, *, around: bool = False) -> set[str]:
    """The locked scopes in a scope and in its inner scopes. With `around`, the scope is inside a locked scope."""
    locked = around or scope.locked
    names = {inner.name.lower() for inner in scope.scopes if locked or inner.locked}
    return names.union(*(_locked_scopes(inner, around=locked) for inner in scope.scopes))
