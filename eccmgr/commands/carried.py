"""Commands that another command carries to nodes: which there are, what may be sent, and which spellings are one."""

from eccmgr import words
from eccmgr.commands.answer import FORMS
from eccmgr.errors import UsageError

# Not those of a transaction, which needs a session of its own.
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
    "cluster membership",
    "cluster nodeaddr",
    "cluster nodename",
    "cluster reset",
    *(f"config {word}" for word in _CONFIG),
    "help",
    "memory",
    "metrics",
    "module list",
    "pid",
    "reopen logs",
    "shutdown",
    "sysinfo",
    "uptime",
    "version",
)
"""The commands that every node has: what a broadcast can carry.

They are named here, since a manager has no table of a node, which takes all of a node's parts to make; a test holds
them against that table.
"""

FIRST_WORDS = frozenset((*(name.split()[0] for name in ON_NODES), *FORMS, "complete"))
"""The words that the commands of every node begin with."""

# Whose commands have a name of a second word, beside all that are written SCOPE:INSTANCE.
_SINGLETONS = ("sched",)


def carried(text: str) -> str:
    """The command that `text`, as typed behind `broadcast` and its kin, sends to nodes.

    One quoted word is the command inside the quotes: no name of a command holds a blank. Raises UsageError where `text`
    holds no command, or a quote that is never closed.
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


def same_command(text: str) -> str:
    """What `text` has in common with every other spelling of the same command.

    White space and quotes between words make no difference, nor does the case of the command's name. Where no node's
    table is at hand to tell the name of a module's command, its first word counts as the name, and the second one too
    behind `SCOPE:INSTANCE`.
    """
    try:
        typed = [word.text for word in words.split(_within(text))]
    except UsageError:
        return words.fold(text)
    forms = next((i for i, word in enumerate(typed) if word.lower() not in FORMS), len(typed))
    named = forms + _words_in_name([word.lower() for word in typed[forms:]])
    return " ".join(words.quote(word.lower() if i < named else word) for i, word in enumerate(typed))


def _words_in_name(typed: list[str]) -> int:
    for length in range(min(len(typed), _LONGEST), 0, -1):
        if " ".join(typed[:length]) in _NAMES:
            return length
    return 2 if typed and (":" in typed[0] or typed[0] in _SINGLETONS) else 1


_NAMES = frozenset(ON_NODES)
_LONGEST = max(len(name.split()) for name in ON_NODES)
