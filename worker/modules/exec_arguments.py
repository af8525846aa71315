"""The rule for the arguments that a caller adds to a program: a regular expression in which options are named."""

import re
from dataclasses import dataclass

from eccmgr.text.patterns import Pattern, PatternError

_ANCHORS = re.compile(r"(?:\^|\\A|\(\?[A-Za-z-]+\))*")
_GROUP = re.compile(r"\((?!\?)|\(\?(?:[A-Za-z-]*:|P?<\w+>)")


@dataclass(frozen=True)
class ArgumentRule:
    """A pattern that each argument must fit as a whole.

    An argument that begins with `-` changes what a program does, and a pattern such as `.+` was hardly meant to allow
    it. So such an argument must also fit one of `options`: the alternatives of the pattern that begin with a literal
    `-`.
    """

    pattern: Pattern
    options: tuple[Pattern, ...]

    @classmethod
    def parse(cls, text: str) -> "ArgumentRule":
        """Compile a pattern. Raises PatternError."""
        return cls(Pattern.parse(text), tuple(_compiled(_options_of(text))))

    def fault_of(self, argument: str) -> str:
        """The fault of `argument`; '' if the argument is allowed."""
        if not argument.isprintable():
            return "an argument has printable characters only"
        if not self.pattern.is_all_of(argument):
            return f"an argument must fit {self.pattern.text}"
        if argument.startswith("-") and not any(option.is_all_of(argument) for option in self.options):
            return f"an argument that begins with - must fit an alternative of {self.pattern.text} that begins with -"
        return ""


def _compiled(texts: list[str]) -> list[Pattern]:
    patterns = []
    for text in texts:
        try:
            patterns.append(Pattern.parse(text))
        except PatternError:
            # A pattern that we cannot take apart allows no option.
            continue
    return patterns


def _options_of(text: str) -> list[str]:
    """The alternatives of a regular expression that begin with a literal `-`, also inside a group at its beginning.

    Each is a regular expression by itself, and allows no more than the whole one does.
    """
    flags = re.match(r"\(\?[A-Za-z-]+\)|", text)
    assert flags is not None
    options = []
    for part in _alternatives(text[flags.end() :]):
        anchors = _ANCHORS.match(part)
        assert anchors is not None
        anchor, rest = anchors[0], part[anchors.end() :]
        if rest.startswith(("-", r"\-")):
            options.append(part)
        elif group := _GROUP.match(rest):
            end = _end_of_group(rest)
            inside, after = rest[group.end() : end - 1], rest[end - 1 :]
            options += [anchor + group[0] + option + after for option in _options_of(inside)]
    return [flags[0] + option for option in options]


def _alternatives(text: str) -> list[str]:
    """The parts of a regular expression, split at each `|` outside of groups."""
    parts, depth, start, place = [], 0, 0, 0
    while place < len(text):
        char, following = text[place], _after(text, place)
        depth += (char == "(") - (char == ")")
        if char == "|" and depth == 0:
            parts.append(text[start:place])
            start = following
        place = following
    return [*parts, text[start:]]


def _end_of_group(text: str) -> int:
    """The place behind the group with which a regular expression begins."""
    depth = place = 0
    while place < len(text):
        depth += (text[place] == "(") - (text[place] == ")")
        place = _after(text, place)
        if depth == 0:
            break
    return place


def _after(text: str, place: int) -> int:
    """The place behind the escape, class or character at `place`."""
    if text.startswith(r"\Q", place):
        end = text.find(r"\E", place)
        return len(text) if end < 0 else end + 2
    if text[place] == "\\":
        return place + 2
    if text[place] != "[":
        return place + 1
    place += 2 if text.startswith("[^", place) else 1
    # A bracket at the beginning of a class does not end the class.
    place += text.startswith("]", place)
    while place < len(text) and text[place] != "]":
        named = text.find(":]", place) if text.startswith("[:", place) else -1
        place = named + 2 if named > 0 else place + (2 if text[place] == "\\" else 1)
    return place + 1
