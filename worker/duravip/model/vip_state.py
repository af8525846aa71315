"""One VIP as an agent knows it: its record, and how far giving, plumbing and unplumbing have come."""

from dataclasses import dataclass, field

from worker.duravip.model.records import Record


@dataclass(slots=True)
class Vip:
    """The agent's knowledge of one VIP. The integers are epochs, 0 for none."""

    record: Record = field(default_factory=Record)
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
