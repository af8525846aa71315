"""The kinds of modules that are installed, by their entry points."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata

import structlog

from eccmgr.config.known import SCHEMA
from eccmgr.config.schema import ScopeSpec
from eccmgr.modules.api import Module

GROUP = "eccmgr.modules"

log = structlog.get_logger()


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
