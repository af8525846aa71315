"""The lease of a session: how often it is renewed, how long it lasts, and what its last renewal answered."""

from eccmgr.cluster.calls.membership import Joined, LastBeat, Renewed
from eccmgr.cluster.options import ClusterOptions


class Lease:
    """The lease of one member's session. If there are more than some thousands of members, it is stretched.

    A `steady` lease is not, however many members there are: for members that hold something for which others wait.
    """

    def __init__(self, options: ClusterOptions, *, steady: bool) -> None:
        self.view = 0
        """The latest view that a join or a renewal answered."""
        self.last = LastBeat()
        """What the next heartbeat sends back."""
        self._options = options
        self._steady = steady

    @property
    def heartbeat_s(self) -> float:
        """The time between two heartbeats; it grows in the same proportion as the lease."""
        return self._options.heartbeat_s * self.last.stretch

    @property
    def leader(self) -> str:
        """The private name of the leader, as of the last heartbeat; "" if nobody leads."""
        return self.last.leader

    def rate(self, *, carries: bool) -> float:
        """The heartbeats a second that a session sends; 0 if its rate is steady, however many others send."""
        return 0.0 if self._steady or carries else self._options.heartbeats_per_sec

    def joined(self, answer: Joined) -> None:
        """A session has begun."""
        self.view = answer.view
        # Without a view the first heartbeat asks for the leader.
        self.last = LastBeat(0, self.last.leader, answer.stretch)

    def renewed(self, answer: Renewed) -> None:
        """A heartbeat has counted."""
        self.view = answer.view
        self.last = LastBeat(answer.view, answer.leader, answer.stretch)
