"""The samples of a soak, and the check that they stayed flat. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

GROWTH = 0.05
"""The maximum by which the last quarter may exceed the second one. The first quarter is for warming up."""
_MIB = 1024 * 1024
_SLACK = {"manager": _MIB, "node": _MIB, "redis": _MIB, "keys": 200, "descriptors": 20}
"""The amount that comes and goes by itself, and never counts as growth."""


@dataclass(frozen=True)
class Sample:
    """The memory of the manager, of the largest node and of Redis in bytes; the keys in Redis; the descriptors of all
    daemons."""

    commands: int
    seconds: float
    manager: int
    node: int
    redis: int
    keys: int
    descriptors: int

    HEADER = "commands  seconds  manager MiB  node MiB  redis MiB   keys  descriptors"

    def __str__(self) -> str:
        return (
            f"{self.commands:8}  {self.seconds:7.0f}  {self.manager / _MIB:11.1f}  {self.node / _MIB:8.1f}  "
            f"{self.redis / _MIB:9.1f}  {self.keys:5}  {self.descriptors:11}"
        )


def growth(samples: Sequence[Sample], what: str) -> tuple[float, float]:
    """The medians of `what` over the second quarter of the run and over the last."""
    quarter = max(1, len(samples) // 4)
    values = [getattr(sample, what) for sample in samples]
    return median(values[quarter : 2 * quarter] or values), median(values[-quarter:])


def grown(samples: Sequence[Sample]) -> list[str]:
    """A line for each figure that did not stay flat."""
    found = []
    for what, slack in _SLACK.items():
        before, after = growth(samples, what)
        if after - before > max(slack, GROWTH * before):
            found.append(f"{what} grew from {before:.0f} to {after:.0f}")
    return found
