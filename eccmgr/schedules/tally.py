"""Counts the runs of schedules on one process, and how late they began."""

from collections import Counter
from dataclasses import dataclass, field

from eccmgr.schedules.schedule import Fate
from eccmgr.tally import Histogram


@dataclass
class ScheduleTally:
    """The ended runs by their fate, and the times from when each was due until it was taken."""

    runs: Counter[Fate] = field(default_factory=Counter)
    lag: Histogram = field(default_factory=Histogram)
