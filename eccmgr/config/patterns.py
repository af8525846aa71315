"""Regular expressions typed by users, bounded: one that could take for ever is refused."""

import re
import time
import warnings
from collections.abc import Callable

from eccmgr.errors import CommandError

MAX_PATTERN = 200
MAX_SUBJECT = 128
"""Only so much of a name is searched."""
MAX_SECONDS = 2.0
"""For all names together."""

_MAX_COST = 21
_REPETITION_COST = 7
_CHOICE_COST = 2
"""The cost is about the logarithm of the steps that a name of MAX_SUBJECT characters can take at worst."""

_REPETITION = re.compile(r"(?:[*+]|\{[0-9]*,[0-9]*\})[?+]?")
_OPTIONAL = re.compile(r"\?[?+]?")
_COUNT = re.compile(r"\{[0-9]+\}[?+]?")
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?[a-zA-Z:=!<>P]*|.", re.DOTALL)

_NOT_TAKEN = re.compile(r"\\[1-9]|\(\?P=|\(\?[a-zA-Z]*x")
"""Back-references, and the verbose form, whose comments hide brackets."""


def matcher(pattern: str, clock: Callable[[], float] = time.monotonic) -> Callable[[str], bool]:
    """Whether `pattern` is found in a name, as a function.

    Raises CommandError if it is none or could run away; the function does where all names together take too long.
    """
    if len(pattern) > MAX_PATTERN:
        raise CommandError(f"The pattern is longer than {MAX_PATTERN} characters")
    if _may_run_away(pattern):
        raise CommandError("The pattern has too many repetitions and choices, expected one of at most 3")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise CommandError(f"'{pattern}' is no regular expression: {error}") from None
    deadline = clock() + MAX_SECONDS

    def found(name: str) -> bool:
        if clock() > deadline:
            raise CommandError("The pattern took too long, expected a simpler one")
        return compiled.search(name[:MAX_SUBJECT]) is not None

    return found


def _may_run_away(pattern: str) -> bool:
    """Whether a repeated group holds a repetition or a choice, or there are too many of them, or back-references."""
    cost = 0
    varied = [False]  # of each open group: whether it can match in more than one way
    at = 0
    while at < len(pattern):
        atom = _ATOM.match(pattern, at)
        assert atom is not None
        at, text = atom.end(), atom[0]
        if _NOT_TAKEN.match(text):
            return True
        if text.startswith("("):
            varied.append(False)
            continue
        closed_varied = text == ")" and len(varied) > 1 and varied.pop()
        if text == "|":
            cost, closed_varied = cost + _CHOICE_COST, True
        varied[-1] |= closed_varied
        for quantifier, price in ((_REPETITION, _REPETITION_COST), (_OPTIONAL, _CHOICE_COST), (_COUNT, 0)):
            repeated = quantifier.match(pattern, at)
            if repeated is None:
                continue
            if closed_varied and text == ")":
                return True
            cost, at = cost + price, repeated.end()
            varied[-1] |= price > 0
    return cost > _MAX_COST
