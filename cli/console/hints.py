"""The line of hint under the prompt: usage and brief of the command typed so far, or the word that was meant. Pure."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.console.own_commands import OwnCommands
from eccmgr.commands.answer import FORMS
from eccmgr.commands.carried import FIRST_WORDS
from eccmgr.text import words

if TYPE_CHECKING:
    from eccmgr.commands.table import Table

_LIKENESS = 0.7
_SHOWN_MAX = 12


@dataclass(frozen=True)
class Hint:
    """A hint: what comes first in full, and what follows dim."""

    first: str = ""
    rest: str = ""


def hint(line: str, table: "Table | None", own: OwnCommands) -> Hint:
    """The hint for `line`, which may be incomplete; `table` has the commands of the daemon, if they are known."""
    is_own, command, _ = own.split(line)
    if not is_own:
        return _of_daemon(line, table)
    if command is None:
        return _own_so_far(line, own)
    further = _of_daemon(own.carried(line) or "", table)
    return further if further.first else Hint(command.usage, command.brief)


def _own_so_far(line: str, own: OwnCommands) -> Hint:
    fitting = own.offers(line.strip())
    if fitting:
        return Hint("  ".join(offer.text for offer in fitting[:_SHOWN_MAX]))
    close = own.suggestion(line)
    return Hint(f"Did you mean {close}?" if close else "\\help lists what the console itself has")


def _of_daemon(line: str, table: "Table | None") -> Hint:
    typed = line.split()
    if typed and typed[0].lower() in FORMS and len(typed) > 1:
        typed = typed[1:]
    if not typed or table is None:
        return Hint()
    command, _ = table.named(typed)
    if command is not None:
        danger = "  · asks first" if command.danger else ""
        return Hint(command.usage, f"{command.brief}{danger}")
    lower = [word.lower() for word in typed]
    is_whole = line[-1].isspace()
    beginnings = [name for name in table.commands if _begins(name.split(), lower, is_whole=is_whole)]
    if len(beginnings) == 1:
        only = table.commands[beginnings[0]]
        return Hint(only.usage, only.brief)
    if beginnings:
        return Hint("  ".join(_next(beginnings, len(lower) - (not is_whole))))
    if lower[0] in FIRST_WORDS and "gather" in table.commands and (is_whole or len(lower) > 1):
        return Hint(f"{lower[0]} commands run on nodes: gather {lower[0]} …")
    return _correction(lower, (name for name, known in table.commands.items() if not known.danger))


def _begins(name: list[str], typed: list[str], *, is_whole: bool) -> bool:
    """Whether a command's `name` begins with the words `typed`, of which the last may be incomplete."""
    if is_whole:
        return name[: len(typed)] == typed
    *done, part = typed
    return len(name) >= len(typed) and name[: len(done)] == done and name[len(done)].startswith(part)


def _next(names: Iterable[str], at: int) -> list[str]:
    """The words at position `at` of `names`, once each."""
    found = list(dict.fromkeys(name.split()[at] for name in sorted(names)))
    return [*found[:_SHOWN_MAX], *(["…"] if len(found) > _SHOWN_MAX else [])]


def _correction(typed: list[str], names: Iterable[str]) -> Hint:
    """The word that was probably meant by the first one that begins none of the commands `names`, which leave out the
    dangerous ones."""
    split = [name.split() for name in names]
    done = 0
    while done < len(typed) and any(name[: done + 1] == typed[: done + 1] for name in split):
        done += 1
    if done == len(typed) or ":" in typed[done]:
        return Hint()
    there = sorted({name[done] for name in split if len(name) > done and name[:done] == typed[:done]})
    close = next(iter(difflib.get_close_matches(typed[done], there, 1, _LIKENESS)), "")
    return Hint(f"Did you mean {words.join([*typed[:done], close])}?") if close else Hint()
