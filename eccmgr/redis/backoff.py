"""The pauses between attempts to reach Redis."""

import random
from collections.abc import Callable


class Backoff:
    """Pauses that grow up to `longest_s`. They are drawn at random, so that processes do not all come back at once."""

    def __init__(self, longest_s: Callable[[], float], first_s: float = 0.1) -> None:
        self._longest_s = longest_s
        self._first_s = first_s
        self._next_s = first_s

    def reset(self) -> None:
        """After a success: begin again with short pauses."""
        self._next_s = self._first_s

    def next_s(self) -> float:
        """The next pause, in seconds."""
        bound_s = min(self._next_s, self._longest_s())
        self._next_s = 2 * bound_s
        return bound_s * random.uniform(0.5, 1.0)  # noqa: S311
