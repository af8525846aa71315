"""Renders a report: the lines of `retrieve` and `gather`, and the fields of the JSON form."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from eccmgr.cluster.history import PastCommand
from eccmgr.cluster.names import RANGES_SHOWN, fold
from eccmgr.cluster.results import Outcome, Report, State
from eccmgr.cluster.view import TargetKind
from eccmgr.cluster.waiting import Published
from eccmgr.commands.answer import Answer, Facts, Format, Status
from eccmgr.commands.node_lines import line
from eccmgr.commands.secrets import without_secrets
from eccmgr.text.counting import counted

_WRONG = (State.FAILED, State.REFUSED, State.LOST, State.ABSENT)
"""The states that the header counts beside the answers."""

Clock = Callable[[int], str]
"""Formats a wall clock time in ms as HH:MM:SS."""


def local_time(wall_ms: int) -> str:
    """HH:MM:SS in the time zone of this machine."""
    return time.strftime("%H:%M:%S", time.localtime(wall_ms / 1000))


def iso_time(wall_ms: int) -> str:
    """A wall clock time in the JSON form, with the time zone of this machine."""
    return datetime.fromtimestamp(wall_ms / 1000).astimezone().isoformat()


def answer(report: Report, form: Format, shown: frozenset[str] | None = None, clock: Clock = local_time) -> Answer:
    """The answer that shows `report` in `form`.

    `shown` are the nodes whose lines a stream has already brought; with it, the answer has a tail: the lines of the
    other nodes, then the header.
    """
    first = header(report, clock)
    lines = {outcome.node: line(outcome) for outcome in report.outcomes}
    tail = None
    if shown is not None:
        tail = "\n".join((*(text for node, text in lines.items() if node not in shown), first))
    return Answer(
        "\n".join((first, *lines.values())),
        Status.OK if report.complete else Status.PARTIAL,
        # The facts of thousands of nodes are costly, and the text form drops them.
        facts={} if form is Format.TEXT else facts(report),
        tail=tail,
    )


def header(report: Report, clock: Clock = local_time) -> str:
    """`# ID  COMMAND  HH:MM:SS  A of N answered, 3 failed, 30 absent`; a state that no node is in is left out."""
    sent, wrong = report.sent, ""
    if not report.complete:
        count = Counter(outcome.state for outcome in report.outcomes)
        wrong = "".join(f", {count[state]} {state}" for state in _WRONG if count[state])
    answered = f"{report.answered} of {len(report.outcomes)} answered"
    return f"# {sent.id}  {without_secrets(sent.text)}  {clock(sent.issued_wall_ms)}  {answered}{wrong}"


def facts(report: Report) -> Facts:
    """The fields of the JSON form other than command, status and body."""
    return {
        "id": report.sent.id,
        "issued": iso_time(report.sent.issued_wall_ms),
        "target": str(report.sent.target),
        "sent": without_secrets(report.sent.text),
        "expected": len(report.outcomes),
        "answered": report.answered,
        "nodes": [node_facts(outcome) for outcome in report.outcomes],
    }


def node_facts(outcome: Outcome) -> Facts:
    """The fields of one node in the JSON form and in a stream's event."""
    known: Facts = {
        "node": outcome.node,
        "state": outcome.state.value,
        "seconds": round(outcome.seconds, 3),
        "text": outcome.text,
    }
    if outcome.job:
        known["job"] = outcome.job
    if outcome.state is State.ABSENT:
        known["since"] = None if outcome.since_ms is None else iso_time(outcome.since_ms)
    return known if outcome.late_s is None else {**known, "late": round(outcome.late_s, 3)}


def past_line(past: PastCommand, clock: Clock = local_time) -> str:
    """A line of `history`."""
    answered, shown = f"{past.answered}/{past.expected}", without_secrets(past.text)
    return f"{past.id}  {clock(past.issued_wall_ms)}  {past.issuer}  {past.target}  {answered}  {shown}"


def past_facts(past: PastCommand) -> Facts:
    """The fields of one command of `history` in the JSON form."""
    return {
        "id": past.id,
        "issued": iso_time(past.issued_wall_ms),
        "user": past.issuer,
        "target": str(past.target),
        "answered": past.answered,
        "expected": past.expected,
        "command": without_secrets(past.text),
    }


def sent_line(published: Published) -> str:
    """The answer of `broadcast`, `subcluster broadcast` and `unicast`."""
    sent, nodes, absent = published.sent, len(published.live), published.absent
    if sent.target.kind is TargetKind.NODE:
        return f"Sent {sent.id} to {sent.target.name}"
    missing = f"; {len(absent)} absent: {fold((seat.name for seat in absent), RANGES_SHOWN)}" if absent else ""
    return f"Broadcast {sent.id} to {counted(nodes, 'node')}{missing}"
