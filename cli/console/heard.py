"""The events that the console has heard of a running command. If it stops waiting, they tell the user how to go on."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from eccmgr.commands.answer import Answer, Format

if TYPE_CHECKING:
    from eccmgr.cluster.outcomes import Outcome


class Heard:
    """The events of one command. The first event has its id and target; the others bring responses."""

    def __init__(self) -> None:
        self._first: Mapping[str, Any] = {}
        self._answers: dict[str, Mapping[str, Any]] = {}
        self._began = 0.0

    def take(self, event: Mapping[str, Any]) -> None:
        """Take an event of the stream."""
        if event.get("event") == "progress" and not self._first:
            self._first, self._began = event, time.monotonic()
        elif event.get("event") == "response":
            self._answers[str(event["node"])] = event

    @property
    def id(self) -> str:
        """The command's id; empty if it is not certain that a command was sent."""
        return str(self._first.get("command_id", ""))

    @property
    def command(self) -> str:
        """What was sent to nodes, without secrets."""
        return str(self._first.get("command", ""))

    def way_on(self, *, attach: bool) -> str:
        """The line for a user who stops waiting, and who may `attach` to the command."""
        again = f"attach {self.id}, " if attach else ""
        return f"{self.id} goes on: {again}retrieve {self.id}, abort {self.id}"

    def answer(self, form: Format, *, shown: bool) -> Answer:
        """The report, as far as the console knows it. With `shown`, its tail leaves out the lines that were shown
        before."""
        # Imported only here: a call that ends well does not need them.
        from datetime import datetime

        from eccmgr.cluster.names import natural
        from eccmgr.cluster.results import Outcome, Report, Sent, State
        from eccmgr.cluster.view import Target, TargetKind
        from eccmgr.commands import rendering

        first, waited_s = self._first, time.monotonic() - self._began
        issued_ms = round(datetime.fromisoformat(first["issued"]).timestamp() * 1000)
        target = Target(TargetKind.SET, first["target"])
        sent = Sent(self.id, first["command"], target, "", 0, 0, issued_ms, 0)
        outcomes = [outcome_of(facts) for facts in (*self._answers.values(), *first["absent"])]
        known = {outcome.node for outcome in outcomes}
        outcomes += [
            Outcome(name, "", State.PENDING, waited_s) for name in map(str, first["nodes"]) if name not in known
        ]
        report = Report(sent, tuple(sorted(outcomes, key=lambda outcome: natural(outcome.node))))
        return rendering.answer(report, form, frozenset(self._answers) if shown else None)


def outcome_of(node: Mapping[str, Any]) -> "Outcome":
    """The outcome of a command on one node, read back from the JSON form."""
    from datetime import datetime

    from eccmgr.cluster.outcomes import Outcome, State

    since = node.get("since")
    return Outcome(
        *(node["node"], "", State(node["state"]), node["seconds"], node["text"]),
        *(node.get("late"), node.get("job", "")),
        round(datetime.fromisoformat(since).timestamp() * 1000) if since else None,
    )
