"""Wraps a list of commands for a terminal: whole words, each line's rest under its own last column. Pure."""

import re
import textwrap

_LAST_COLUMN = re.compile(r"(?:.*\S)?\s{2,}(?=\S)")
_NARROW_INDENT = 4


def wrapped(text: str, width: int) -> str:
    """`text` with lines of at most `width` columns, broken between words. A longer word has a line of its own."""
    return "\n".join(line if len(line) <= width else _broken(line, width) for line in text.split("\n"))


def _broken(line: str, width: int) -> str:
    column = found.end() if (found := _LAST_COLUMN.match(line)) else _NARROW_INDENT
    if column > width // 2:
        # There is no room beside the first column, so the rest stands under it.
        column = min(_NARROW_INDENT, width // 4)
    return "\n".join(
        textwrap.wrap(
            line,
            max(1, width),
            subsequent_indent=" " * column,
            break_long_words=False,
            break_on_hyphens=False,
            replace_whitespace=False,
        )
    )
