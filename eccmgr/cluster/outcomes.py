"""The outcome of a command on a node: its state, and what is shown of it. It imports nothing slow, because the console
uses it too."""

import enum
from typing import NamedTuple


class State(enum.StrEnum):
    """The state of a command on one node."""

    PENDING = "pending"
    """No answer yet."""
    RUNNING = "running"
    """The node has begun and not finished."""
    OK = "ok"
    """The node answered."""
    FAILED = "failed"
    """The node answered with an error."""
    REFUSED = "refused"
    """The node refused to run it."""
    LOST = "lost"
    """The node's session ended before the node answered."""
    ABSENT = "absent"
    """The node was absent when the command was sent."""
    MISSED = "missed"
    """The command did not reach the node before it expired."""
    SKIPPED = "skipped"
    """The command was never sent to this node."""
    ABORTED = "aborted"
    """The command was withdrawn before the node had answered."""

    @property
    def answered(self) -> bool:
        """Whether the node itself has answered."""
        return self in _ANSWERED

    @property
    def final(self) -> bool:
        """Whether the outcome no longer changes while its sender waits."""
        return self not in (State.PENDING, State.RUNNING)


_ANSWERED = (State.OK, State.FAILED, State.REFUSED)


class Outcome(NamedTuple):
    """The outcome of the command on one node.

    `seconds` is the time from issue to answer, or until now if it is pending or running. `late_s` is the time from the
    end of the sender's waiting to the answer; None if the answer came in time. `since_ms` is the wall clock at which an
    absent node became absent; None for a node that never came.
    """

    node: str
    subcluster: str
    state: State
    seconds: float
    text: str = ""
    late_s: float | None = None
    job: str = ""
    """The job that runs it; `text` is then its progress."""
    since_ms: int | None = None
