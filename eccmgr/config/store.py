"""The live configuration of a process: read from files, changed by sessions, reloaded, written back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakSet

from eccmgr.config import writeback
from eccmgr.config.changes import Change, apply_all, difference
from eccmgr.config.effective import Overrides, ScopeView
from eccmgr.config.files import DiskFiles
from eccmgr.config.known import SCHEMA
from eccmgr.config.load import Loaded, load
from eccmgr.config.transaction import Commit, ConfigSession, Transaction, Typed, conflicts
from eccmgr.config.tree import Scope
from eccmgr.errors import CommandError, ConfigError, EccmgrError

if TYPE_CHECKING:
    from eccmgr.config.files import Files
    from eccmgr.config.schema import ScopeSpec

MAX_TYPED = 10_000
"""Commands in one transaction."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A new configuration that is about to take the place of the old one: both as they hold, and what is different."""

    before: ScopeView
    after: ScopeView
    changes: tuple[Change, ...]
    user: str


OnChange = Callable[[Proposal], None]
"""Makes a daemon follow a proposal, all or nothing: raises an EccmgrError, having changed nothing, if it cannot."""


class Store:
    """The live configuration.

    `live` is a tree that never changes; a commit puts another in its place. Methods may be called from any thread and
    block while files are read or `on_change` works, so a daemon calls those that change something off its loop.

    `on_change` is asked before every commit, set, unset and reload that makes a difference, one at a time; what it
    raises fails the change. It may be set when the daemon is up; opening the store does not call it.
    """

    def __init__(
        self,
        main: str | None = None,
        *,
        files: Files | None = None,
        search_path: Sequence[str] = (),
        overrides: Overrides | None = None,
        on_change: OnChange | None = None,
        schema: ScopeSpec = SCHEMA,
    ) -> None:
        self.files: Files = files or DiskFiles()
        self.search_path = tuple(search_path)
        self.overrides = overrides or Overrides()
        self.on_change = on_change
        self.on_reload: Callable[[], None] = lambda: None
        """Called after each reload that was good, whether the files had changed or not."""
        self.schema = schema
        self.loaded = Loaded(main)
        self.live = self.loaded.root
        self._version = 0
        self._log: list[Commit] = []
        self._open: WeakSet[Transaction] = WeakSet()
        self._lock = threading.RLock()

    @classmethod
    def open(
        cls,
        main: str | None,
        *,
        search_path: Sequence[str] = (),
        overrides: Overrides | None = None,
        on_change: OnChange | None = None,
        schema: ScopeSpec = SCHEMA,
    ) -> Store:
        """The configuration of a file and all that it includes; without a file an empty one.

        `search_path` are the folders of `EC_CONF_SEARCH_PATH` (see `load.search_path`). Raises FaultyConfigError with
        every fault.
        """
        store = cls(main, search_path=search_path, overrides=overrides, on_change=on_change, schema=schema)
        store.load()
        return store

    def load(self) -> None:
        """Reads the files for the first time; raises FaultyConfigError."""
        with self._lock:
            loaded = load(self.loaded.main, self.files, self.search_path, self.schema)
            loaded.check()
            self.loaded, self.live = loaded, loaded.root

    def view(self) -> ScopeView:
        """The global scope of the live tree as Python values; stays as it is when the configuration changes."""
        return self._view_of(self.live)

    def _view_of(self, root: Scope) -> ScopeView:
        return ScopeView(root, (), self.overrides, self.schema)

    def root(self, session: ConfigSession) -> Scope:
        """The tree that a session sees: that of its transaction, else the live one."""
        return session.transaction.root if session.transaction else self.live

    def begin(self, session: ConfigSession, *, scratch: bool = False) -> None:
        """Opens a transaction, on an empty tree if from `scratch`."""
        if session.transaction:
            raise CommandError("A transaction is open already; commit or rollback it first")
        with self._lock:
            session.transaction = Transaction(self._version, Scope() if scratch else self.live, scratch)
            self._open.add(session.transaction)

    def change(self, session: ConfigSession, user: str, change: Change, typed: Typed) -> None:
        """Makes a change, in the session's transaction or at once."""
        if session.transaction:
            if len(session.transaction.typed) >= MAX_TYPED:
                raise CommandError(f"A transaction holds at most {MAX_TYPED} commands")
            session.transaction.take(change, typed, user)
            return
        with self._lock:
            self._propose(apply_all(self.live, [change], user), user)

    def commit(self, session: ConfigSession, user: str) -> int:
        """Makes the session's transaction live and returns how much it changed. A failed one stays open."""
        with self._lock:
            transaction = _transaction_of(session)
            lost = conflicts(transaction, self._log)
            if lost:
                lines = [f"  {change.where} was changed by {who}" for change, who in lost]
                raise CommandError("\n".join(["Conflict: another transaction was committed first", *lines]))
            # Made again on the tree that is live now, which others may have changed elsewhere, or written to its files.
            new = transaction.root if transaction.scratch else apply_all(self.live, transaction.changes, user)
            changed = self._propose(new, user)
            self._close(session)
            return changed

    def rollback(self, session: ConfigSession) -> int:
        """Drops the session's transaction and returns how many commands it held."""
        dropped = len(_transaction_of(session).typed)
        self._close(session)
        return dropped

    def reload(self, session: ConfigSession, user: str, path: str | None = None) -> int:
        """Reads the files again (`path` becomes the main file) and returns how many unsaved changes were dropped.

        On any fault nothing changes: raises a ConfigError that begins with `Reconfigure failed`.
        """
        if session.transaction:
            raise CommandError("A transaction is open; commit or rollback it before a reload")
        with self._lock:
            loaded = load(path or self.loaded.main, self.files, self.search_path, self.schema)
            loaded.check("Reconfigure failed")
            dropped = len(self.unsaved())
            try:
                self._propose(loaded.root, user)
            except EccmgrError as error:
                raise ConfigError(f"Reconfigure failed\n{error}") from error
            self.loaded = loaded
            self.on_reload()
            return dropped

    def unsaved(self) -> list[Change]:
        """What is live but stands in no file."""
        return difference(self.loaded.root, self.live)

    def write_back(self, *, path: str | None = None, force: bool = False) -> writeback.Written:
        """Writes unsaved changes to the files they belong to; `path` bounds it to one of them."""
        with self._lock:
            plan = writeback.plan(self.loaded, self.live, self.files, self.search_path, self.schema, path)
            written = writeback.carry_out(plan, self.files, self.schema, force=force)
            if plan.loaded is not None:
                left = difference(plan.loaded.root, self.live)
                self.loaded, self.live = plan.loaded, apply_all(plan.loaded.root, left)
            return written

    def is_loaded(self, path: str) -> bool:
        """Whether a file is part of the configuration."""
        return self.files.identity(path) in self.loaded.documents

    def export(self, path: str, *, force: bool = False) -> None:
        """Writes the whole live configuration to one file that is no part of it."""
        with self._lock:
            writeback.export(self.live, path, self.files, self.schema, force=force)

    def _propose(self, new: Scope, user: str) -> int:
        changes = tuple(difference(self.live, new))
        if changes and self.on_change:
            self.on_change(Proposal(self._view_of(self.live), self._view_of(new), changes, user))
        self.live = new
        if changes:
            self._version += 1
            self._log.append(Commit(self._version, user, changes))
        self._forget()
        return len(changes)

    def _close(self, session: ConfigSession) -> None:
        if session.transaction:
            self._open.discard(session.transaction)
            session.transaction = None
        self._forget()

    def _forget(self) -> None:
        """Drops the commits that no open transaction can collide with any more."""
        oldest = min((transaction.version for transaction in self._open), default=self._version)
        self._log = [commit for commit in self._log if commit.version > oldest]


def _transaction_of(session: ConfigSession) -> Transaction:
    if session.transaction is None:
        raise CommandError("No transaction is open")
    return session.transaction
