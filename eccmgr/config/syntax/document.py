"""One configuration file: its exact text, and its items by their offsets."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from eccmgr.config.syntax.lines import BREAK

if TYPE_CHECKING:
    from eccmgr.config.syntax.values import Value


MAX_DEPTH = 64
"""The deepest nesting of scopes, over all files; a bound for the functions that walk the tree."""


@dataclass(slots=True, eq=False)
class OptionNode:
    """`Option = value`; `value_start` to `end` is the value."""

    name: str
    value: Value
    start: int
    value_start: int
    end: int


@dataclass(slots=True, eq=False)
class ScopeNode:
    """`Scope "name" { … }`; `body` is the offset after the `{`, `close` that of the `}`, `name` None if anonymous."""

    kind: str
    name: str | None
    start: int
    body: int
    items: list[Node] = field(default_factory=list)
    close: int = 0

    @property
    def end(self) -> int:
        """The offset after the closing bracket."""
        return self.close + 1


@dataclass(slots=True, eq=False)
class IncludeNode:
    """`include "path"` or `readonly_include "path"`."""

    path: str
    readonly: bool
    start: int
    end: int


Node = OptionNode | ScopeNode | IncludeNode


@dataclass(eq=False)
class Document:
    """A file: `path` as users see it, `text` decoded without any translation, `items` in the order written.

    A `readonly` file is never written back to. Only root, or the user of this process, may write a `guarded` file.
    `data` are the bytes that were read, None for a file that does not
    exist yet.
    """

    path: str
    text: str
    items: list[Node] = field(default_factory=list)
    readonly: bool = False
    guarded: bool = True
    data: bytes | None = None

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(end_of_line.end() for end_of_line in BREAK.finditer(self.text))]

    @property
    def newline(self) -> str:
        """The line ending of this file."""
        first = BREAK.search(self.text)
        return first[0] if first else "\n"

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1, of an offset."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def place(self, offset: int) -> str:
        """`FILE:LINE:COLUMN` of an offset."""
        line, column = self.position(offset)
        return f"{self.path}:{line}:{column}"
