"""What our programs write to a terminal is harmless: no text from elsewhere steers it, reorders its lines or hides in
them.

`run` gives a program streams that see to it. To a terminal they write the unseen characters of every text as visible
ones; only `Painted` text, which the program itself has made, keeps its escapes. So a new way to the terminal is
harmless before anybody thinks of it. Files and pipes get every text as it is.
"""

import io
import os
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn, TextIO

from eccmgr.host import streams
from eccmgr.text.unseen import visible_lines

_DUMB = ("dumb", "unknown")


class Painted(str):
    """A text whose escapes are the program's own, such as colours. What is not, went through `visible_lines` before."""

    __slots__ = ()


class TerminalText(io.TextIOWrapper):
    """A text stream to a terminal."""

    def write(self, text: str, /) -> int:
        """Write `text`; its unseen characters are made visible unless it is `Painted`."""
        return super().write(text if isinstance(text, Painted) else visible_lines(text))


def run(program: str, main: Callable[[], object]) -> NoReturn:
    """Run `main` as `streams.run` does, with streams that are harmless to a terminal."""

    def harmless() -> object:
        sys.stdout, sys.stderr = _harmless(sys.stdout), _harmless(sys.stderr)
        return main()

    streams.run(program, harmless)


def has_colors(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a terminal may be sent escapes: not where NO_COLOR is set and not empty, nor where TERM is `dumb`."""
    return not environment.get("NO_COLOR") and not is_dumb(environment)


def is_dumb(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal understands no escape at all."""
    return environment.get("TERM", "").lower() in _DUMB


def _harmless(stream: TextIO) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper) or not stream.isatty():
        return stream
    stream.flush()
    encoding = stream.encoding
    return TerminalText(stream.detach(), encoding=encoding, errors="backslashreplace", line_buffering=True)
