"""One VIP as an agent knows it: its record, and how far giving, plumbing and unplumbing have come."""

from dataclasses import dataclass, field

from worker.duravip.model.records import VipRecord


@dataclass(slots=True)
class VipState:
    """The agent's knowledge of one VIP. The integers are epochs, 0 for none."""

    record: VipRecord = field(default_factory=VipRecord)
    held: int = 0
    """The epoch that our session was granted and has not given up."""
    plumbed: int = 0
    """The epoch with which the guardian plumbed it."""
    asked_at: float = float("-inf")
    """The time at which the guardian was last asked to plumb it, or Redis to grant it or to take it back."""
    released: int = 0
    """The highest epoch that we gave up: it is never plumbed again."""
    unplumbed: int = 0
    """The highest epoch that we gave up and the guardian has unplumbed."""
    top: int = 0
    """The highest epoch that we have seen."""
    unplumbs: int = 0
    """How often the guardian was asked to unplumb it, without a confirmation so far."""
    moving: bool = False
    """Whether we gave it up, without a confirmation of the guardian so far."""
    to: str = ""
    reason: str = ""
    waited_since: float = 0.0
    """The time since which we have seen it wait for the target of a move."""

    def read(self, now: float, record: VipRecord) -> None:
        """Its record was read."""
        if (self.record.to, self.record.epoch) != (record.to, record.epoch):
            self.waited_since = now
        self.record, self.top, self.asked_at = record, max(self.top, record.epoch), float("-inf")

    def give_up(self, to: str, reason: str) -> None:
        """Never plumb the held epoch again. The VIP is for the node `to`."""
        self.released, self.held, self.plumbed, self.moving = max(self.released, self.held), 0, 0, True
        self.to, self.reason = to.lower(), reason

    def fall_silent(self) -> None:
        """The address answers no longer, whatever the guardian was asked to do with it."""
        self.plumbed, self.moving, self.unplumbed, self.unplumbs = 0, False, self.released, 0
