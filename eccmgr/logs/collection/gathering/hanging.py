"""Blocking work of the collection, of which some may hang: a file system need not answer at all.

What hangs is set aside with its own thread, and everything else goes on.
"""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from eccmgr.logs.collection.gathering.stand import Unit
from eccmgr.logs.collection.gathering.targets import LogTarget
from eccmgr.logs.collection.gathering.writing import WriteBatch, Writing

T = TypeVar("T")

HANGS_S = 5.0
"""Work that has not got any further for so long hangs."""
_MOST = 8
"""If so many threads hang, nothing is tried whose device is unknown."""
FAULT = "the file system does not answer"


def in_thread(work: Callable[[], T]) -> "asyncio.Future[T]":
    """Do `work` in a thread of its own. Neither the event loop nor the end of the process waits for that thread."""
    result: concurrent.futures.Future[T] = concurrent.futures.Future()
    # From now on it takes the result, also if whoever waits for it is cancelled.
    result.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001
            # Whoever takes the result gets the error.
            result.set_exception(error)

    threading.Thread(target=run, name="collected logs", daemon=True).start()
    return asyncio.wrap_future(result)


async def ends(work: "asyncio.Future[T]", steps: Callable[[], int]) -> bool:
    """Whether `work` ends; False if it hangs, which is if the number of its `steps` does not change for long."""
    while True:
        before = steps()
        try:
            await asyncio.wait({work}, timeout=HANGS_S)
        except asyncio.CancelledError:
            # The lease may be given back next, so what is under way comes first.
            await asyncio.wait({work}, timeout=HANGS_S)
            raise
        if work.done():
            return True
        if steps() == before:
            return False


@dataclass(frozen=True)
class _Hung:
    """Work that hangs, and what belongs to it."""

    work: "asyncio.Future[Any]"
    units: frozenset[Unit]
    devices: frozenset[int]
    writings: Sequence[Writing]


class Hanging:
    """What has been set aside."""

    def __init__(self) -> None:
        self._hung: list[_Hung] = []

    def __contains__(self, unit: Unit) -> bool:
        return any(unit in hung.units for hung in self._hung)

    def holds_up(self, unit: Unit, target: LogTarget | None) -> bool:
        """Whether a log has to wait. One whose device is unknown may be tried unless much hangs already."""
        if unit in self:
            return True
        if target is None:
            return len(self._hung) >= _MOST
        return any(target.device in hung.devices for hung in self._hung)

    def add_batch(self, work: "asyncio.Future[None]", batch: WriteBatch) -> Sequence[Writing]:
        """Set aside what hangs of a batch, with everything of it that is on the same device; answers it."""
        writings = batch.set_aside()
        targets = [writing.stand.target for writing in writings]
        devices = frozenset(target.device for target in targets if target is not None)
        units = frozenset(writing.stand.unit for writing in writings)
        self._hung.append(_Hung(work, units, devices, writings))
        return writings

    def add(self, work: "asyncio.Future[Any]", unit: Unit, target: LogTarget | None = None) -> None:
        """Set a log aside, since `work` for it hangs, at its target if one is given."""
        devices = frozenset((target.device,) if target is not None else ())
        self._hung.append(_Hung(work, frozenset((unit,)), devices, ()))

    def take_ended(self) -> list[Writing]:
        """What hung and is written now."""
        ended = [hung for hung in self._hung if hung.work.done()]
        self._hung = [hung for hung in self._hung if not hung.work.done()]
        written: list[Writing] = []
        for hung in ended:
            if not isinstance(hung.work.exception(), OSError):
                hung.work.result()
            written += hung.writings
        return written
