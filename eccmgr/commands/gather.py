"""What a gather is asked for: its options, its target, and the command."""

import re
from dataclasses import dataclass

from eccmgr import words
from eccmgr.cluster.view import EVERYONE, Target, View
from eccmgr.cluster.waiting import Pace
from eccmgr.commands.target import is_target, member, read_target
from eccmgr.errors import UsageError

GATHER_USAGE = "gather [--timeout S] [--batch N|P%] [--max-failures K] [TARGET] COMMAND"
GATHER_TIMEOUT_S = 30.0
_TIMEOUT_MAX_S = 24 * 3600.0
_OPTIONS = ("--timeout", "--batch", "--max-failures")
_BATCH = re.compile(r"([1-9][0-9]{0,8})(%?)\Z")
_COUNT = re.compile(r"[0-9]{1,9}\Z")
_NUMBER = re.compile(r"\d+(\.\d+)?\Z")


@dataclass(frozen=True)
class GatherWish:
    """What a gather was asked for."""

    timeout_s: float
    target: Target
    text: str
    pace: Pace | None = None

    @classmethod
    def parse(cls, line: str, view: View) -> "GatherWish":
        """Read `[OPTIONS] [TARGET] COMMAND`; `view` tells which words name a node. Raises CommandError."""
        values: dict[str, str] = {}
        at = 0
        while line[at:].startswith("--"):
            word = words.next_word(line, at)
            name, given, value = word.text.partition("=")
            at = _next(line, word.end)
            if name not in _OPTIONS:
                raise UsageError(f"gather has no option {name}. Usage: {GATHER_USAGE}")
            if not given:
                if at == len(line):
                    raise UsageError(f"Usage: {GATHER_USAGE}")
                word = words.next_word(line, at)
                value, at = word.text, _next(line, word.end)
            values[name] = value
        if at == len(line):
            raise UsageError(f"Usage: {GATHER_USAGE}")
        timeout_s = _seconds(values["--timeout"]) if "--timeout" in values else GATHER_TIMEOUT_S
        pace = _pace(values.get("--batch"), values.get("--max-failures"))
        first, after = _first_word(line, at)
        follows = after < len(line)
        # A node's name alone is a command.
        if not is_target(first, view) or (not follows and member(first, view) is not None):
            return cls(timeout_s, EVERYONE, words.rest(line, at), pace)
        if not follows:
            raise UsageError(f"Usage: {GATHER_USAGE}")
        return cls(timeout_s, read_target(first, view), words.rest(line, after), pace)


def _pace(batch: str | None, failures: str | None) -> Pace | None:
    if failures is not None and not _COUNT.match(failures):
        raise UsageError(f"--max-failures takes a number of nodes, not '{failures[:80]}'")
    if batch is None:
        # Nobody is left to be spared.
        return None
    found = _BATCH.match(batch)
    if found is None or (found[2] and int(found[1]) > 100):
        raise UsageError(f"--batch takes a number of nodes, or up to 100% of them; not '{batch[:80]}'")
    return Pace(int(found[1]), bool(found[2]), int(failures) if failures is not None else None)


def _seconds(value: str) -> float:
    if not _NUMBER.match(value) or not 0 < float(value) <= _TIMEOUT_MAX_S:
        raise UsageError(f"--timeout takes seconds, at most {_TIMEOUT_MAX_S:.0f}; not '{value[:80]}'")
    return float(value)


def _next(line: str, at: int) -> int:
    return len(line) - len(line[at:].lstrip())


def _first_word(line: str, at: int) -> tuple[str, int]:
    """The word at `at`, as typed, and where the next one begins."""
    word = line[at:].split(maxsplit=1)[0]
    return word, _next(line, at + len(word))
