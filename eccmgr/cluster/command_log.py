"""Logs what becomes of commands: who sent what to whom, who withdrew it, and how it ended."""

from collections import defaultdict

import structlog

from eccmgr.cluster.names import fold
from eccmgr.cluster.outcomes import State
from eccmgr.cluster.results import Report, Sent
from eccmgr.cluster.waiting import Published

log = structlog.get_logger()

TEXT_SHOWN = 200
_RANGES_SHOWN = 20


def log_sent(published: Published) -> None:
    """A command was sent."""
    expected = len(published.live) + len(published.absent)
    absent = {"absent": _folded([seat.name for seat in published.absent])} if published.absent else {}
    log.info("command sent", **_what(published.sent), expected=expected, **absent)


def log_withdrawn(sent: Sent, by: str) -> None:
    """A command was withdrawn here."""
    log.warning("command aborted", **_what(sent), aborted_by=by)


def log_end(report: Report) -> None:
    """A command is over: how many nodes answered with success, and which ended in each other state."""
    names: defaultdict[State, list[str]] = defaultdict(list)
    for outcome in report.outcomes:
        names[outcome.state].append(outcome.node)
    others = {state.value: _folded(nodes) for state, nodes in names.items() if state is not State.OK}
    seconds = max((outcome.seconds for outcome in report.outcomes if outcome.state.answered), default=0.0)
    say = log.warning if others else log.info
    counts = {"expected": len(report.outcomes), "ok": len(names[State.OK])}
    say("command ended", **_what(report.sent), **counts, **others, seconds=round(seconds, 3))


def log_end_unknown(command_id: str, text: str, reason: str) -> None:
    """Nobody can tell any more how a command ended."""
    log.warning("end of command not known", id=command_id, text=text[:TEXT_SHOWN], reason=reason)


def _what(sent: Sent) -> dict[str, str]:
    return {"id": sent.id, "text": sent.text[:TEXT_SHOWN], "target": str(sent.target), "by": sent.issuer}


def _folded(nodes: list[str]) -> str:
    return fold(nodes, _RANGES_SHOWN)
