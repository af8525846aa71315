"""The events of a streamed gather: the JSON of its CHUNK frames. docs/protocol.md lists their fields."""

from collections.abc import Awaitable, Callable

from eccmgr.cluster.gathering import Audience
from eccmgr.cluster.names import RANGES_SHOWN, fold
from eccmgr.cluster.progress import GatherProgress, OpenGroup
from eccmgr.cluster.results import Outcome, outcome_of_absent
from eccmgr.cluster.waiting import Published
from eccmgr.commands.answer import Facts
from eccmgr.commands.caller import Event
from eccmgr.commands.node_lines import line
from eccmgr.commands.rendering import iso_time, node_facts
from eccmgr.commands.secrets import without_secrets


class Stream:
    """Passes a gather's events on to its client by `emit`; None if the client asked for no stream."""

    def __init__(self, emit: Callable[[Event], Awaitable[None]] | None) -> None:
        self._emit = emit
        self._shown: set[str] = set()

    @property
    def audience(self) -> Audience:
        """Hears what the client gets."""
        return Audience() if self._emit is None else Audience(self._tell_sent, self._tell_outcome, self._tell_progress)

    @property
    def shown(self) -> frozenset[str] | None:
        """The nodes whose responses the client has; None without a stream."""
        return None if self._emit is None else frozenset(self._shown)

    async def _tell_sent(self, published: Published) -> None:
        assert self._emit is not None
        await self._emit(sent_event(published))

    async def _tell_outcome(self, outcome: Outcome) -> None:
        assert self._emit is not None
        self._shown.add(outcome.node)
        await self._emit(response_event(outcome))

    async def _tell_progress(self, progress: GatherProgress) -> None:
        assert self._emit is not None
        await self._emit(progress_event(progress))


def sent_event(published: Published) -> Facts:
    """The first event of a gather's stream: the command that was sent, and the nodes that it was sent to."""
    sent = published.sent
    return {
        "event": "progress",
        "command_id": sent.id,
        "command": without_secrets(sent.text),
        "issued": iso_time(sent.issued_wall_ms),
        "target": str(sent.target),
        "expected": len(published.live) + len(published.absent),
        "nodes": [seat.name for seat in published.live],
        "absent": [node_facts(outcome_of_absent(sent, seat, sent.issued_ms)) for seat in published.absent],
    }


def response_event(outcome: Outcome) -> Facts:
    """An event with one node's response."""
    return {"event": "response", "line": line(outcome), **node_facts(outcome)}


def progress_event(progress: GatherProgress) -> Facts:
    """An event with the progress of a gather."""
    event: Facts = {
        "event": "progress",
        "counts": {state.value: number for state, number in progress.counts.items()},
        "told": progress.told,
        "untold": progress.untold,
        "waited_s": round(progress.waited_s, 3),
        "open": [_open_facts(group) for group in progress.open],
    }
    if progress.ends_in_s is not None:
        event["ends_in_s"] = round(progress.ends_in_s, 3)
    if progress.batch is not None:
        event["batch"] = list(progress.batch)
    return event


def _open_facts(group: OpenGroup) -> Facts:
    facts: Facts = {
        "state": group.state.value,
        "nodes": fold(group.nodes, RANGES_SHOWN),
        "count": len(group.nodes),
        "seconds": round(group.seconds, 3),
    }
    if group.settles_in_s is not None:
        facts["settles_in_s"] = round(group.settles_in_s, 3)
    if group.job:
        facts["job"] = group.job
    if group.percent is not None:
        facts["percent"] = group.percent
    return facts
