"""The error for a line that is not a command. It names a similar command, the commands of the family, or the place
where the command runs."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence

from eccmgr.config.schema.masking import mask_parameters
from eccmgr.errors import CommandError, UsageError

_LIST = "Type help for a list."
# An error repeats at most this many characters of an unknown word.
_SHOWN_MAX = 80
# A word that is less similar would mislead.
_LIKENESS = 0.7


def unknown(
    typed: Sequence[str],
    dangers: Mapping[str, bool],
    no_module: Callable[[str], CommandError | None],
    elsewhere: Callable[[Sequence[str]], str],
) -> CommandError:
    """The error for a line that begins with the words `typed`; only the last of them may have been cut off.

    `dangers` maps each working command to whether it is dangerous; a dangerous command is never suggested.
    `no_module` gives the error for a word that could name a module, `elsewhere` the text for a command of the other
    kind of daemon.
    """
    if not typed:
        return CommandError(f"No command was given. {_LIST}")
    typed = [_shown(word) for word in typed]
    words = [word.lower() for word in typed]
    depth = _depth(words, dangers)
    if depth:
        return _in_family(typed, depth, dangers)
    if told := elsewhere(typed):
        return CommandError(told)
    if (error := no_module(typed[0])) is not None:
        return error
    close = _close(typed[0], (name for name, danger in dangers.items() if not danger), 0)
    return CommandError(f"Unknown command: '{_shortened(typed[0])}'.{_suggestion(close)} {_LIST}")


def _in_family(typed: Sequence[str], depth: int, dangers: Mapping[str, bool]) -> CommandError:
    """The error for `typed`, whose first `depth` words begin the names of commands, but whose next word fits none."""
    family = " ".join(typed[:depth]).lower()
    names = [name for name in dangers if name.lower().startswith(f"{family} ")]
    tails = sorted(name[len(family) + 1 :] for name in names)
    if len(typed) == depth:
        return UsageError(f"Usage: {family} {' | '.join(tails)}")
    shown = _shortened(" ".join(typed[: depth + 1]))
    close = _close(typed[depth], (name for name in names if not dangers[name]), depth)
    hint = f"{_suggestion(f'{family} {close}')}" if close else f" {family} has: {', '.join(tails)}."
    return CommandError(f"Unknown command: '{shown}'.{hint} {_LIST}")


def _depth(words: Sequence[str], names: Iterable[str]) -> int:
    """The number of `words` that begin the name of a longer command."""
    split = [name.lower().split() for name in names]
    depths = (sum(1 for _ in _alike(words, name)) for name in split if len(name) > 1)
    return max(depths, default=0)


def _alike(words: Sequence[str], name: Sequence[str]) -> Iterable[str]:
    for word, other in zip(words, name[:-1], strict=False):
        if word != other:
            return
        yield word


def _close(typed: str, names: Iterable[str], at: int) -> str:
    """The word at position `at` of the `names` that is most similar to `typed`; empty if no word is similar."""
    if len(typed) > _SHOWN_MAX:
        return ""  # costly to compare, and similar to no word
    candidates = sorted({name.split()[at] for name in names})
    return next(iter(difflib.get_close_matches(typed.lower(), candidates, 1, _LIKENESS)), "")


def _suggestion(close: str) -> str:
    return f" Did you mean '{close}'?" if close else ""


def _shown(word: str) -> str:
    """`word` in the form in which an error may repeat it: it may be a whole quoted command with a secret."""
    first, *more = word.split() or [""]
    return mask_parameters(f"{first} …" if more else first, secret=True)


def _shortened(typed: str) -> str:
    return typed if len(typed) <= _SHOWN_MAX else typed[:_SHOWN_MAX] + "…"
