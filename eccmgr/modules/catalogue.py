"""Finds the installed modules by their entry points."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import structlog

from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.spec import Naming, ScopeSpec
from eccmgr.modules.api import Module

GROUP = "eccmgr.modules"
_LOST = "a module that cannot be loaded here"
_BESIDE = Path(__file__).resolve().parents[2]
"""The folder of this distribution's packages."""

log = structlog.get_logger()


class Hidden(ImportError):
    """Raised for a module of ours whose package is hidden by a file of the program that embeds the node."""


@dataclass(frozen=True)
class Catalogue:
    """The kinds of modules by their scopes in lower case; `faults` says why a scope's module cannot be loaded."""

    kinds: Mapping[str, type[Module]]
    faults: Mapping[str, str]

    @classmethod
    def of(cls, entry_points: Iterable[metadata.EntryPoint]) -> "Catalogue":
        """The kinds that `entry_points` name. One that cannot be imported affects no other: see `faults`."""
        kinds: dict[str, type[Module]] = {}
        faults: dict[str, str] = {}
        for entry in sorted(entry_points, key=lambda each: each.name):
            try:
                kinds[entry.name.lower()] = _module(entry, kinds)
            except Hidden as error:
                log.info("module hidden", module=entry.name, reason=str(error))
                faults[entry.name.lower()] = str(error)
            except (Exception, SystemExit) as error:  # other people's code must not end the daemon, whatever it does
                log.exception("module not found", module=entry.name, where=entry.value)
                faults[entry.name.lower()] = f"{type(error).__name__}: {error}"
        return cls(kinds, faults)

    @functools.cached_property
    def schema(self) -> ScopeSpec:
        """The schema of the configuration, with the scopes of the modules.

        The scope of a module that cannot be loaded is locked as a whole, because the options that it would lock are
        unknown.
        """
        lost = (ScopeSpec(name, _LOST, Naming.EITHER, locked=True) for name in self.faults if name not in self.kinds)
        scopes = (*SCHEMA.scopes, *(kind.spec() for kind in self.kinds.values()), *lost)
        return replace(SCHEMA, scopes=tuple(sorted(scopes, key=lambda scope: scope.name.lower())))


@functools.cache
def installed() -> Catalogue:
    """The kinds of modules of the installed distributions."""
    return Catalogue.of(metadata.entry_points(group=GROUP))


def _module(entry: metadata.EntryPoint, others: Mapping[str, type[Module]]) -> type[Module]:
    _refuse_hidden(entry)
    kind = entry.load()
    if not (isinstance(kind, type) and issubclass(kind, Module)):
        raise TypeError(f"{entry.value} is not an eccmgr.modules.Module")
    if kind.scope.lower() != entry.name.lower():
        raise ValueError(f"its entry point is {entry.name}, its scope is {kind.scope}")
    if entry.name.lower() in others:
        raise ValueError("another distribution has a module of this name")
    if SCHEMA.scope(kind.scope) is not None:
        raise ValueError("the configuration has a scope of this name already")
    return kind


def _refuse_hidden(entry: metadata.EntryPoint) -> None:
    """Raises Hidden if Python would import another file that has the name of a package of ours."""
    if entry.dist is None or entry.dist.name != "eccmgr":
        return
    package = entry.module.partition(".")[0]
    spec = find_spec(package)
    place = spec.origin if spec is not None else None
    if place is None or Path(place).resolve().parent.parent != _BESIDE:
        raise Hidden(f"{package} is {place or 'not found'} here, not the package of eccmgr")
