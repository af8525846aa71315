"""The parts of a daemon, which follow its configuration: all of them, or none.

A part first prepares: it does all that can fail, and nothing of it holds yet. Once every part has prepared, each
carries out what it prepared, which does not fail. Where one cannot prepare, those before it undo, and no trace is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import structlog

from eccmgr.errors import ConfigError, EccmgrError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from eccmgr.config.changes import Change
    from eccmgr.config.effective import ScopeView

log = structlog.get_logger()

T = TypeVar("T")

PREPARE_TIMEOUT_S = 30.0
"""The longest that all parts together may take to prepare for a change."""


class Prepared(Protocol):
    """What a part has made ready. Exactly one of the two is called, and neither fails."""

    async def carry_out(self) -> None:
        """Let it hold."""

    async def undo(self) -> None:
        """Take everything back."""


class Spawn(Protocol):
    """Runs something in the background until the daemon ends."""

    def __call__(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` as a task that is called `name`."""


class Part(Protocol):
    """A part of a daemon that follows its configuration.

    A daemon has a list of parts. It lets each of them prepare, carry out and start in the order of the list, and finish
    and close in the reverse order. What a part does not need it inherits from here, where it does nothing.
    """

    def check(self, _view: ScopeView, /) -> None:
        """Raises ConfigError where this part cannot take a view. It changes nothing, and may be called in any thread.

        `--check` asks it; `prepare` asks it where it has not looked at the view otherwise.
        """
        return

    async def prepare(self, _view: ScopeView, _changes: Sequence[Change], /) -> Prepared:
        """Make ready what a view asks for, which differs by some changes from what holds.

        At the start of the daemon, before `start`, there are no changes: all is new. Nor are there where files were
        read again and say the same. Raises EccmgrError, having changed nothing, where that cannot be.
        """
        return NOTHING

    async def start(self, _spawn: Spawn, /) -> None:
        """Begin to work, once what was prepared first has been carried out, and before the daemon joins the cluster."""
        return

    async def finish(self) -> None:
        """Bring to an end what must end before the daemon leaves the cluster."""
        return

    async def close(self) -> None:
        """Let go of everything; also called where the start failed, at whatever point."""
        return


class Takeover:
    """Prepared values that `take` puts in the place of the old ones: nothing is to be undone."""

    def __init__(self, take: Callable[[], None]) -> None:
        self._take = take

    async def carry_out(self) -> None:
        """Let the new values hold."""
        self._take()

    async def undo(self) -> None:
        """The old values hold still."""


NOTHING = Takeover(lambda: None)
"""What a part has prepared that a change does not concern."""


class AllPrepared:
    """What all parts of a daemon have prepared, in their order."""

    def __init__(self, prepared: Sequence[Prepared]) -> None:
        self._prepared = prepared

    async def carry_out(self) -> None:
        """Let it hold in every part."""
        for each in self._prepared:
            await each.carry_out()

    async def undo(self) -> None:
        """Take it back in every part, in the reverse order."""
        async with contextlib.AsyncExitStack() as undoing:
            for each in self._prepared:
                undoing.push_async_callback(each.undo)


async def prepare_all(parts: Iterable[Part], view: ScopeView, changes: Sequence[Change] = ()) -> AllPrepared:
    """Let every part prepare. Raises EccmgrError, having changed nothing, where one cannot or takes too long."""
    prepared: list[Prepared] = []
    part: Part | None = None
    async with contextlib.AsyncExitStack() as undoing:
        try:
            async with asyncio.timeout(PREPARE_TIMEOUT_S) as limit:
                for part in parts:
                    prepared.append(await part.prepare(view, changes))
                    undoing.push_async_callback(prepared[-1].undo)
        except EccmgrError:
            raise
        except Exception as error:
            name = type(part).__name__
            if isinstance(error, TimeoutError) and limit.expired():
                raise ConfigError(f"{name} was not ready within {PREPARE_TIMEOUT_S:g} s; nothing was changed") from None
            # It is a fault of ours, which neither harms the other parts nor ends the daemon.
            log.exception("change not prepared", part=name)
            raise ConfigError(
                f"{name} cannot follow: {type(error).__name__}: {error} (see the log); nothing was changed"
            ) from error
        undoing.pop_all()
    return AllPrepared(prepared)


async def opened_in_thread(work: Callable[[], T], take_back: Callable[[T], None]) -> T:
    """What `work` opens, in a thread; taken back as soon as it is open where the caller is cancelled meanwhile."""
    opening = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(functools.partial(_take_back, take_back))
        raise


def _take_back(take_back: Callable[[T], None], opening: asyncio.Future[T]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        take_back(opening.result())
