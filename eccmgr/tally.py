"""Counts what happens in a daemon: its refusals by reason, which it also logs, so seldom that no caller can fill the
log; and times, in the buckets of a histogram."""

import bisect
import time
from collections import Counter
from collections.abc import Callable, Iterable

import structlog

from eccmgr.channels import Channel

log = structlog.get_logger()

SAY_EVERY_S = 10.0
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Histogram:
    """Counts times by their length, in seconds."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        """The number of times in each bucket; the last one has those longer than all bounds."""
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count a time."""
        self.counts[bisect.bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += seconds

    def observe_all(self, seconds: Iterable[float]) -> None:
        """Count many times. This sorts them, which for thousands is quicker than to look for the bucket of each."""
        times = sorted(seconds)
        first = 0
        for index, bound in enumerate(BUCKETS_S):
            last = bisect.bisect_right(times, bound, first)
            self.counts[index] += last - first
            first = last
        self.counts[-1] += len(times) - first
        self.sum_s += sum(times)

    def buckets(self) -> list[tuple[str, int]]:
        """The bounds as Prometheus writes them, each with the number of times that are not longer."""
        total, found = 0, []
        for bound, number in zip((*map(str, BUCKETS_S), "+Inf"), self.counts, strict=True):
            total += number
            found.append((bound, total))
        return found


class Tally:
    """The refusals of one daemon since its start. Each reason has a line in the log every 10 s at most, which tells how
    many there were since the last one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        """The number of refusals by reason."""
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}

    def note(self, reason: str, **facts: object) -> None:
        """Count a refusal; `reason` is one of few, and `facts` are the fields of its line in the log."""
        self.counts[reason] += 1
        now, count = self._clock(), self.counts[reason]
        said_at, said = self._said.get(reason, (now - SAY_EVERY_S, 0))
        if now - said_at >= SAY_EVERY_S:
            self._said[reason] = (now, count)
            log.warning("refused", channel=Channel.REJECT, reason=reason, times=count - said, **facts)

    def __str__(self) -> str:
        return ", ".join(f"{count} × {reason}" for reason, count in sorted(self.counts.items()))
