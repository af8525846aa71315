"""Edits the text of one file: replaces a value, removes an item, adds to a block. All other text stays."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eccmgr.config.schema.printing import INDENT, contents, heading
from eccmgr.config.syntax.lines import BREAK, line_end, line_start, next_line
from eccmgr.config.syntax.tree import Scope
from eccmgr.config.syntax.values import format_value

if TYPE_CHECKING:
    from eccmgr.config.syntax.document import Document, Node, OptionNode, ScopeNode
    from eccmgr.config.syntax.values import Value

_BLANKS = " \t\f\v"
# If no more than this follows an item on its line, a new item goes on the next line.
_REST_OF_LINE = re.compile(
    r"[ \t\f\v]*+(?>(?:/\*(?>(?:(?!\*/)[^\r\n])*)\*/[ \t\f\v]*+)*)(?:#[^\r\n]*+)?(?:\r\n|\r|\n|\Z)"
)


@dataclass(frozen=True, slots=True)
class Edit:
    """A replacement for the text from `start` to `end`."""

    start: int
    end: int
    text: str


@dataclass(eq=False)
class DocumentEdits:
    """All edits of one document."""

    document: Document
    edits: list[Edit] = field(default_factory=list)
    _insertions: dict[int, tuple[ScopeNode | None, Scope]] = field(default_factory=dict)

    def replace_value(self, node: OptionNode, value: Value) -> None:
        """Give an option another value."""
        preceding, behind = self.document.text[node.value_start - 1], self.document.text[node.end : node.end + 1]
        # Quotes and brackets may touch the text around them. A bare word would merge with it.
        lead = "" if preceding.isspace() or preceding == "=" else " "
        tail = "" if not behind or behind.isspace() else " "
        self.edits.append(Edit(node.value_start, node.end, lead + format_value(value) + tail))

    def remove(self, node: Node) -> None:
        """Remove an item, with its lines if nothing else is on them."""
        text, start, end = self.document.text, node.start, node.end
        begin = line_start(text, start)
        behind = text[end : line_end(text, end)]
        before_blank = not text[begin:start].strip(_BLANKS)
        if before_blank and not behind.strip(_BLANKS):
            start, end = begin, next_line(text, end)
        elif before_blank:
            end += len(behind) - len(behind.lstrip(_BLANKS))
        elif not behind.strip(_BLANKS) or behind[0] in _BLANKS:
            # On a line with other items the white space before the item goes too.
            start = begin + len(text[begin:start].rstrip(_BLANKS))
        self.edits.append(Edit(start, end, ""))

    def pending(self, block: ScopeNode | None) -> Scope:
        """The scope whose contents go to the end of a block, or with None to the end of the file. The caller fills
        it."""
        return self._insertions.setdefault(id(block), (block, Scope()))[1]

    def put(self, block: ScopeNode | None, scope: Scope) -> None:
        """Set the scope whose contents go to the end of a block."""
        self._insertions[id(block)] = (block, scope)

    def result(self) -> str:
        """The text with all edits made."""
        edits = [*self.edits, *(_insertion(self.document, *insertion) for insertion in self._insertions.values())]
        text, copied = self.document.text, 0
        parts: list[str] = []
        # If two edits are at one place, the insertion comes before the removal.
        for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
            parts += [text[copied : edit.start], edit.text]
            copied = max(copied, edit.end)
        return "".join([*parts, text[copied:]])


def _insertion(document: Document, block: ScopeNode | None, scope: Scope) -> Edit:
    items = block.items if block else document.items
    if block is None and not items:
        return _at_end_of_file(document, scope)
    anchor = items[-1].end if items else (block.body if block else 0)
    if block and not BREAK.search(document.text, block.body, block.close):
        return _within_line(document, anchor, scope)
    rest = _REST_OF_LINE.match(document.text, anchor)
    if rest is None:
        return _within_line(document, anchor, scope)
    if block is None and rest.end() == len(document.text):
        return _at_end_of_file(document, scope)
    indent = (
        _indent_of(document, items[-1].start) if items else _indent_of(document, block.start if block else 0) + INDENT
    )
    return Edit(rest.end(), rest.end(), _whole_lines(document, scope, indent))


def _at_end_of_file(document: Document, scope: Scope) -> Edit:
    text = document.text
    lead = document.newline if text and not text.endswith(("\n", "\r")) else ""
    return Edit(len(text), len(text), lead + _whole_lines(document, scope, ""))


def _within_line(document: Document, anchor: int, scope: Scope) -> Edit:
    tail = "" if document.text[anchor : anchor + 1].isspace() else " "
    return Edit(anchor, anchor, f" {_one_line(scope)}{tail}")


def _one_line(scope: Scope) -> str:
    options = (f"{setting.name} = {format_value(setting.value)}" for setting in scope.options.values())
    scopes = (f"{heading(child)} {{ {_one_line(child)} }}" for child in scope.scopes.values())
    return "  ".join((*options, *scopes))


def _whole_lines(document: Document, scope: Scope, indent: str) -> str:
    """A scope's contents, with the line ending of the file. A newline within a value stays as it is."""
    return "".join(line + document.newline for line in contents(scope, None, reveal=True, indent=indent))


def _indent_of(document: Document, offset: int) -> str:
    """The white space that begins the line of an offset."""
    line = document.text[line_start(document.text, offset) : offset]
    return line[: len(line) - len(line.lstrip(" \t"))]
