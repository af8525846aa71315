"""What one console session has open: its own tree, and the commands that made it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eccmgr.config.changes import apply, collide

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eccmgr.config.changes import Change
    from eccmgr.config.tree import Scope


@dataclass(frozen=True, slots=True)
class Typed:
    """A command of a transaction as typed, and in the form shown to those who may not see secrets."""

    text: str
    masked: str


@dataclass(eq=False)
class Transaction:
    """Changes that nobody else sees until they are committed. `version` is that of the live tree it began with."""

    version: int
    root: Scope
    scratch: bool = False
    changes: list[Change] = field(default_factory=list)
    typed: list[Typed] = field(default_factory=list)

    def take(self, change: Change, typed: Typed, user: str) -> None:
        """Adds a change."""
        self.root = apply(self.root, change, user)
        self.changes.append(change)
        self.typed.append(typed)


@dataclass(eq=False)
class ConfigSession:
    """The part of a console session that the configuration keeps; one for each session."""

    transaction: Transaction | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """Changes that were committed, as version `version` of the live tree."""

    version: int
    user: str
    changes: tuple[Change, ...]


def conflicts(transaction: Transaction, log: Iterable[Commit]) -> list[tuple[Change, str]]:
    """What others committed since a transaction began that it touches too, with who did; each place once."""
    found: dict[str, tuple[Change, str]] = {}
    for commit in log:
        if commit.version <= transaction.version:
            continue
        for theirs in commit.changes:
            if transaction.scratch or any(collide(mine, theirs) for mine in transaction.changes):
                found[theirs.where] = (theirs, commit.user)
    return list(found.values())
