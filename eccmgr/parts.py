"""How the parts of a daemon follow a change of the configuration: all of them, or none.

A part first prepares: it does all that can fail, and nothing of it holds yet. Once every part has prepared, each
carries out what it prepared, which does not fail. Where one cannot prepare, those before it undo, and no trace is left.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from eccmgr.config.changes import Change
from eccmgr.config.effective import ScopeView
from eccmgr.config.options import DaemonOptions
from eccmgr.control.listeners import Plan
from eccmgr.errors import ConfigError

_PREPARE_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Desired:
    """What is to hold: a configuration, what a daemon reads from it, and how it differs from the one before."""

    view: ScopeView
    held: DaemonOptions
    listening: Plan
    changes: tuple[Change, ...] = ()


class Prepared(Protocol):
    """What a part has made ready. Exactly one of the two is called, and neither fails."""

    async def carry_out(self) -> None:
        """Let it hold."""

    async def undo(self) -> None:
        """Take everything back."""


Part = Callable[[Desired], Awaitable[Prepared]]
"""Prepares for what is desired. Raises EccmgrError, having changed nothing, where that cannot be."""


@dataclass(frozen=True)
class Takeover:
    """Prepared values that `take` puts in the place of the old ones: nothing is to be undone."""

    take: Callable[[], None] = field(default=lambda: None)

    async def carry_out(self) -> None:
        """Let the new values hold."""
        self.take()

    async def undo(self) -> None:
        """The old values hold still."""


async def follow(parts: Sequence[Part], desired: Desired) -> None:
    """Let what is desired hold in all parts. Raises EccmgrError, having changed nothing, where one of them cannot."""
    prepared: list[Prepared] = []
    try:
        async with asyncio.timeout(_PREPARE_TIMEOUT_S):
            for part in parts:
                prepared.append(await part(desired))  # noqa: PERF401 (what was prepared has to be known on the way)
    except BaseException as error:
        for each in reversed(prepared):
            await each.undo()
        if isinstance(error, TimeoutError):
            raise ConfigError(f"What changes was not ready within {_PREPARE_TIMEOUT_S:g} s; nothing holds") from None
        raise
    for each in prepared:
        await each.carry_out()
