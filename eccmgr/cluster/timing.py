"""The times of a hold: how long a holder may hold, and how long other nodes wait before they believe that it has
stopped.

The process that waits counts each span on its own clock, CLOCK_BOOTTIME, in seconds. Two clocks may differ in rate
by `CLOCK_RATE_ERROR` each. A kernel timer may be `KERNEL_LATE_S` late. If a process is stopped while it sets a fence,
the fence lives at most `TOKEN_S` longer.
"""

import math
from dataclasses import dataclass

from eccmgr.errors import SettingsError

CLOCK_RATE_ERROR = 0.09
KERNEL_LATE_S = 0.02
TOKEN_S = 0.02
"""The time that a guardian may take from reading its clock until the kernel takes the fence that rests on that
reading."""
# A lost packet is sent again after 0.2 s. This leaves time for one such loss.
_SHORTEST_HOLD_S = 0.36


@dataclass(frozen=True)
class Timing:
    """The spans of one cluster, in seconds."""

    heartbeat_s: float
    hold_s: float
    """A holder holds for this long, counted from the time at which it began to send its last answered renewal."""
    others_hold_s: float = 0.0
    """The longest `hold_s` of all nodes of the cluster: nodes may differ while their times are changed."""
    extra_late_s: float = 0.0
    """The lateness of the cluster's weakest fence, beyond that of the kernel's timers."""

    @classmethod
    def of(cls, heartbeat_s: float, session_lease_s: float, max_step_s: float) -> "Timing":
        """The spans for the cluster's times. Raises SettingsError if they leave no room for a hold of two
        heartbeats."""
        room_s = (session_lease_s - max_step_s) / (1 + CLOCK_RATE_ERROR) - KERNEL_LATE_S - TOKEN_S
        hold_s = min(math.floor(room_s * (1 - CLOCK_RATE_ERROR) * 100) / 100, max(3 * heartbeat_s, _SHORTEST_HOLD_S))
        if hold_s < 2 * heartbeat_s:
            raise SettingsError(
                f"VIPs need a longer session_lease: with {session_lease_s:g} s and a heartbeat each {heartbeat_s:g} s "
                f"a node could hold them for only {max(hold_s, 0):g} s, less than two heartbeats"
            )
        return cls(heartbeat_s, hold_s)

    @property
    def fence_late_s(self) -> float:
        """The longest time for which a fence may stay open after its deadline, whatever happens to its guardian."""
        return KERNEL_LATE_S + TOKEN_S

    @staticmethod
    def shortest_lease_s(heartbeat_s: float, max_step_s: float) -> float:
        """The shortest session_lease, in whole hundredths, with which a node may hold for two heartbeats."""
        room_s = (2 * heartbeat_s + 0.01) / (1 - CLOCK_RATE_ERROR) + KERNEL_LATE_S + TOKEN_S
        return math.ceil((room_s * (1 + CLOCK_RATE_ERROR) + max_step_s) * 100) / 100

    @property
    def watch_s(self) -> float:
        """Once a counter has not moved for this long, its session no longer holds anything."""
        longest_s = (
            max(self.hold_s, self.others_hold_s) / (1 - CLOCK_RATE_ERROR) + KERNEL_LATE_S + TOKEN_S + self.extra_late_s
        )
        return longest_s * (1 + CLOCK_RATE_ERROR) + 0.001

    @property
    def longest_gap_s(self) -> float:
        """The longest gap between two answers. In a longer gap, Redis may have been away and nobody could renew."""
        return 2.5 * self.heartbeat_s

    @property
    def reserved_s(self) -> float:
        """The time for which a VIP waits for the target of a move."""
        return 2 * self.heartbeat_s

    @property
    def guardian_silent_s(self) -> float:
        """A guardian that has confirmed nothing for this long is replaced."""
        return 4 * self.heartbeat_s
