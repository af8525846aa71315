"""A cache of parsed scripts by file. It drops the least recently used script first, and each script after its time."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SieveScript:
    """The result of parsing a script: the number of commands at its top, or its fault."""

    commands: int = 0
    fault: str = ""


class Cache:
    """At most `size` scripts, each for `life_s` seconds on the clock `now`; 0 means for ever."""

    def __init__(self, size: int, life_s: float, now: Callable[[], float]) -> None:
        self._size, self._life_s, self._now = size, life_s, now
        self._kept: OrderedDict[str, tuple[float, SieveScript]] = OrderedDict()
        self._counts = dict.fromkeys(("hits", "misses", "expired", "evicted", "flushed"), 0)

    def get(self, file: str) -> SieveScript | None:
        """The script of `file`, if it is kept and has not expired."""
        kept = self._kept.get(file)
        if kept is None:
            self._counts["misses"] += 1
            return None
        if self._over(kept[0]):
            del self._kept[file]
            self._counts["expired"] += 1
            self._counts["misses"] += 1
            return None
        self._kept.move_to_end(file)
        self._counts["hits"] += 1
        return kept[1]

    def put(self, file: str, script: SieveScript) -> None:
        """Keep a script; if the cache is full, it takes the place of the least recently used one."""
        self._kept[file] = (self._now(), script)
        self._kept.move_to_end(file)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
            self._counts["evicted"] += 1

    def flush(self) -> int:
        """Forget all scripts; answers how many had not expired."""
        number = self._live()
        self._kept.clear()
        self._counts["flushed"] += number
        return number

    def facts(self) -> dict[str, int]:
        """The number of scripts, the most that are kept, and the counts since the start."""
        return {"entries": self._live(), "size": self._size, **self._counts}

    def _live(self) -> int:
        return sum(not self._over(since) for since, _ in self._kept.values())

    def _over(self, since: float) -> bool:
        return bool(self._life_s) and self._now() - since >= self._life_s
