"""Items that wait for a slower reader, in any thread, up to a bound; those beyond it are dropped and counted."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")


class Taken(NamedTuple, Generic[Item]):
    """The items that were taken, and the number of those that were dropped since the last taking."""

    items: list[Item]
    dropped: int


class Backlog(Generic[Item]):
    """A queue with at most `most` items, whose sizes add up to at most `most_size`."""

    def __init__(self, most: int, most_size: int, size: Callable[[Item], int]) -> None:
        self._most, self._most_size, self._size_of = most, most_size, size
        self._items: deque[Item] = deque()
        self._size = self._dropped = 0
        self._lock = threading.Lock()

    def put(self, item: Item) -> None:
        """Add an item as the last one, or drop it."""
        size = self._size_of(item)
        with self._lock:
            if len(self._items) >= self._most or self._size + size > self._most_size:
                self._dropped += 1
                return
            self._items.append(item)
            self._size += size

    def take(self, most: int) -> Taken[Item]:
        """Take the first items, at most `most`."""
        with self._lock:
            first = [self._items.popleft() for _ in range(min(most, len(self._items)))]
            self._size -= sum(map(self._size_of, first))
            dropped, self._dropped = self._dropped, 0
        return Taken(first, dropped)

    def __len__(self) -> int:
        return len(self._items)
