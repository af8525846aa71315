"""Counts the refusals of a daemon by reason, and logs them, so seldom that no caller can fill the log."""

import time
from collections import Counter
from collections.abc import Callable

import structlog

from eccmgr.channels import Channel

log = structlog.get_logger()

SAY_EVERY_S = 10.0


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
