"""Finds out that this process was away for a while: it was stopped, or its host slept or was overloaded."""

import time
from collections.abc import Callable

from worker.guardian.wire import boot_time

_LATE_S = 0.3


class Absence:
    """Watches the turns of a loop. Each turn waits, then works.

    A stopped process does no work. So it was away if a turn took longer than its work, or if a wait lasted beyond its
    end.
    """

    def __init__(self, now: Callable[[], float] = boot_time, worked: Callable[[], float] = time.process_time) -> None:
        self._now, self._worked = now, worked
        self._end = now()
        self._work = worked()
        self._away = False

    def waits(self, wait_s: float) -> None:
        """The work of a turn is done. A wait of at most `wait_s` begins."""
        now = self._now()
        self._away = now - self._end - (self._worked() - self._work) > _LATE_S
        self._end = now + wait_s

    def returned(self) -> bool:
        """The wait is over, and work begins. Answers whether this process was away since the previous wait."""
        now = self._now()
        away = self._away or now - self._end > _LATE_S
        self._end, self._work = now, self._worked()
        return away
