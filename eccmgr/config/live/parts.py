"""The parts of a daemon, which follow its configuration all together or not at all.

A part first prepares: it does everything that can fail, without effect yet. Once every part has prepared, each part
carries out its prepared change, which cannot fail. If a part cannot prepare, the parts before it undo, and no trace is
left.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import structlog

from eccmgr.errors import ConfigError, EccmgrError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from eccmgr.config.live.effective import ScopeView
    from eccmgr.config.syntax.changes import Change

log = structlog.get_logger()

T = TypeVar("T")

PREPARE_TIMEOUT_S = 30.0
"""The time in which all parts together must prepare for a change."""


class Prepared(Protocol):
    """A change that a part has prepared. Exactly one of the two methods is called, and neither can fail."""

    async def carry_out(self) -> None:
        """Bring the change into force."""

    async def undo(self) -> None:
        """Drop the change, with everything that was made for it."""


class Spawn(Protocol):
    """Starts background work, which runs until the daemon ends."""

    def __call__(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` as a task named `name`."""


class Part(Protocol):
    """A part of a daemon that follows its configuration.

    A daemon has a list of parts. They prepare, carry out and start in the order of the list, and finish and close in
    the reverse order. The methods here do nothing; a part overrides those that it needs.
    """

    title: ClassVar[str]
    """The name of the part in messages to an operator, in the plural."""

    def check(self, _view: ScopeView, /) -> None:
        """Raises ConfigError if this part cannot follow a view. It changes nothing, and may be called in any thread.

        `--check` calls it. If the `prepare` of a part does not check the view in another way, it calls this too.
        """
        return

    async def prepare(self, _view: ScopeView, _changes: Sequence[Change], /) -> Prepared:
        """Prepare for a view, which differs by `_changes` from the one in force.

        At the start of the daemon, before `start`, there are no changes, because everything is new. A reload of
        unchanged files has no changes either. Raises EccmgrError, having changed nothing, if this part cannot follow
        the view.
        """
        return NOTHING

    async def start(self, _spawn: Spawn, /) -> None:
        """Begin to work. Called after the first change is carried out, and before the daemon joins the cluster."""
        return

    async def finish(self) -> None:
        """End the work that must end before the daemon leaves the cluster."""
        return

    async def close(self) -> None:
        """Release all resources. It is also called after a failed start, at whatever point that failed."""
        return


class Takeover:
    """A prepared change that only replaces old values by new ones, by `take`. There is nothing to undo."""

    def __init__(self, take: Callable[[], None]) -> None:
        self._take = take

    async def carry_out(self) -> None:
        """Replace the old values."""
        self._take()

    async def undo(self) -> None:
        """Do nothing: the old values are still in force."""


NOTHING = Takeover(lambda: None)
"""The prepared change of a part that a change does not concern."""


class AllPrepared:
    """The prepared changes of all parts of a daemon, in their order."""

    def __init__(self, prepared: Sequence[Prepared]) -> None:
        self._prepared = prepared

    async def carry_out(self) -> None:
        """Bring the change into force in every part."""
        for prepared in self._prepared:
            await prepared.carry_out()

    async def undo(self) -> None:
        """Undo the change in every part, in the reverse order."""
        async with contextlib.AsyncExitStack() as undoing:
            for prepared in self._prepared:
                undoing.push_async_callback(prepared.undo)


async def prepare_all(parts: Iterable[Part], view: ScopeView, changes: Sequence[Change] = ()) -> AllPrepared:
    """Have every part prepare. Raises EccmgrError, having changed nothing, if a part cannot or takes too long."""
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
            title = part.title if part is not None else "parts"
            if isinstance(error, TimeoutError) and limit.expired():
                reason = f"The {title} were not ready within {PREPARE_TIMEOUT_S:g} s"
            else:
                # This is a fault of the program. It must neither harm the other parts nor end the daemon.
                log.exception("change not prepared", part=title)
                reason = f"The {title} cannot follow: {type(error).__name__}: {error} (see the log)"
            raise ConfigError(f"{reason}; nothing was changed") from error
        undoing.pop_all()
    return AllPrepared(prepared)


async def opened_in_thread(work: Callable[[], T], take_back: Callable[[T], None]) -> T:
    """Run `work`, which opens something, in a thread. If the caller is cancelled meanwhile, `take_back` closes it."""
    opening = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(functools.partial(_take_back, take_back))
        raise


def _take_back(take_back: Callable[[T], None], opening: asyncio.Future[T]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        take_back(opening.result())
