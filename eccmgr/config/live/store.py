"""The live configuration of a process: sessions change it, reload reads its files again, writeback saves it."""

from __future__ import annotations

import asyncio
import contextlib
import os.path
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

import structlog

from eccmgr.channels import Channel
from eccmgr.config.files import writeback
from eccmgr.config.files.beside import WIDEST_MODE, beside, may_create, snapshot_of, without_quotes
from eccmgr.config.files.disk import DiskFiles
from eccmgr.config.files.load import Loaded, load
from eccmgr.config.live.added_listener import check_added
from eccmgr.config.live.effective import Overrides, ScopeView
from eccmgr.config.live.refusal import log_refusal
from eccmgr.config.live.transaction import Commit, ConfigSession, Transaction, Typed, conflicts
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.locks import locked_by, only_locked
from eccmgr.config.syntax.changes import Change, apply_all, difference
from eccmgr.config.syntax.faults import FaultyConfigError
from eccmgr.config.syntax.tree import Scope
from eccmgr.errors import CommandError, ConfigError, EccmgrError, LockedOption

if TYPE_CHECKING:
    from eccmgr.config.files.disk import Files, Reading
    from eccmgr.config.live.parts import Prepared
    from eccmgr.config.schema.spec import ScopeSpec

log = structlog.get_logger()

T = TypeVar("T")

_END_TIMEOUT_S = 10.0

MAX_EXPORTS = 20
"""The maximum number of files that one process exports for consoles."""
MAX_OPEN, MAX_OPEN_OF_USER = 32, 8
"""The most open transactions of a process, and of one user."""
MAX_TYPED_BYTES = 1024 * 1024
"""The most bytes of the commands in one transaction, which takes about twice as much memory."""
MAX_TYPED = 10_000
"""The most commands in one transaction."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A new configuration that is about to replace the old one, with the changes between the two."""

    before: ScopeView
    after: ScopeView
    changes: tuple[Change, ...]
    user: str


OnChange = Callable[[Proposal], Coroutine[Any, Any, "Prepared"]]
"""Makes a daemon ready for a proposal. If the daemon cannot take it, raises an EccmgrError and changes nothing."""


class Store:
    """The live configuration of one event loop.

    `live` is an immutable tree; a change replaces it. All changes take one lock, under which a change is proposed
    (`on_change`), accepted and carried out before the next one begins. Once a change has begun, it runs to its end even
    if its caller is cancelled. Threads read and compare files.

    Locked options change only by a reload of `main`, the file of the start. The store refuses every other change of
    them.

    `on_change` is called before every commit, set and unset that makes a difference, and before every reload. If it
    raises, the change fails. It may be set when the daemon is up; opening the store does not call it.
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
        self.schema = schema
        self.main = main
        self.loaded = Loaded(main)
        self.live = self.loaded.root
        self._exports: dict[str, tuple[int, ...] | None] = {}
        """The marks of the files that `export` wrote: they tell these files from any others."""
        self._version = 0
        self._log: list[Commit] = []
        self._open: WeakSet[Transaction] = WeakSet()
        self._lock = asyncio.Lock()
        self._under_way: asyncio.Task[Any] | None = None
        self._preparing: asyncio.Task[Prepared] | None = None

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
        """Open the configuration of a file and its includes; without a file it is empty.

        `search_path` holds the folders of `EC_CONF_SEARCH_PATH` (see `load.search_path`). Raises FaultyConfigError with
        every fault.
        """
        store = cls(main, search_path=search_path, overrides=overrides, on_change=on_change, schema=schema)
        store.load()
        return store

    def load(self) -> None:
        """Read the files for the first time; blocks. Raises FaultyConfigError."""
        loaded = self._read(self.loaded.main)
        loaded.check()
        self.loaded, self.live = loaded, loaded.root

    async def refuse(self, refusal: EccmgrError) -> None:
        """Refuse every change with `refusal` from now on, until `on_change` is set again.

        A change that is still preparing is cancelled and refused too. A change that is being carried out runs to its
        end; this waits at most 10 s for that, because a thread may hang on a file.
        """

        async def refuse(_proposal: Proposal) -> Prepared:
            raise refusal

        self.on_change = refuse
        if self._preparing is not None:
            self._preparing.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_TIMEOUT_S), self._lock:
                pass  # No change is under way now.

    def view(self) -> ScopeView:
        """The global scope of the live tree as Python values; a later change does not affect the view."""
        return self._view_of(self.live)

    def _view_of(self, root: Scope) -> ScopeView:
        return ScopeView(root, (), self.overrides, self.schema)

    def root(self, session: ConfigSession) -> Scope:
        """The tree that a session sees: the tree of its transaction, else the live one."""
        return session.transaction.root if session.transaction else self.live

    def begin(self, session: ConfigSession, user: str = "", *, scratch: bool = False) -> None:
        """Open a transaction; one from `scratch` begins with the locked options alone."""
        if session.transaction:
            raise CommandError("A transaction is open already; commit or rollback it first")
        if len(self._open) >= MAX_OPEN:
            raise CommandError(f"{MAX_OPEN} transactions are open here, which is the most: try again later")
        if sum(transaction.user == user for transaction in self._open) >= MAX_OPEN_OF_USER:
            raise CommandError(f"{user} has {MAX_OPEN_OF_USER} open transactions, which is the most: end one of them")
        root = only_locked(self.live, self.schema) if scratch else self.live
        session.transaction = Transaction(self._version, root, scratch, user)
        self._open.add(session.transaction)

    async def change(self, session: ConfigSession, user: str, change: Change, typed: Typed) -> None:
        """Make a change: in the session's transaction if it has one, else live. Raises LockedOption."""
        self._refuse_locked((change,), self.root(session), user)
        if session.transaction:
            if len(session.transaction.typed) >= MAX_TYPED:
                raise CommandError(f"A transaction holds at most {MAX_TYPED} commands")
            if session.transaction.bytes_typed + len(typed.text.encode("utf-8", "replace")) > MAX_TYPED_BYTES:
                raise CommandError(f"A transaction holds commands of at most {MAX_TYPED_BYTES} bytes together")
            session.transaction.take(change, typed, user)
            return

        async def make() -> None:
            await self._propose(apply_all(self.live, [change], user), user)

        await self._alone(make, user)

    async def commit(self, session: ConfigSession, user: str) -> int:
        """Make the session's transaction live; return the number of changes. After a failure it stays open."""
        transaction = _transaction_of(session)

        async def make() -> int:
            lost = await asyncio.to_thread(conflicts, transaction, tuple(self._log))
            if lost:
                lines = [f"  {change.where} was changed by {who}" for change, who in lost]
                raise CommandError("\n".join(["Conflict: another transaction was committed first", *lines]))
            new = transaction.root
            if not transaction.scratch:
                # Apply the commands to the present live tree: other sessions may have changed or written back other
                # parts of it.
                new = await asyncio.to_thread(apply_all, self.live, tuple(transaction.changes), user)
            changed = await self._propose(new, user)
            self._close(session)
            return changed

        return await self._alone(make, user)

    def abandon(self, session: ConfigSession) -> None:
        """Drop the session's transaction, if it has one: its connection is lost."""
        self._close(session)

    def rollback(self, session: ConfigSession) -> int:
        """Drop the session's transaction; return the number of its commands."""
        dropped = len(_transaction_of(session).typed)
        self._close(session)
        return dropped

    async def reload(self, session: ConfigSession, user: str, path: str | None = None, *, anew: bool = False) -> int:
        """Read the files again; return the number of unsaved changes that were dropped.

        With `path`, which names a file beside the main file, that file becomes the main file; `anew`, the file of the
        start does, whatever became it since.

        On any fault nothing changes: raises a ConfigError that begins with `Reconfigure failed`. Raises LockedOption if
        another file than the one of the start would change a locked option.
        """
        if session.transaction:
            raise CommandError("A transaction is open; commit or rollback it before a reload")

        async def make() -> int:
            try:
                named = self.main if anew else beside(self.main, path) if path is not None else self.loaded.main
                loaded = await asyncio.to_thread(self._reread, named)
            except FaultyConfigError as error:
                raise FaultyConfigError(error.faults, "Reconfigure failed") from None
            except EccmgrError as error:
                raise ConfigError(f"Reconfigure failed\n{error}") from error
            dropped = len(await asyncio.to_thread(self.unsaved))
            try:
                await self._propose(loaded.root, user, loaded)
            except EccmgrError as error:
                raise ConfigError(f"Reconfigure failed\n{error}") from error
            for line in loaded.ignored:
                log.warning("local change ignored", reason=line)
            return dropped

        return await self._alone(make, user)

    def unsaved(self) -> list[Change]:
        """The live changes that are in no file yet."""
        return difference(self.loaded.root, self.live)

    async def write_back(self, *, path: str | None = None, force: bool = False) -> writeback.Written:
        """Write unsaved changes to the files they belong to; with `path`, to that file only.

        `force` overwrites the changes of others in a file, but no locked option.
        """

        def write() -> tuple[writeback.Written, Loaded, Scope]:
            plan = writeback.plan(self.loaded, self.live, self.files, self.search_path, self.schema, path)
            if force and plan.texts:
                self._check_locked_on_disk()
            widest = WIDEST_MODE if path else 0o7777
            written = writeback.carry_out(plan, self.files, self.schema, force=force, widest=widest)
            if plan.loaded is None:
                return written, self.loaded, self.live
            left = difference(plan.loaded.root, self.live)
            return written, plan.loaded, apply_all(plan.loaded.root, left)

        async def make() -> writeback.Written:
            written, self.loaded, self.live = await asyncio.to_thread(write)
            return written

        return await self._alone(make)

    def _check_locked_on_disk(self) -> None:
        """Raises CommandError if the files have other locked options than those that were read from them."""
        on_disk = self._read(self.loaded.main)
        where = locked_by(difference(self.loaded.root, on_disk.root), self.loaded.root, self.schema)
        if on_disk.faults or where is not None:
            what = f"{where} was changed, which is locked" if where is not None else "they have faults"
            raise CommandError(
                f"The files were changed since they were read: {what}; nothing was written. Reload first"
            )

    def loaded_path(self, path: str) -> str | None:
        """The path by which the file that a console names was read; None if no file of the configuration has that
        name."""
        full = os.path.join(os.path.dirname(self.loaded.main or ""), path)  # noqa: PTH120
        return full if any(document.path == full for document in self.loaded.documents.values()) else None

    async def export(self, path: str, *, force: bool = False) -> str:
        """Write the whole live configuration to a file beside the main file that is not part of it; return its path.

        `force` overwrites only a file that this process has exported before.
        """
        named = beside(self.main, path)

        async def make() -> str:
            await asyncio.to_thread(self._export, named, force=force)
            return named

        return await self._alone(make)

    def _export(self, path: str, *, force: bool) -> None:
        may_create(path)
        try:
            there = self.files.mark(path)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error
        ours = there is not None and self._exports.get(path) == there
        if there is not None and not (ours and force):
            remedy = "--force overwrites it" if ours else "nothing was written, expected the name of a new file"
            raise CommandError(f"{path} exists and is not a part of this configuration; {remedy}")
        if not ours and len(self._exports) >= MAX_EXPORTS:
            raise CommandError(f"This process has exported {MAX_EXPORTS} files; export over one of them (--force)")
        writeback.export(self.live, path, self.files, self.schema)
        self._exports[path] = self.files.mark(path)

    def _read(self, main: str | None, files: Reading | None = None) -> Loaded:
        return load(main, files or self.files, self.search_path, self.schema)

    def _reread(self, named: str | None) -> Loaded:
        """The configuration of the files as they are now, with `named` as the main file. Raises ConfigError."""
        is_new = named is not None and named not in (self.main, self.loaded.main)
        loaded = self._read(named, snapshot_of(named, self.files) if named is not None and is_new else None)
        try:
            loaded.check()
        except FaultyConfigError as error:
            raise without_quotes(error, self.main or "", self.files, self.loaded.documents) from None
        return loaded

    async def _alone(self, make: Callable[[], Coroutine[Any, Any, T]], changer: str | None = None) -> T:
        """Run `make` under the lock. Once it has begun, it runs to its end, even if the caller is cancelled.

        The log tells that a change by the user `changer` was refused.
        """
        await self._lock.acquire()
        task = self._under_way = asyncio.create_task(log_refusal(make(), changer), name="change of the configuration")
        task.add_done_callback(lambda _: self._lock.release())
        return await asyncio.shield(task)

    async def _propose(self, new: Scope, user: str, loaded: Loaded | None = None) -> int:
        """Have the daemon prepare for `new`, accept it, and have it carried out; `loaded` is the source of a reload."""
        changes = tuple(await asyncio.to_thread(difference, self.live, new))
        if changes and (loaded is None or loaded.main != self.main):
            self._refuse_locked(changes, self.live, user)
            check_added(self._view_of(self.live), self._view_of(new))
        prepared = None
        if self.on_change and (changes or loaded):
            proposal = Proposal(self._view_of(self.live), self._view_of(new), changes, user)
            prepared = await self._prepare(self.on_change(proposal))
        self.live, self.loaded = new, loaded or self.loaded
        if changes:
            self._version += 1
            self._log.append(Commit(self._version, user, changes))
        self._forget()
        if prepared is not None:
            await prepared.carry_out()
        return len(changes)

    def _refuse_locked(self, changes: Sequence[Change], before: Scope, user: str) -> None:
        """Raises LockedOption if `changes` of the tree `before` affect a locked option."""
        where = locked_by(changes, before, self.schema)
        if where is not None:
            log.warning("locked option not changed", channel=Channel.REJECT, option=where, user=user)
            raise LockedOption(where, self.main)

    async def _prepare(self, preparing: Coroutine[Any, Any, Prepared]) -> Prepared:
        """Wait for the daemon to prepare; `refuse` may cancel this wait."""
        self._preparing = asyncio.create_task(preparing, name="preparing a change of the configuration")
        try:
            return await self._preparing
        except asyncio.CancelledError:
            if self._under_way is not None and self._under_way.cancelling():
                raise
            raise CommandError("This process is ending: nothing was changed") from None
        finally:
            self._preparing = None

    def _close(self, session: ConfigSession) -> None:
        if session.transaction:
            self._open.discard(session.transaction)
            session.transaction = None
        self._forget()

    def _forget(self) -> None:
        """Drop the commits that can no longer collide with an open transaction."""
        oldest = min((transaction.version for transaction in self._open), default=self._version)
        self._log = [commit for commit in self._log if commit.version > oldest]


def _transaction_of(session: ConfigSession) -> Transaction:
    if session.transaction is None:
        raise CommandError("No transaction is open")
    return session.transaction
