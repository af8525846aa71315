"""What a gather is asked for: its options, its target, and the command."""

import re
from dataclasses import dataclass

from eccmgr import words
from eccmgr.cluster.view import EVERYONE, Target, View
from eccmgr.commands.target import is_target, member, read_target
from eccmgr.errors import NotAvailable, UsageError

GATHER_USAGE = "gather [--timeout S] [TARGET] COMMAND"
GATHER_TIMEOUT_S = 30.0
_TIMEOUT_MAX_S = 24 * 3600.0
_NOT_YET = ("--batch", "--max-failures")
_NUMBER = re.compile(r"\d+(\.\d+)?\Z")


@dataclass(frozen=True)
class GatherWish:
    """What a gather was asked for."""

    timeout_s: float
    target: Target
    text: str

    @classmethod
    def parse(cls, line: str, view: View) -> "GatherWish":
        """Read `[OPTIONS] [TARGET] COMMAND`; `view` tells which words name a node. Raises CommandError."""
        timeout_s, at = GATHER_TIMEOUT_S, 0
        while line[at:].startswith("--"):
            word = words.next_word(line, at)
            name, given, value = word.text.partition("=")
            at = _next(line, word.end)
            if name in _NOT_YET:
                raise NotAvailable(f"gather {name} is not available yet in this release")
            if name != "--timeout":
                raise UsageError(f"gather has no option {name}. Usage: {GATHER_USAGE}")
            if not given:
                if at == len(line):
                    raise UsageError(f"Usage: {GATHER_USAGE}")
                word = words.next_word(line, at)
                value, at = word.text, _next(line, word.end)
            timeout_s = _seconds(value)
        if at == len(line):
            raise UsageError(f"Usage: {GATHER_USAGE}")
        first, after = _first_word(line, at)
        follows = after < len(line)
        # A node's name alone is a command.
        if not is_target(first, view) or (not follows and member(first, view) is not None):
            return cls(timeout_s, EVERYONE, words.rest(line, at))
        if not follows:
            raise UsageError(f"Usage: {GATHER_USAGE}")
        return cls(timeout_s, read_target(first, view), words.rest(line, after))


def _seconds(value: str) -> float:
    if not _NUMBER.match(value) or not 0 < float(value) <= _TIMEOUT_MAX_S:
        raise UsageError(f"--timeout takes seconds, at most {_TIMEOUT_MAX_S:.0f}; not '{value}'")
    return float(value)


def _next(line: str, at: int) -> int:
    return len(line) - len(line[at:].lstrip())


def _first_word(line: str, at: int) -> tuple[str, int]:
    """The word at `at`, as typed, and where the next one begins."""
    word = line[at:].split(maxsplit=1)[0]
    return word, _next(line, at + len(word))
