"""The words that may follow the line typed so far, from the table of commands and the names in the cluster."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from eccmgr.cluster.names import natural
from eccmgr.commands.answer import FORMS
from eccmgr.commands.carried import ON_NODES
from eccmgr.commands.table import COMMAND, Command, Param, Table
from eccmgr.errors import UsageError
from eccmgr.text import words
from eccmgr.text.target_words import last_operand, looks_like_a_target

_MAX = 1000
_EVERYONE = "@all"
ANY_NODE = "\0node"
"""Stands for the name of any node in a `Known`, whose owner has an index of the names."""
# The maximum number of words in a line that is completed: nobody types a line with more.
_WORDS_MAX = 200


@dataclass(frozen=True)
class Known:
    """The names that a command may hold."""

    nodes: tuple[str, ...] = ()
    subclusters: tuple[str, ...] = ()
    configuration: Callable[[str, Sequence[str]], list[str]] = lambda _command, _words: []
    """Gives the next words of a `config` command, given its subcommand and the words behind that."""
    vips: tuple[str, ...] = ()
    """The addresses of the VIPs, and the names of their bindings."""
    tags: tuple[str, ...] = ()
    """The tags of nodes, as targets name them: `role:mta`."""

    def is_node(self, word: str) -> bool:
        """Whether `word` is the name of a node."""
        return word.lower() in {name.lower() for name in self.nodes}


def complete(table: Table, line: str, known: Known) -> list[str]:
    """The words that may complete `line`, sorted; the last word of `line` may be incomplete."""
    part, found = expected(table, line, known)
    candidates, head, operand = set(found), "", part
    if _EVERYONE in candidates:
        # The line may end in a target with operators; only its last set is completed.
        head, operand = last_operand(part)
    if head:
        candidates = {*known.nodes, *known.tags, *(word for word in candidates if word.startswith("@"))}
    return sorted((f"{head}{word}" for word in candidates if word.lower().startswith(operand.lower())), key=natural)[
        :_MAX
    ]


def expected(table: Table, line: str, known: Known) -> tuple[str, Iterable[str]]:
    """The last word of `line`, which may be incomplete, and the words that may stand in its place."""
    try:
        typed = [word.text for word in words.split(line)]
    except UsageError:
        return "", ()
    if len(typed) > _WORDS_MAX:
        return "", ()
    part = "" if not line or line[-1].isspace() else typed.pop()
    return part, _candidates(table, [command.name for command in table.listed()], typed, known)


def _candidates(table: Table, names: list[str], typed: list[str], known: Known) -> Iterable[str]:
    yield from next_words(names, typed)
    for length in range(len(typed), 0, -1):
        command = table.commands.get(" ".join(typed[:length]).lower())
        if command is not None and not command.refusal:
            yield from _arguments(table, names, command, typed[length:], known)
            return


def next_words(commands: Iterable[str], typed: list[str]) -> Iterable[str]:
    """The words that follow `typed` in the names of `commands`."""
    head = [word.lower() for word in typed]
    for name in commands:
        parts = name.split()
        if len(parts) > len(head) and parts[: len(head)] == head:
            yield parts[len(head)]


def _arguments(table: Table, names: list[str], command: Command, given: list[str], known: Known) -> Iterable[str]:
    if command.name.startswith("config "):
        yield from known.configuration(command.name.removeprefix("config "), (*given, ""))
        return
    for param in command.params:
        if param.rest or not given:
            yield from _values(table, names, param, given, known)
            return
        given = given[1:]


def _values(table: Table, names: list[str], param: Param, given: list[str], known: Known) -> Iterable[str]:
    if param.choices is not None:
        yield from param.choices()
    yield from _names(param.kind, known)
    match param.kind:
        case "command":
            yield from next_words(names, given)
        case "own command" if not given or given[0].lower() not in FORMS:
            yield from _candidates(table, [name for name in names if name not in FORMS], given, known)
        case COMMAND.kind:
            yield from next_words(ON_NODES, given)
        case "duravip move":
            yield from _move(given, known)
        case "without node":
            yield from (("without",), known.nodes, ())[min(len(given), 2)]
        case "target":
            yield from _targets(known)
        case "gather":
            yield from _gather(given, known)


def _names(kind: str, known: Known) -> Iterable[str]:
    """The words of a kind that needs no more than the names."""
    match kind:
        case "node":
            return known.nodes
        case "vip":
            return known.vips
        case "subject":
            return (*known.vips, *known.nodes)
        case "subcluster":
            return known.subclusters
        case "switch":
            return ("on", "off")
        case _:
            return ()


def _targets(known: Known) -> Iterable[str]:
    yield from (_EVERYONE, *(f"@{name}" for name in (*known.subclusters, *known.tags)), *known.nodes)


def _move(given: list[str], known: Known) -> Iterable[str]:
    """`VIP to NODE`, `NODE to NODE`, `VIP home`."""
    if not given:
        yield from (*known.vips, *known.nodes)
    elif len(given) == 1:
        yield from ("to", "home")
    elif len(given) == 2 and given[1].lower() == "to":
        yield from known.nodes


def _gather(given: list[str], known: Known) -> Iterable[str]:
    while given and given[0].startswith("--"):
        if "=" not in given[0] and len(given) == 1:
            return  # the option's value comes next, and it is a number
        given = given[1:] if "=" in given[0] else given[2:]
    if not given:
        yield from ("--timeout", "--batch", "--max-failures", *_targets(known))
    elif looks_like_a_target(given[0]) or known.is_node(given[0]):
        given = given[1:]
    yield from next_words(ON_NODES, given)
