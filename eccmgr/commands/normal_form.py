"""The normal form of a command: the one spelling that stands for all spellings of it. Pure.

It is the command's name in small letters, then each argument quoted by one rule (`eccmgr/text/words.py`). A command
that another one carries is brought to its own normal form; `json` and `xml` before a command are left out. A line
without a normal form is never run and never kept: it holds an unseen character or an open quote, its commands are
nested too deep, or its normal form could be read as another command.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from eccmgr.commands.answer import FORMS
from eccmgr.commands.carried import FIRST_WORDS, ON_NODES
from eccmgr.commands.table import COMMAND, Carries, Command, Table, leading_words
from eccmgr.errors import UsageError
from eccmgr.text import words
from eccmgr.text.target_words import is_quoted_command, looks_like_a_target
from eccmgr.text.unseen import first_unseen, name_of

DEEPEST = 4
"""The maximum number of levels (commands, or quotes around a whole command) around the innermost command."""

# Modules without an instance. Their commands have names of two words, as the commands of every SCOPE:INSTANCE have.
_SINGLETONS = ("sched",)
_NAMES = frozenset(ON_NODES)
_LONGEST = max(len(name.split()) for name in ON_NODES)
# Commands that carry another command, each with the number of arguments before that: those of a node's modules, and
# those of a manager, which a node may pass on.
_CARRIERS = {
    "sched in": 1,
    "sched at": 1,
    "sched every": 1,
    "ecelerity": 0,
    "broadcast": 0,
    "gather": 0,
    "unicast": 1,
    "subcluster broadcast": 1,
}
_GATHER = "gather"
_END_OF_OPTIONS = "--"


@dataclass(frozen=True)
class NormalForm:
    """A command: its name in small letters, its arguments without their quotes, and the command that it carries.

    The name is empty if the line holds no command. If no table here knows the command, its name is the first word, or
    after `SCOPE:INSTANCE` the first two.
    """

    name: str
    arguments: tuple[str, ...] = ()
    carried: "NormalForm | None" = None
    forms: tuple[str, ...] = ()
    """The words before the command that asked for a form of the answer. They are not part of the text."""

    @property
    def words(self) -> tuple[str, ...]:
        """All words, with those of the carried command."""
        inside = self.carried.words if self.carried is not None else ()
        return (*self.name.split(" "), *self.arguments, *inside) if self.name else (*self.arguments, *inside)

    def holds(self, name: str) -> bool:
        """Whether this is the command `name`, or carries it."""
        return self.name == name or (self.carried is not None and self.carried.holds(name))

    def __str__(self) -> str:
        return " ".join(map(words.quote, self.words))


class Anatomy(NamedTuple):
    """The parts of a command: the words of its name, and the arguments before the command that it carries."""

    named: int
    before: int | None = None
    """None if it carries no command."""
    within: Table | None = None
    """The table of the carried command; None stands for a node's table."""


def normal_form(line: str, table: Table | None = None) -> NormalForm:
    """The normal form of `line`, a command of `table`. Raises UsageError if it has none.

    Without a table it is a carried command for nodes, which may be quoted as a whole.
    """
    form = _read(line, table)
    # Where the target of a gather ends is partly a guess. It has to be the same guess in the normal form.
    if form.holds(_GATHER) and str(_read(str(form), table)) != str(form):
        raise UsageError("The target and the command of the gather cannot be told apart, expected TARGET -- COMMAND")
    return form


def check_characters(line: str) -> None:
    """Raises UsageError if `line` holds an unseen character other than a tab."""
    if unseen := first_unseen(line):
        raise UsageError(f"A command holds the control character {name_of(unseen)}, expected text without one")


def _read(line: str, table: Table | None) -> NormalForm:
    typed, depth = _split(line), 0
    if table is None:
        typed, depth = _opened(typed, 0)
    return _form(typed, table, depth)


def _split(line: str) -> Sequence[str]:
    """The words of `line`. Raises UsageError."""
    check_characters(line)
    parts = words.split(line)
    if not line.isascii() or "\t" in line:
        _check_blanks(line, parts)
    return [word.text for word in parts]


def _check_blanks(line: str, found: Sequence[words.Word]) -> None:
    """Raises UsageError if other characters than blanks and tabs separate words, or if a word holds a tab."""
    offset = 0
    for word in found:
        _check_between(line[offset : word.start])
        if "\t" in word.text:
            raise UsageError("A word of the command holds a tab, expected text without one")
        offset = word.end
    _check_between(line[offset:])


def _check_between(blanks: str) -> None:
    for blank in blanks:
        if not blank.isascii():
            raise UsageError(f"The blank {name_of(blank)} stands between words of the command, expected a plain one")


def _form(typed: Sequence[str], table: Table | None, depth: int) -> NormalForm:
    if depth > DEEPEST:
        raise UsageError(f"Commands are nested too deep: at most {DEEPEST} may stand around another")
    forms = tuple(word.lower() for word in itertools.takewhile(_is_form, typed))
    typed = typed[len(forms) :]
    parts = _on_a_node(typed) if table is None else _in_table(typed, table)
    name, arguments = " ".join(typed[: parts.named]).lower(), tuple(typed[parts.named :])
    if parts.before is None or len(arguments) <= parts.before:
        return NormalForm(name, arguments, None, forms)
    if name == _GATHER:
        return replace(_gathered(arguments, depth + 1), forms=forms)
    inside, opened = _opened(arguments[parts.before :], depth + 1)
    return NormalForm(name, arguments[: parts.before], _form(inside, parts.within, opened), forms)


def _opened(typed: Sequence[str], depth: int) -> tuple[Sequence[str], int]:
    """The words of a carried command, which may be quoted as a whole, and their depth. Raises UsageError."""
    while depth <= DEEPEST:
        forms = list(itertools.takewhile(_is_form, typed))
        quoted = typed[len(forms) :]
        if len(quoted) != 1 or (inside := _split(quoted[0])) == list(quoted):
            break
        typed, depth = [*forms, *inside], depth + 1
    return typed, depth


def _is_form(word: str) -> bool:
    return word.lower() in FORMS


def _gathered(arguments: tuple[str, ...], depth: int) -> NormalForm:
    """`[OPTIONS] [TARGET] [--] COMMAND`. Only the names of commands are known here, not those of nodes."""
    index = 0
    while index < len(arguments) and arguments[index].startswith("--") and arguments[index] != _END_OF_OPTIONS:
        index += 1 if "=" in arguments[index] else 2
    typed, depth = _opened(arguments[index:], depth)
    behind = _words_of_target(typed)
    inside, depth = _opened(typed[behind:], depth)
    return NormalForm(_GATHER, (*arguments[:index], *typed[:behind]), _form(inside, None, depth))


def _words_of_target(typed: Sequence[str]) -> int:
    """The number of words before the COMMAND of a gather, from its target on."""
    first, second, *_ = (*typed, "", "")
    if first == _END_OF_OPTIONS:
        return 1
    if second == _END_OF_OPTIONS:
        return 2
    if is_quoted_command(first):
        return 0
    # The words that ask for a form are left out of the normal form, so they may not decide what a word before them is.
    second = next((word for word in typed[1:] if not _is_form(word)), "")
    is_node = first.lower() not in FIRST_WORDS and ":" not in first and second.lower() in FIRST_WORDS
    return 1 if is_node or looks_like_a_target(first) else 0


def _in_table(typed: Sequence[str], table: Table) -> Anatomy:
    command, named = table.named(typed)
    if command is None or (command.refusal and table.fallback is not None):
        return _on_a_node(typed)
    return Anatomy(named, _arguments_before(command), table if command.carries is Carries.FOR_ITSELF else None)


def _arguments_before(command: Command) -> int | None:
    """The number of arguments before the command that `command` takes; None if it takes none."""
    *others, last = command.params or (None,)
    if last is None or not last.rest or (command.carries is None and last.name != COMMAND.name):
        return None
    return len(others)


def _on_a_node(typed: Sequence[str]) -> Anatomy:
    for length in range(len(named := leading_words(typed, _LONGEST)), 0, -1):
        name = " ".join(named[:length])
        if name in _NAMES or name in _CARRIERS:
            return Anatomy(length, _CARRIERS.get(name))
    has_two = len(named) > 1 and (":" in named[0] or named[0] in _SINGLETONS)
    return Anatomy(min(len(named), 2 if has_two else 1))
