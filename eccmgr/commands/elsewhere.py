"""Commands that the other kind of daemon has: whoever types one at the wrong console is told where it runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from eccmgr.commands.carried import ON_NODES

ON_MANAGERS = (
    "abort",
    "authz",
    "broadcast",
    "flush control cache",
    "forget",
    "gather",
    "history",
    "info",
    "preview",
    "retrieve",
    "retrieve_node",
    "show cluster membership",
    "subcluster broadcast",
    "subcluster retrieve",
    "unicast",
)
"""The commands that every manager has and no node."""

_ITS_COMMAND = "the COMMAND alone"


@dataclass(frozen=True)
class Elsewhere:
    """The commands of the other kind of daemon, which is `there`, not `here`; `instead` says what to type here.

    What `instead` does not name is answered with `otherwise`, in which `{}` is the command as it was typed.
    """

    there: str
    here: str
    names: Sequence[str]
    instead: Mapping[str, str] = field(default_factory=dict)
    otherwise: str = ""

    def told(self, typed: Sequence[str]) -> str:
        """What to say of a command that begins with the words `typed`; empty where it is none of these."""
        if not typed or (name := _named(self.names, [word.lower() for word in typed])) is None:
            return ""
        use = self.instead.get(name) or self.otherwise.format(name)
        return f"{name} runs on {self.there}, not on {self.here}" + (f"; use: {use}" if use else "")


def _named(known: Iterable[str], typed: Sequence[str]) -> str | None:
    """The longest of `known` that begins as `typed` does, else the first with the same first word."""
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
        "show cluster membership": "cluster membership",
        "subcluster broadcast": _ITS_COMMAND,
        "unicast": _ITS_COMMAND,
    },
)
"""What a node says of a manager's commands."""

ASKED_OF_A_MANAGER = Elsewhere(
    "a node",
    "the cluster manager",
    tuple(name for name in ON_NODES if not name.startswith("cluster ")),
    otherwise="broadcast {}",
)
"""What a manager says of a node's commands that it does not have."""
