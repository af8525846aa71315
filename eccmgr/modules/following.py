"""The modules of a daemon as a part that follows its configuration."""

import asyncio
from collections.abc import Sequence

from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.parts import NOTHING, Part, Prepared, Spawn
from eccmgr.config.syntax.changes import Change
from eccmgr.modules.loaded import Modules


class ModulesPart(Part):
    """Loads the modules at the start, and has them follow changes. At the start, a module's failure is only
    reported."""

    title = "modules"

    def __init__(self, modules: Modules, view: ScopeView) -> None:
        self._modules, self._view = modules, view
        self._has_started = False

    def check(self, view: ScopeView) -> None:
        """Raises ConfigError if the modules that `view` asks for cannot be loaded."""
        self._modules.check(view)

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> Prepared:
        """Start new and changed modules. Raises ConfigError if a module cannot be loaded, or does not start."""
        if not self._has_started:
            return NOTHING
        await asyncio.to_thread(self.check, view)
        return await self._modules.prepare(view)

    async def start(self, _spawn: Spawn) -> None:
        """Load every module that the configuration asks for."""
        await self._modules.start(self._view)
        self._has_started = True

    async def close(self) -> None:
        """Stop all modules."""
        await self._modules.stop()
