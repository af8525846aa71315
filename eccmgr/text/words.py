"""Splits command lines into words, with quotes and escapes, or text to pass on as typed.

White space separates words; `"…"` and `'…'` keep white space; a backslash keeps the next character as it is.
"""

import re
from typing import NamedTuple

from eccmgr.errors import UsageError

# Possessive throughout: a megabyte of any one kind of character is read in one pass, without a second try.
_WORD = r"""(?> (?: [^\s"'\\]++ | \\. | "(?>(?:[^"\\]++|\\.)*)" | '(?>(?:[^'\\]++|\\.)*)' | \\\Z )+ )"""
_TOKEN = re.compile(_WORD, re.VERBOSE | re.DOTALL)
_NEXT = re.compile(rf"\s*+ ({_WORD})", re.VERBOSE | re.DOTALL)
_QUOTING = re.compile(r"""["'\\]""")
_PLAIN_WORD = re.compile(r"\S++")
_PIECE = re.compile(
    r"""([^"'\\]++|\\\Z) | \\(.) | "((?>(?:[^"\\]++|\\.)*))" | '((?>(?:[^'\\]++|\\.)*))'""", re.VERBOSE | re.DOTALL
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SPACE = re.compile(r"\s*+")
_NEEDS_QUOTES = re.compile(r"""[\s"'\\]""")


class Word(NamedTuple):
    """A word without its quotes and escapes, and its place in the line."""

    text: str
    start: int
    end: int


def split(line: str) -> list[Word]:
    """The words of `line`. Raises UsageError if a quote is never closed."""
    if not _QUOTING.search(line):
        return [Word(found[0], found.start(), found.end()) for found in _PLAIN_WORD.finditer(line)]
    words, at, length, find = [], 0, len(line), _NEXT.match
    while (found := find(line, at)) is not None:
        token, (start, at) = found[1], found.span(1)
        if at < length and not line[at].isspace():
            raise _never_closed()
        words.append(Word(_meaning(token), start, at))
    if (at := skip_space(line, at)) < length:
        raise _never_closed()
    return words


def next_word(line: str, at: int) -> Word:
    """The word of `line` that begins at `at`, which must not be white space or the end."""
    match = _TOKEN.match(line, at)
    if match is None or (match.end() < len(line) and not line[match.end()].isspace()):
        raise _never_closed()
    return Word(_meaning(match.group()), at, match.end())


def rest(line: str, at: int) -> str:
    """The text of `line` from `at` on, as typed, without the white space around it."""
    return line[at:].strip()


def fold(line: str) -> str:
    """`line` with single spaces between its words and each word quoted by one rule, for comparing commands."""
    try:
        return " ".join(quote(word.text) for word in split(line))
    except UsageError:
        return " ".join(line.split())


def join(arguments: list[str]) -> str:
    """One command line of a shell's arguments: a single one stays as it is; several are quoted if they need quotes."""
    if len(arguments) == 1:
        return arguments[0]
    return " ".join(quote(argument) for argument in arguments)


def quote(argument: str) -> str:
    """`argument` as one word of a command line."""
    if argument and not _NEEDS_QUOTES.search(argument):
        return argument
    return '"' + argument.replace("\\", "\\\\").replace('"', '\\"') + '"'


def skip_space(line: str, at: int) -> int:
    """The offset of the first character from `at` on that is not white space, or of the end of `line`."""
    match = _SPACE.match(line, at)
    return match.end() if match is not None else at


def _never_closed() -> UsageError:
    # The error does not repeat the text, which may hold a secret.
    return UsageError("A quote is never closed: close it, or write a backslash before it")


def _meaning(token: str) -> str:
    if not _NEEDS_QUOTES.search(token):
        return token
    pieces = []
    for plain, escaped, double, single in _PIECE.findall(token):
        quoted = double or single
        pieces.append(plain or escaped or (_ESCAPE.sub(r"\1", quoted) if "\\" in quoted else quoted))
    return "".join(pieces)
