"""The report of a command, read back from the JSON form of `retrieve`. Pure."""

import json
from dataclasses import dataclass

from eccmgr.cluster.outcomes import State


@dataclass(frozen=True)
class NodeAnswer:
    """The state of one node, and its text."""

    node: str
    state: State
    text: str

    def __str__(self) -> str:
        match self.state:
            case State.OK:
                return self.text.rstrip("\n") or "(no output)"
            case State.FAILED | State.REFUSED:
                return f"{self.state}: {self.text.rstrip()}"
            case _:
                return f"({self.state})"


@dataclass(frozen=True)
class KeptReport:
    """The report of the command with this id."""

    id: str
    nodes: tuple[NodeAnswer, ...]


def read_report(body: str) -> KeptReport | None:
    """The report in the answer `body`; None if it is no report."""
    try:
        fields = json.loads(body)
        nodes = [NodeAnswer(str(node["node"]), State(node["state"]), str(node["text"])) for node in fields["nodes"]]
        return KeptReport(str(fields["id"]), tuple(nodes))
    except (ValueError, TypeError, KeyError):
        # A server of another kind answers what it likes.
        return None


def run_before(body: str, command_id: str) -> str:
    """The id of the latest run of the same text before the command with this id, from the JSON form of `history`;
    empty if no such run is kept."""
    try:
        commands = [(str(past["id"]), str(past["command"])) for past in json.loads(body)["commands"]]
    except (ValueError, TypeError, KeyError):
        return ""
    ids = [past_id for past_id, _ in commands]
    if command_id not in ids:
        return ""
    at = ids.index(command_id)
    return next((past_id for past_id, text in reversed(commands[:at]) if text == commands[at][1]), "")
