"""The transaction of a console session: its own tree, and the commands that made it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eccmgr.config.syntax.changes import apply, collide

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eccmgr.config.syntax.changes import Change
    from eccmgr.config.syntax.tree import Scope


@dataclass(frozen=True, slots=True)
class Typed:
    """A command of a transaction, as typed and with its secrets masked."""

    text: str
    masked: str


@dataclass(eq=False)
class Transaction:
    """Changes that only their session sees until the commit. `version` is the version of the live tree at its start."""

    version: int
    root: Scope
    scratch: bool = False
    user: str = ""
    bytes_typed: int = 0
    changes: list[Change] = field(default_factory=list)
    typed: list[Typed] = field(default_factory=list)

    def take(self, change: Change, typed: Typed, user: str) -> None:
        """Add a change."""
        self.root = apply(self.root, change, user)
        self.changes.append(change)
        self.typed.append(typed)
        self.bytes_typed += len(typed.text.encode("utf-8", "replace"))


@dataclass(eq=False)
class ConfigSession:
    """The configuration's part of one console session: its transaction, if one is open."""

    transaction: Transaction | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """Committed changes, which made version `version` of the live tree."""

    version: int
    user: str
    changes: tuple[Change, ...]


def conflicts(transaction: Transaction, log: Iterable[Commit]) -> list[tuple[Change, str]]:
    """The changes, with their users, that were committed since `transaction` began and collide with it; each once."""
    colliding: dict[str, tuple[Change, str]] = {}
    for commit in log:
        if commit.version <= transaction.version:
            continue
        for theirs in commit.changes:
            if transaction.scratch or any(collide(mine, theirs) for mine in transaction.changes):
                colliding[theirs.where] = (theirs, commit.user)
    return list(colliding.values())
