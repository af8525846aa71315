"""The kinds of modules that are installed, by their entry points."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import structlog

from eccmgr.config.known import SCHEMA
from eccmgr.config.schema import ScopeSpec
from eccmgr.modules.api import Module

GROUP = "eccmgr.modules"
_BESIDE = Path(__file__).resolve().parents[2]
"""Where the packages of this distribution lie."""

log = structlog.get_logger()


class Hidden(ImportError):
    """Raised for a module of ours whose package another file hides, of the program that a node is embedded in."""


@dataclass(frozen=True)
class Catalogue:
    """Each kind of module by its scope in small letters; `faults` says of a scope why its module cannot be loaded."""

    kinds: Mapping[str, type[Module]]
    faults: Mapping[str, str]

    @classmethod
    def of(cls, entry_points: Iterable[metadata.EntryPoint]) -> "Catalogue":
        """The kinds that `entry_points` name. One that cannot be imported harms no other: see `faults`."""
        kinds: dict[str, type[Module]] = {}
        faults: dict[str, str] = {}
        for entry in sorted(entry_points, key=lambda each: each.name):
            try:
                kinds[entry.name.lower()] = _module(entry, kinds)
            except Hidden as error:
                log.info("module hidden", module=entry.name, reason=str(error))
                faults[entry.name.lower()] = str(error)
            except Exception as error:  # code of others; whatever it does must not end the daemon
                log.exception("module not found", module=entry.name, where=entry.value)
                faults[entry.name.lower()] = f"{type(error).__name__}: {error}"
        return cls(kinds, faults)

    @functools.cached_property
    def schema(self) -> ScopeSpec:
        """All that is known of the configuration, the scopes of modules among it."""
        scopes = (*SCHEMA.scopes, *(kind.spec() for kind in self.kinds.values()))
        return replace(SCHEMA, scopes=tuple(sorted(scopes, key=lambda scope: scope.name.lower())))


@functools.cache
def installed() -> Catalogue:
    """What the installed distributions offer."""
    return Catalogue.of(metadata.entry_points(group=GROUP))


def _module(entry: metadata.EntryPoint, others: Mapping[str, type[Module]]) -> type[Module]:
    _refuse_hidden(entry)
    kind = entry.load()
    if not (isinstance(kind, type) and issubclass(kind, Module)):
        raise TypeError(f"{entry.value} is no eccmgr.modules.Module")
    if kind.scope.lower() != entry.name.lower():
        raise ValueError(f"its entry point is {entry.name}, its scope is {kind.scope}")
    if entry.name.lower() in others:
        raise ValueError("another distribution has a module of this name")
    if SCHEMA.scope(kind.scope) is not None:
        raise ValueError("the configuration has a scope of this name already")
    return kind


def _refuse_hidden(entry: metadata.EntryPoint) -> None:
    """Raises Hidden rather than run a file that only happens to have the name of a package of ours."""
    if entry.dist is None or entry.dist.name != "eccmgr":
        return
    package = entry.module.partition(".")[0]
    spec = find_spec(package)
    place = spec.origin if spec is not None else None
    if place is None or Path(place).resolve().parent.parent != _BESIDE:
        raise Hidden(f"{package} is {place or 'not found'} here, not the package of eccmgr")
