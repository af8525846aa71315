r"""Finds the beginnings and ends of lines, whatever line ending a text has: LF, CR LF, or CR alone.

A lone CR always ends a line, even in a text with LFs: otherwise a comment would silently swallow the next line.
"""

import re

BREAK = re.compile(r"\r\n|\r|\n")


def line_start(text: str, offset: int) -> int:
    """The offset of the beginning of the line that holds `offset`."""
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1


def line_end(text: str, offset: int) -> int:
    """The offset of the line break after `offset`, or of the end of the text."""
    line_break = BREAK.search(text, offset)
    return line_break.start() if line_break else len(text)


def next_line(text: str, offset: int) -> int:
    """The offset of the beginning of the line after that of `offset`, or of the end of the text."""
    line_break = BREAK.search(text, offset)
    return line_break.end() if line_break else len(text)


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of an offset."""
    line = sum(1 for _ in BREAK.finditer(text, 0, offset)) + 1
    return line, offset - line_start(text, offset) + 1
