"""A join that is under way."""

from dataclasses import dataclass

from eccmgr.duravip.records import Beaten, Stated
from worker.duravip.model.actions import StateHeld


@dataclass(slots=True)
class Joining:
    """A join that is still stating the VIPs that this node holds."""

    sent: float
    answer: Beaten
    left: list[StateHeld]
    acked: bool = True

    def take(self, asked: StateHeld, answer: Stated) -> list[str]:
        """Redis answered the oldest open statement; returns the VIPs that we may not keep."""
        self.left.pop(0)
        self.acked = self.acked and answer.acked
        return [address for (address, _), kept in zip(asked.holdings, answer.kept, strict=True) if not kept]
