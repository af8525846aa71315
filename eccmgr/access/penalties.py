"""Delays for peers whose sign-ins fail: each failure makes the next answer later."""

import asyncio
import time
from collections import OrderedDict

_FIRST_S = 0.2
_LONGEST_S = 5.0
_FORGOTTEN_S = 60.0
_PEERS_MAX = 10_000


class Penalties:
    """The failed sign-ins of a server's peers."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def note(self, peer: str, now: float) -> float:
        """Count a failure of `peer` at `now`; answers the seconds by which its answer is delayed."""
        count, last = self._failures.pop(peer, (0, now))
        count = 1 if now - last > _FORGOTTEN_S else count + 1
        while len(self._failures) >= _PEERS_MAX:
            self._failures.popitem(last=False)
        self._failures[peer] = (count, now)
        return min(_LONGEST_S, _FIRST_S * 2.0 ** min(count - 1, 10))

    async def serve(self, peer: str) -> None:
        """Count a failure of `peer`, and wait before it is answered."""
        await asyncio.sleep(self.note(peer, time.monotonic()))
