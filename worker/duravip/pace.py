"""Paces heavy work by a rest after each turn, so that heartbeats come first."""

import time
from collections.abc import Callable


class LoopPace:
    """The pace of one loop: after a turn it rests for `share` times the turn's computing time, at least `least_s`.

    Waiting time does not count: if Redis took seconds to answer, the next turn must not come later for that.
    """

    def __init__(self, least_s: float, share: float, worked: Callable[[], float] = time.process_time) -> None:
        """`worked` answers the computing time of this process in seconds."""
        self._least_s, self._share, self._worked = least_s, share, worked
        self._began = worked()

    def begin(self) -> None:
        """Begin a turn."""
        self._began = self._worked()

    @property
    def rest_s(self) -> float:
        """The seconds to rest after the turn."""
        return max(self._least_s, self._share * (self._worked() - self._began))
