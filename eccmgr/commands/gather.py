"""Parses the words behind `gather`: the options, the target, and the command."""

import re
from dataclasses import dataclass

from eccmgr.cluster.view import EVERYONE, Target, View
from eccmgr.cluster.waiting import Pace
from eccmgr.commands.carried import FIRST_WORDS, carried
from eccmgr.commands.target import read_target
from eccmgr.errors import CommandError, UsageError
from eccmgr.text import words
from eccmgr.text.target_words import OPERATORS, is_quoted_command, looks_like_a_target

GATHER_USAGE = "gather [--timeout S] [--batch N|P%] [--max-failures K] [TARGET] [--] COMMAND"
GATHER_TIMEOUT_S = 30.0
_TIMEOUT_MAX_S = 24 * 3600.0
_OPTIONS = ("--timeout", "--batch", "--max-failures")
_END_OF_OPTIONS = "--"
_BATCH = re.compile(r"([1-9][0-9]{0,8})(%?)\Z")
_COUNT = re.compile(r"[0-9]{1,9}\Z")
_NUMBER = re.compile(r"\d+(\.\d+)?\Z")
# Patterns that people type for several nodes. No name and no command looks like these.
_PATTERN = re.compile(r"-|.*[*?]", re.DOTALL)


@dataclass(frozen=True)
class GatherWish:
    """A gather as it was typed: its time limit, target, command and pace."""

    timeout_s: float
    target: Target
    text: str
    pace: Pace | None = None

    @classmethod
    def parse(cls, line: str, view: View, vocabulary: frozenset[str] = FIRST_WORDS) -> "GatherWish":
        """Parse `[OPTIONS] [TARGET] [--] COMMAND`.

        `view` tells which words name a node, `vocabulary` which words a command may begin with. Raises CommandError,
        also if the first word looks like a mistyped target: it must not become a command for every node.
        """
        values, offset = _options(line)
        timeout_s = _seconds(values["--timeout"]) if "--timeout" in values else GATHER_TIMEOUT_S
        pace = _pace(values.get("--batch"), values.get("--max-failures"))
        line = carried(words.rest(line, offset))
        target, offset = _target(line, view, vocabulary)
        return cls(timeout_s, target, carried(words.rest(line, offset)), pace)


def in_doubt(line: str, view: View) -> bool:
    """Whether `line` may begin with a target or a command, so that only the vocabulary of live nodes can tell.

    Raises CommandError if `line` is wrong in either case.
    """
    _, offset = _options(line)
    line = carried(words.rest(line, offset))
    first, after = _word(line, 0)
    if not first or first == _END_OF_OPTIONS or looks_like_a_target(first):
        return False
    return first.lower() not in FIRST_WORDS and not (after < len(line) and view.fitting(first))


def _options(line: str) -> tuple[dict[str, str], int]:
    """Parse the options that `line` begins with; return them and the offset of the next word. Raises UsageError."""
    values: dict[str, str] = {}
    offset = 0
    while line[offset:].startswith("--"):
        word = words.next_word(line, offset)
        if word.text == _END_OF_OPTIONS:
            break
        name, given, value = word.text.partition("=")
        offset = words.skip_space(line, word.end)
        if name not in _OPTIONS:
            raise _no_option(name)
        if not given:
            if offset == len(line):
                raise UsageError(f"Usage: {GATHER_USAGE}")
            word = words.next_word(line, offset)
            value, offset = word.text, words.skip_space(line, word.end)
        values[name] = value
    if offset == len(line):
        raise UsageError(f"Usage: {GATHER_USAGE}")
    return values, offset


def _target(line: str, view: View, vocabulary: frozenset[str]) -> tuple[Target, int]:
    """The target that `line` begins with (every node if it begins with a command), and the offset of the command."""
    first, after = _word(line, 0)
    if first == _END_OF_OPTIONS:
        return EVERYONE, _behind(line, after)
    _refuse_no_target(first, line)
    is_member = after < len(line) and _is_member(first, view, vocabulary)
    if not looks_like_a_target(first) and not is_member:
        _refuse_unknown_node(first, line, after, view, vocabulary)
        return EVERYONE, 0
    second, behind = _word(line, _behind(line, after))
    _refuse_half(first, second, line)
    target = read_target(first, view)
    if second == _END_OF_OPTIONS:
        return target, _behind(line, behind)
    _refuse_no_target(second, line[after:])
    another = behind < len(line) and second.lower() not in vocabulary and _is_member(second, view, vocabulary)
    if looks_like_a_target(second) or another:
        raise UsageError(f"gather takes one TARGET; write the two as one: {first},{second}")
    return target, after


def _word(line: str, at: int) -> tuple[str, int]:
    """The word at `at` without its quotes, and the offset of the next word. A word with blanks that is no target is a
    command, and counts as empty here."""
    word = words.next_word(line, at)
    return ("" if is_quoted_command(word.text) else word.text), words.skip_space(line, word.end)


def _behind(line: str, at: int) -> int:
    """Return `at`. Raises UsageError if `line` ends there."""
    if at == len(line):
        raise UsageError(f"Usage: {GATHER_USAGE}")
    return at


def _is_member(word: str, view: View, vocabulary: frozenset[str]) -> bool:
    """Whether `word` names one node. Raises CommandError if it fits several nodes and is no command either."""
    fitting = view.fitting(word)
    if len(fitting) > 1 and word.lower() not in vocabulary:
        view.node(word)
    return len(fitting) == 1


def _refuse_no_target(word: str, line: str) -> None:
    if word.startswith("-"):
        raise _no_option(word)
    if _PATTERN.match(word) and not looks_like_a_target(word):
        raise UsageError(
            f"'{word[:80]}' is not a TARGET: write @NAME, @TAG:VALUE, a node's name, or a set such as "
            f"east[1-3,7],west1; to send it as a command: gather -- {line.strip()[:80]}"
        )


def _refuse_half(first: str, second: str, line: str) -> None:
    """Raises UsageError if a blank parts a target, or if it begins with an operator."""
    first, second = first.strip(), second.strip()
    part = second if second.startswith((*OPERATORS, ")")) else first
    if first.startswith(tuple(OPERATORS)):
        hint = f"write a set before the '{first[0]}', such as @all{first[:80]}"
    elif part is second or first.endswith((*OPERATORS, "(")):
        example = f" ({first[:80]}{second[:80]})" if len(second) > 1 else ""
        hint = f"write the whole TARGET without blanks{example}, or in quotes"
    else:
        return
    raise UsageError(f"'{part[:80]}' is not a TARGET: {hint}; to send it as a command: gather -- {line.strip()[:80]}")


def _refuse_unknown_node(word: str, line: str, after: int, view: View, vocabulary: frozenset[str]) -> None:
    """Raises CommandError if `word` is not a command and a command follows it: then `word` names an unknown node."""
    if not word or word.lower() in vocabulary or after == len(line):
        return
    second, _ = _word(line, after)
    _refuse_half(word, second, line)
    if second.lower() in vocabulary or second == _END_OF_OPTIONS:
        tag = f". For nodes with a tag write @{word[:80]}" if ":" in word else ""
        try:
            view.node(word)
        except CommandError as error:
            raise CommandError(f"{error}{tag}. To send it as a command: gather -- {line[:80]}") from None


def _no_option(name: str) -> UsageError:
    return UsageError(f"gather has no option {name[:80]}. Usage: {GATHER_USAGE}")


def _pace(batch: str | None, failures: str | None) -> Pace | None:
    if failures is not None and not _COUNT.match(failures):
        raise UsageError(f"--max-failures takes a number of nodes, not '{failures[:80]}'")
    if batch is None:
        # Without batches no node can be skipped.
        return None
    matched = _BATCH.match(batch)
    if matched is None or (matched[2] and int(matched[1]) > 100):
        raise UsageError(f"--batch takes a number of nodes, or up to 100% of them; not '{batch[:80]}'")
    return Pace(int(matched[1]), bool(matched[2]), int(failures) if failures is not None else None)


def _seconds(value: str) -> float:
    if not _NUMBER.match(value) or not 0 < float(value) <= _TIMEOUT_MAX_S:
        raise UsageError(f"--timeout takes seconds, at most {_TIMEOUT_MAX_S:.0f}; not '{value[:80]}'")
    return float(value)
