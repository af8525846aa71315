"""Gathers whose clients have gone, and which go on all the same."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from eccmgr.errors import EccmgrError

log = structlog.get_logger()

_MOST = 100


class RunningOn:
    """Owns the tasks of these gathers, while `run` runs."""

    def __init__(self) -> None:
        self._tasks: asyncio.TaskGroup | None = None
        self.count = 0
        """The number of gathers that go on."""

    async def run(self) -> None:
        """Take gathers in until cancelled; then all of them end."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None

    def take(self, command_id: str, work: Callable[[], Awaitable[object]]) -> bool:
        """Do `work` for the command; False if it cannot be done, because this process ends or does too much of it."""
        if self._tasks is None or self.count >= _MOST:
            return False
        self.count += 1
        self._tasks.create_task(self._go_on(command_id, work), name="gather without its client")
        return True

    async def _go_on(self, command_id: str, work: Callable[[], Awaitable[object]]) -> None:
        log.info("gather goes on", id=command_id, reason="its client has gone")
        try:
            await work()
        except EccmgrError as error:
            log.warning("gather given up", id=command_id, reason=str(error))
        finally:
            self.count -= 1
