"""The actions that are due for VIPs that are not as they should be."""

from dataclasses import dataclass, field

from eccmgr.duravip.records import Era
from worker.duravip.model.actions import Acquire, Action, Gift, Release, TellPlumb, Wish
from worker.duravip.model.batches import batches

_WISHES = 2500
"""The maximum number of VIPs to ask for at once. The rest waits for the next heartbeat, so that no heartbeat is held
up."""


@dataclass(frozen=True, slots=True)
class Due:
    """The VIPs to plumb with their epochs, to release, and to ask for."""

    plumb: list[tuple[str, int]] = field(default_factory=list)
    gifts: list[Gift] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)

    @property
    def addresses(self) -> list[str]:
        """The addresses with something due."""
        plumb = (address for address, _ in self.plumb)
        return [*plumb, *(gift.address for gift in self.gifts), *(wish.address for wish in self.wishes)]

    @property
    def has_room(self) -> bool:
        """Whether another VIP may be asked for."""
        return len(self.wishes) < _WISHES

    def actions(self, session: str, era: Era, deadline: float) -> list[Action]:
        """The actions in batches: to the guardian first, then to Redis; releases come before requests."""
        return [
            *(TellPlumb(session, deadline, tuple(some)) for some in batches(self.plumb)),
            *(Release(session, era, tuple(some)) for some in batches(self.gifts)),
            *(Acquire(session, era, tuple(some)) for some in batches(self.wishes)),
        ]
