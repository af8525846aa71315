"""Counts the gathers of a manager, and how long they and the nodes' answers took."""

from collections import Counter
from dataclasses import dataclass, field

from eccmgr.cluster.outcomes import State
from eccmgr.cluster.results import Report
from eccmgr.tally import Histogram

_ANSWERED = (State.OK, State.FAILED, State.REFUSED)


@dataclass
class DeliveryTally:
    """The figures since the start of the process; `in_flight` is the number of gathers now."""

    in_flight: int = 0
    gathers: Histogram = field(default_factory=Histogram)
    answers: Histogram = field(default_factory=Histogram)
    nodes: Counter[State] = field(default_factory=Counter)

    def over(self, report: Report, seconds: float) -> None:
        """Count a gather that took so long."""
        self.gathers.observe(seconds)
        self.nodes.update(outcome.state for outcome in report.outcomes)
        self.answers.observe_all(outcome.seconds for outcome in report.outcomes if outcome.state in _ANSWERED)
