"""A join under way."""

from dataclasses import dataclass

from worker.duravip.model.actions import State
from worker.duravip.model.records import Beaten


@dataclass(slots=True)
class Joining:
    """A join whose held VIPs are being stated."""

    sent: float
    answer: Beaten
    left: list[State]
    acked: bool = True
