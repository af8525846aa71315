"""How long to wait before Redis is asked again."""

import random
from collections.abc import Callable


class Backoff:
    """Waits that get longer, drawn at random so that not all come back at once; none is longer than `longest_s`."""

    def __init__(self, longest_s: Callable[[], float], first_s: float = 0.1) -> None:
        self._longest_s = longest_s
        self._first_s = first_s
        self._next_s = first_s

    def reset(self) -> None:
        """It went well."""
        self._next_s = self._first_s

    def next_s(self) -> float:
        """The next wait, in seconds."""
        bound_s = min(self._next_s, self._longest_s())
        self._next_s = 2 * bound_s
        return bound_s * random.uniform(0.5, 1.0)  # noqa: S311
