"""The lease of a session: its interval of renewals, its length, and the answer to its last renewal."""

from eccmgr.cluster.calls.membership import Joined, LastBeat, Renewed
from eccmgr.cluster.options import ClusterOptions


class Lease:
    """The lease of one member's session. If there are more than some thousands of members, the lease is stretched.

    A `steady` lease is never stretched: it is for members that hold something for which other members wait.
    """

    def __init__(self, options: ClusterOptions, *, steady: bool) -> None:
        self.view = 0
        """The latest view that a join or a renewal answered."""
        self.last = LastBeat()
        """The part of the last answer that the next heartbeat sends back."""
        self._options = options
        self._steady = steady

    @property
    def heartbeat_s(self) -> float:
        """The time between two heartbeats; it grows in the same proportion as the lease."""
        return self._options.heartbeat_s * self.last.stretch

    @property
    def leader(self) -> str:
        """The private name of the leader, as of the last heartbeat; "" without a leader."""
        return self.last.leader

    def rate(self, *, carries: bool) -> float:
        """The number of heartbeats a second that a session sends; 0 means a steady rate, however many members there
        are."""
        return 0.0 if self._steady or carries else self._options.heartbeats_per_sec

    def joined(self, answer: Joined) -> None:
        """A session has begun: take the answer to the join."""
        self.view = answer.view
        # Without a view the first heartbeat asks for the leader.
        self.last = LastBeat(0, self.last.leader, answer.stretch)

    def renewed(self, answer: Renewed) -> None:
        """A heartbeat has counted: take its answer."""
        self.view = answer.view
        self.last = LastBeat(answer.view, answer.leader, answer.stretch)
