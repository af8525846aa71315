"""The command that another command carries to nodes: its possible names and its text."""

from collections.abc import Mapping

from eccmgr.commands.answer import FORMS
from eccmgr.commands.danger import Danger
from eccmgr.errors import UsageError
from eccmgr.text import words

# The commands of a transaction are missing, because a transaction needs a console session.
_CONFIG = ("get", "eval", "set", "unset", "show", "showrecurse", "locate", "reload", "writeback", "write", "help")
ON_NODES = (
    "cluster abort",
    "cluster arp show",
    "cluster duravip announce view",
    "cluster duravip debug",
    "cluster duravip drain",
    "cluster duravip move",
    "cluster duravip plan",
    "cluster duravip show",
    "cluster duravip show tables",
    "cluster duravip undrain",
    "cluster help",
    "cluster info",
    "cluster jobs",
    "cluster logs watch",
    "cluster membership",
    "cluster nodeaddr",
    "cluster nodename",
    "cluster reset",
    "cluster shared list",
    "cluster shared show",
    "cluster show logs",
    *(f"config {word}" for word in _CONFIG),
    "describe",
    "help",
    "memory",
    "metrics",
    "module list",
    "paniclog",
    "pid",
    "reopen logs",
    "shutdown",
    "sysinfo",
    "uptime",
    "version",
)
"""The commands that every node has: a broadcast can carry these.

A manager cannot build a node's table, because that takes all parts of a node. So this lists the names, and a test
compares them with that table.
"""

DANGEROUS_ON_NODES: Mapping[str, Danger] = {
    "cluster abort": Danger.ASKS,
    "cluster duravip drain": Danger.ASKS,
    "cluster reset": Danger.ASKS_NUMBER,
    "config reload": Danger.ASKS,
    "config unset": Danger.ASKS,
    "shutdown": Danger.ASKS_NUMBER,
}
"""The dangerous ones of these commands; a test compares them too."""

CHANGE_NODES = frozenset(
    (
        "cluster duravip announce view",
        "cluster duravip debug",
        "cluster duravip move",
        "cluster duravip undrain",
        "config set",
        "config write",
        "config writeback",
        "reopen logs",
        *DANGEROUS_ON_NODES,
    )
)
"""Those of these commands that change something; a test compares them too."""

FIRST_WORDS = frozenset((*(name.split()[0] for name in ON_NODES), *FORMS, "complete"))
"""The first words of the commands that every node has."""


def carried(text: str) -> str:
    """The command to send to nodes for `text`, the words behind `broadcast` or a similar command.

    If `text` is one quoted word, the command is inside the quotes: no name of a command holds a blank. Raises
    UsageError if `text` holds no command, or a quote that is never closed.
    """
    command = _within(text)
    if all(word.text.strip().lower() in ("", *FORMS) for word in words.split(command)):
        raise _empty()
    return command


def _within(text: str) -> str:
    command = text.strip()
    while len(typed := words.split(command)) == 1 and typed[0].text.strip() != command:
        command = typed[0].text.strip()
    if not any(word.text.strip() for word in typed):
        raise _empty()
    return command


def _empty() -> UsageError:
    return UsageError("The command is empty: write what is to be run")
