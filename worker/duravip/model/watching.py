"""Watches sessions that look late, and a closed era, until they have aged.

The node trusts its own clock alone: a watched thing has aged once answers have shown it unchanged for long enough on
that clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from eccmgr.cluster.timing import Timing
from eccmgr.duravip.records import Beaten, Era, Late


@dataclass(frozen=True, slots=True)
class Watched:
    """A session with its counter in an era. Without a session: the era itself."""

    era: Era
    late: Late | None = None


class Watches:
    """The watched things, each with the time at which its watch began. Times are CLOCK_BOOTTIME in seconds."""

    def __init__(self) -> None:
        self._since: dict[Watched, float] = {}
        self._answered_at = float("-inf")

    def aged(self, now: float, era: Era, answer: Beaten, timing: Timing) -> Iterator[Watched]:
        """The things that have aged, now that a heartbeat was answered in `era`.

        The watch of a counter begins anew when the counter moves, and the watch of an era with each new era. All
        watches begin anew after a gap between answers, because nobody could renew in it. The watch of an era begins
        with an answer that a majority of the copies has.
        """
        since_before = self._since if now - self._answered_at <= timing.longest_gap_s else {}
        self._answered_at = now
        watched = [Watched(era, late) for late in answer.late]
        if not answer.opened and (answer.acked or Watched(era) in since_before):
            watched.append(Watched(era))
        self._since = {thing: since_before.get(thing, now) for thing in watched}
        return (thing for thing, since in self._since.items() if now - since >= timing.watch_s)
