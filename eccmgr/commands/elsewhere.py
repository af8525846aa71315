"""Tells an operator who typed a command at the wrong kind of daemon where that command runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from eccmgr.commands.carried import ON_NODES

ON_MANAGERS = (
    "abort",
    "attach",
    "authz id",
    "authz roles list",
    "broadcast",
    "events",
    "feed",
    "flush control cache",
    "forget",
    "gather",
    "history",
    "info",
    "jobs",
    "logs forget",
    "logs tail",
    "members",
    "preview",
    "retrieve",
    "retrieve_node",
    "show cluster membership",
    "show logs",
    "subcluster broadcast",
    "subcluster retrieve",
    "unicast",
    "vips",
    "why",
)
"""The commands that every manager has and no node has."""

_ITS_COMMAND = "the COMMAND alone"


@dataclass(frozen=True)
class Elsewhere:
    """The commands `names`, which run `there` and not `here`. `instead` maps a command to the line to type here.

    For a command that is not in `instead`, `otherwise` is the line to type; `{}` in it stands for the command.
    """

    there: str
    here: str
    names: Sequence[str]
    instead: Mapping[str, str] = field(default_factory=dict)
    otherwise: str = ""

    def told(self, typed: Sequence[str]) -> str:
        """The text for a command that begins with the words `typed`; empty if it is not one of these commands."""
        if not typed or (name := _named(self.names, [word.lower() for word in typed])) is None:
            return ""
        use = self.instead.get(name) or self.otherwise.format(name)
        return f"{name} runs on {self.there}, not on {self.here}" + (f"; use: {use}" if use else "")


def _named(known: Iterable[str], typed: Sequence[str]) -> str | None:
    """The longest of `known` that `typed` begins with, else the first of `known` with the same first word."""
    family = [name for name in known if name.split()[0] == typed[0]]
    whole = [name for name in family if name.split() == list(typed[: len(name.split())])]
    return max(whole, key=len, default=family[0] if family else None)


ASKED_OF_A_NODE = Elsewhere(
    "the cluster manager",
    "a node",
    ON_MANAGERS,
    {
        "abort": "cluster abort ID",
        "broadcast": _ITS_COMMAND,
        "gather": _ITS_COMMAND,
        "info": "cluster info",
        "jobs": "cluster jobs",
        "members": "cluster membership",
        "show cluster membership": "cluster membership",
        "show logs": "cluster show logs",
        "subcluster broadcast": _ITS_COMMAND,
        "unicast": _ITS_COMMAND,
        "vips": "cluster duravip show",
    },
)
"""A node's texts for a manager's commands."""

ASKED_OF_A_MANAGER = Elsewhere(
    "a node",
    "the cluster manager",
    tuple(name for name in ON_NODES if not name.startswith("cluster ")),
    otherwise="broadcast {}",
)
"""A manager's texts for a node's commands."""
