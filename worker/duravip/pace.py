"""How long what may be heavy rests after each turn, so that heartbeats come first."""

import time
from collections.abc import Callable


class Pace:
    """Of one loop: it rests `share` times as long as its turn worked, at least `least_s` seconds.

    Waiting is no work: where Redis took seconds to answer, what has happened meanwhile must not wait for longer.
    """

    def __init__(self, least_s: float, share: float, worked: Callable[[], float] = time.process_time) -> None:
        """`worked` tells the seconds that this process has computed for."""
        self._least_s, self._share, self._worked = least_s, share, worked
        self._began = worked()

    def begin(self) -> None:
        """A turn begins."""
        self._began = self._worked()

    @property
    def rest_s(self) -> float:
        """How long to rest after the turn, in seconds."""
        return max(self._least_s, self._share * (self._worked() - self._began))
