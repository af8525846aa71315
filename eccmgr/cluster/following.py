"""The state in which somebody finds a command that another call has sent, and follows it from there. Pure."""

import structlog

from eccmgr.cluster.authenticity import SentVerifier
from eccmgr.cluster.calls.answers import Followed
from eccmgr.cluster.kept import KeptCommand
from eccmgr.cluster.results import Outcome, State
from eccmgr.cluster.waiting import News, Pace, Published, Waiting
from eccmgr.errors import CommandError

log = structlog.get_logger()

# Whatever comes now, these nodes will not begin the command.
_NEVER = (State.MISSED, State.ABORTED, State.SKIPPED)


class Following:
    """A command as it was found: the state of its waiting, and the outcomes so far."""

    def __init__(self, kept: KeptCommand, followed: Followed, verifier: SentVerifier) -> None:
        sent = kept.sent
        self.published = Published(sent, *kept.then.expected(sent.target))
        pace = _pace(kept, followed, verifier) if sent.rolling else None
        self.left_s = None
        """How long the command's sender would still wait; None if it waits no longer, or never did."""
        if sent.waited_ms is not None and sent.waited_ms > kept.clock_ms:
            self.left_s = (sent.waited_ms - kept.clock_ms) / 1000
        self.may_drive = self.left_s is not None and (pace is not None or not sent.rolling)
        """Whether this process could take the place of a driver who has gone."""
        # Somebody else drives a command whose pace is not known, so its number does not matter.
        self.waiting = Waiting(self.published, pace or (Pace(1) if sent.rolling else None), elsewhere=True)
        self.past = self._settle(kept)
        # What has arrived since is read once more.
        self.waiting.seen = followed.arrived

    def _settle(self, kept: KeptCommand) -> list[Outcome]:
        self.waiting.told_elsewhere(kept.told)
        running = {node: entry for node, entry in kept.entries.items() if entry.state is State.RUNNING}
        self.waiting.note_running(running)
        answered = {node: entry for node, entry in kept.entries.items() if node not in running}
        never = frozenset(outcome.node.lower() for outcome in kept.report().outcomes if outcome.state in _NEVER)
        return self.waiting.settle(News(kept.clock_ms, kept.now, answered, never, kept.sent.aborted_ms))


def _pace(kept: KeptCommand, followed: Followed, verifier: SentVerifier) -> Pace | None:
    """The pace of a command in batches; None if it cannot be read or believed."""
    try:
        return verifier.pace(kept.sent, followed.pace)
    except CommandError as error:
        log.warning("pace not believed", id=kept.sent.id, reason=str(error))
        return None
