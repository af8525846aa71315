"""`\\again`: which nodes get the last gather anew, and the line that sends it to them. Pure."""

from collections import Counter
from collections.abc import Iterable

from cli.console.reports import NodeAnswer
from eccmgr.cluster.names import fold
from eccmgr.cluster.outcomes import State
from eccmgr.commands.answer import split_form
from eccmgr.commands.carried import carried
from eccmgr.text import words
from eccmgr.text.counting import counted

CHOICES = {
    "failed": (State.FAILED, State.REFUSED),
    "lost": (State.LOST, State.MISSED),
    "silent": (State.PENDING,),
    "skipped": (State.SKIPPED,),
}
"""The words of `\\again`, and the states that each means; without a word it means them all."""
_END_OF_OPTIONS = "--"


def chosen(answers: Iterable[NodeAnswer], word: str) -> list[NodeAnswer]:
    """The answers in the states that `word` means. An absent node cannot get the command; a running one has it."""
    states = CHOICES[word] if word else tuple(state for meant in CHOICES.values() for state in meant)
    return [answer for answer in answers if answer.state in states]


def why(answers: Iterable[NodeAnswer]) -> str:
    """`1 failed, 2 lost`: the states of the chosen nodes."""
    return ", ".join(f"{number} {state}" for state, number in Counter(answer.state for answer in answers).items())


def sent_anew(line: str, command: str, nodes: Iterable[str]) -> str:
    """The gather that `line` has sent, for `nodes` alone; `command` is what it has sent to nodes, without secrets."""
    _, typed = split_form(line)
    options, behind = _options(typed.split(maxsplit=1)[1])
    return " ".join(("gather", *options, fold(nodes), _END_OF_OPTIONS, _command(behind, command)))


def nothing_chosen(command_id: str, number: int, word: str) -> str:
    """The answer if no node is in the states that were asked for."""
    which = f"none is {word}" if word else "none failed, was lost, is silent or was skipped"
    return f"Nothing to send anew: of the {counted(number, 'node')} of {command_id} {which}"


def _options(line: str) -> tuple[list[str], str]:
    """The options that `line` begins with, and the text behind them."""
    options: list[str] = []
    at = 0
    while line.startswith("--", at) and (word := words.next_word(line, at)).text != _END_OF_OPTIONS:
        at = words.skip_space(line, word.end)
        options.append(word.text)
        if "=" not in word.text:
            value = words.next_word(line, at)
            at = words.skip_space(line, value.end)
            options.append(value.text)
    return options, words.rest(line, at)


def _command(behind: str, command: str) -> str:
    """The command in `[TARGET] [--] COMMAND`, as it was typed."""
    behind = carried(behind)
    while not _is(behind, command):
        first = words.next_word(behind, 0)
        if not (further := words.rest(behind, first.end)):
            break
        behind = carried(further)
    return behind


def _is(typed: str, command: str) -> bool:
    # Imported only here: the console starts sooner without the schema.
    from eccmgr.commands.secrets import without_secrets

    return words.fold(without_secrets(typed)).lower() == words.fold(command).lower()
