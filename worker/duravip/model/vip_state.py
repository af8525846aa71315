"""An agent's knowledge of one VIP: its record, and the progress of granting, plumbing and unplumbing."""

from dataclasses import dataclass, field

from eccmgr.duravip.records import VipRecord


@dataclass(slots=True)
class VipState:
    """The agent's knowledge of one VIP. The integers are epochs; 0 stands for no epoch."""

    record: VipRecord = field(default_factory=VipRecord)
    held: int = 0
    """The epoch under which our session holds it."""
    plumbed: int = 0
    """The epoch with which the guardian plumbed it."""
    asked_at: float = float("-inf")
    """The time of the last request: to the guardian to plumb it, or to Redis to grant it or to take it back."""
    released: int = 0
    """The highest epoch that we gave up: it is never plumbed again."""
    unplumbed: int = 0
    """The highest epoch that we gave up and the guardian has unplumbed."""
    top: int = 0
    """The highest epoch that we have seen."""
    unplumbs: int = 0
    """The number of requests to unplumb it that the guardian has not confirmed."""
    moving: bool = False
    """Whether we gave it up and the guardian has not confirmed that yet."""
    to: str = ""
    reason: str = ""
    waited_since: float = 0.0
    """The time since which it waits, as far as we have seen, for the target of a move."""

    def read(self, now: float, record: VipRecord) -> None:
        """Take its record, as it was just read."""
        if (self.record.to, self.record.epoch) != (record.to, record.epoch):
            self.waited_since = now
        self.record, self.top, self.asked_at = record, max(self.top, record.epoch), float("-inf")

    def give_up(self, to: str, reason: str) -> None:
        """Give it up for the node `to`; the held epoch is never plumbed again."""
        self.released, self.held, self.plumbed, self.moving = max(self.released, self.held), 0, 0, True
        self.to, self.reason = to.lower(), reason

    def fall_silent(self) -> None:
        """The address no longer answers, so requests that the guardian has not confirmed do not matter."""
        self.plumbed, self.moving, self.unplumbed, self.unplumbs = 0, False, self.released, 0
