"""The effective value of an option: from its scope, from a scope around it, from the command line, or by default.

`evaluate` answers `config eval`; a `ScopeView` gives a daemon the same values as Python values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from eccmgr.config.schema.check import option_fault
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.types import OptionType, PythonValue, convert
from eccmgr.config.syntax.tree import Step, keys_of
from eccmgr.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eccmgr.config.schema.spec import OptionSpec, ScopeSpec
    from eccmgr.config.syntax.tree import Path, Scope, ScopeKey, Setting
    from eccmgr.config.syntax.values import Value


class Override(NamedTuple):
    """An option that a flag or the environment sets, and that files and consoles cannot change.

    `source` completes `# from …`: `the command line`, `the environment`.
    """

    path: Path
    option: str
    value: Value
    source: str


class Overrides:
    """All overrides of a process, by scope and option."""

    def __init__(self, overrides: Iterable[Override] = ()) -> None:
        self._all = {(keys_of(override.path), override.option.lower()): override for override in overrides}

    def get(self, path: Path, option: str) -> Override | None:
        """The override of an option in this very scope."""
        return self._all.get((keys_of(path), option.lower())) if self._all else None

    def scopes(self) -> Iterator[tuple[ScopeKey, ...]]:
        """The paths of the scopes that have overrides."""
        return (path for path, _ in self._all)


@dataclass(frozen=True, slots=True)
class Effective:
    """The effective value of an option: its name as shown, its value, its source, and its entry in the schema.

    `setting` is None for an override (`source` then names its origin) and for a default.
    """

    name: str
    value: Value
    path: Path
    spec: OptionSpec | None
    setting: Setting | None = None
    source: str | None = None

    @property
    def origin(self) -> str | None:
        """The origin of an override, such as `from the command line`; None if the value has no such source."""
        return f"from {self.source}" if self.source else None


def evaluate(
    root: Scope, path: Path, option: str, overrides: Overrides | None = None, schema: ScopeSpec = SCHEMA
) -> Effective | None:
    """The effective value of an option in the scope at `path`, which need not exist; None if the option has no value.

    The scope itself comes first, then the scopes around it from the inside out, and at last the defaults in the same
    order. If a value in a scope around does not fit this scope's option, it has another meaning there and is ignored.
    """
    scopes = _scopes_on(root, path)
    specs = _specs_on(schema, path)
    lower = option.lower()
    own = specs[-1].option(lower) if specs[-1] else None
    for depth in range(len(path), -1, -1):
        spec_here = specs[depth]
        spec = spec_here.option(lower) if spec_here else None
        override = overrides.get(path[:depth], lower) if overrides else None
        if override:
            name = spec.name if spec else override.option
            return Effective(name, override.value, path[:depth], spec, source=override.source)
        scope = scopes[depth]
        setting = scope.options.get(lower) if scope else None
        if setting and (own is None or own is spec or option_fault(own, setting.value) is None):
            return Effective(setting.name, setting.value, path[:depth], spec or own, setting)
    for depth in range(len(path), -1, -1):
        spec_here = specs[depth]
        spec = spec_here.option(lower) if spec_here else None
        default = spec.default_value(path[depth - 1].name if depth else None) if spec else None
        if spec and default:
            return Effective(spec.name, default, path[:depth], spec)
    return None


def _scopes_on(root: Scope, path: Path) -> list[Scope | None]:
    scopes: list[Scope | None] = [root]
    for step in path:
        above = scopes[-1]
        scopes.append(above.scopes.get(step.key) if above else None)
    return scopes


def _specs_on(schema: ScopeSpec, path: Path) -> list[ScopeSpec | None]:
    specs: list[ScopeSpec | None] = [schema]
    for step in path:
        above = specs[-1]
        specs.append(above.scope(step.kind) if above else None)
    return specs


@dataclass(frozen=True, slots=True)
class ScopeView:
    """A scope as a daemon reads it, written or not: its known options as Python values.

    If this scope does not set an option, the option gets the value that `config eval` shows. It is a mistake of the
    program, and raises LookupError, to ask for an option that this scope does not have in the schema, or by the method
    of another type.
    """

    root: Scope
    path: Path = ()
    overrides: Overrides | None = None
    schema: ScopeSpec = SCHEMA

    @property
    def name(self) -> str:
        """The name of the instance; empty if anonymous."""
        return (self.path[-1].name or "") if self.path else ""

    @property
    def written(self) -> bool:
        """Whether a file or a console has written this scope."""
        return self.root.find(self.path) is not None

    def scope(self, kind: str, name: str | None = None) -> ScopeView:
        """A scope within this one."""
        return ScopeView(self.root, (*self.path, Step(kind, name)), self.overrides, self.schema)

    def scopes(self, kind: str) -> list[ScopeView]:
        """The scopes of a kind within this one that are written, in the order written."""
        here = self.root.find(self.path)
        return [self.scope(scope.kind, scope.name) for scope in here.of_kind(kind)] if here else []

    def boolean(self, option: str) -> bool:
        """The value of a boolean option; False if it has none."""
        return bool(self._read(option, OptionType.BOOLEAN))

    def integer(self, option: str) -> int:
        """The value as a whole number, a number of bytes, or the bits of a mode; 0 if the option has none."""
        return cast(int, self._read(option, OptionType.INTEGER, OptionType.BYTES, OptionType.MODE) or 0)

    def number(self, option: str) -> float:
        """The value as a number, or in seconds; 0.0 if the option has none."""
        return float(cast(float, self._read(option, OptionType.NUMBER, OptionType.SECONDS) or 0.0))

    def seconds(self, option: str) -> float:
        """The value in seconds; 0.0 if the option has none."""
        return float(cast(float, self._read(option, OptionType.SECONDS) or 0.0))

    def text(self, option: str) -> str | None:
        """The value as a text, path, name, address, network, endpoint or word; None if the option has none."""
        types = (
            OptionType.TEXT,
            OptionType.PATH,
            OptionType.NAME,
            OptionType.ADDRESS,
            OptionType.NETWORK,
            OptionType.ENDPOINT,
            OptionType.SYNC,
            OptionType.LEVEL,
        )
        return cast("str | None", self._read(option, *types))

    def items(self, option: str) -> tuple[str, ...]:
        """The value as a list of patterns or texts; empty if the option has none."""
        return cast("tuple[str, ...]", self._read(option, OptionType.LIST, OptionType.PATTERNS) or ())

    def pairs(self, option: str) -> dict[str, str]:
        """The value as a dictionary; empty if the option has none."""
        return cast("dict[str, str]", self._read(option, OptionType.DICTIONARY, OptionType.TAGS) or {})

    def place(self, option: str | None = None) -> str | None:
        """`FILE:LINE:COLUMN` of an option's effective value, or of this scope; None if no file has it."""
        if option is None:
            here = self.root.find(self.path)
            first = here.places[0] if here and here.places else None
            return first.document.place(first.node.start if first.node else 0) if first else None
        effective = self.effective(option)
        return effective.setting.place if effective and effective.setting else None

    def fault(self, text: str, option: str | None = None) -> ConfigError:
        """An error about an option, or about this scope. It begins with the place, if a file has one."""
        place = self.place(option)
        return ConfigError(f"{place}: {text}" if place else text)

    def effective(self, option: str) -> Effective | None:
        """The effective value of an option, with its source."""
        return evaluate(self.root, self.path, option, self.overrides, self.schema)

    def states(self, option: str) -> bool:
        """Whether a file, a console, a flag or the environment sets the option; if not, it has its default."""
        effective = self.effective(option)
        return effective is not None and (effective.setting is not None or effective.source is not None)

    def _read(self, option: str, *types: OptionType) -> PythonValue | None:
        scope = self.schema.find([step.kind for step in self.path])
        spec = scope.option(option) if scope else None
        if spec is None or spec.type not in types:
            raise LookupError(f"{option} is not known here as {' or '.join(option_type.name for option_type in types)}")
        effective = self.effective(option)
        if effective is None:
            return None
        try:
            return convert(spec.type, effective.value, spec.low, spec.high)
        except ValueError as error:
            # A value was checked in the scope that sets it. In a scope around, the option may have another type.
            raise self.fault(f"{spec.name} does not fit, expected {error}", option) from error
