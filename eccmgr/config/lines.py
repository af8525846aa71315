r"""Where the lines of a text begin and end, whichever way it ends them: LF, CR LF, or CR alone.

A CR by itself always ends a line, also beside LFs: else a comment would swallow what follows it without a word.
"""

import re

BREAK = re.compile(r"\r\n|\r|\n")


def line_start(text: str, offset: int) -> int:
    """The offset at which the line of `offset` begins."""
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1


def line_end(text: str, offset: int) -> int:
    """The offset of the line break behind `offset`, or of the end of the text."""
    found = BREAK.search(text, offset)
    return found.start() if found else len(text)


def next_line(text: str, offset: int) -> int:
    """The offset at which the line behind that of `offset` begins, or of the end of the text."""
    found = BREAK.search(text, offset)
    return found.end() if found else len(text)


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of an offset."""
    line = sum(1 for _ in BREAK.finditer(text, 0, offset)) + 1
    return line, offset - line_start(text, offset) + 1
