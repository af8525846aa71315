"""Parses tokens into items by recursive descent; `grammar.lark` has the same grammar for readers.

Open scopes are kept on a list, so that even a deeply nested file cannot exhaust Python's stack.
"""

from dataclasses import dataclass

from eccmgr.config.syntax.document import MAX_DEPTH, Document, IncludeNode, Node, OptionNode, ScopeNode
from eccmgr.config.syntax.faults import MAX_FAULTS, Fault
from eccmgr.config.syntax.lexer import END, RESERVED, STRING, WORD, Token, tokens
from eccmgr.config.syntax.lines import line_start, position
from eccmgr.config.syntax.values import Dictionary, ItemList, Text, Value, unquote

_CLOSING = {"(": ")", "[": "]"}


def parse_bytes(path: str, data: bytes) -> tuple[Document, list[Fault]]:
    """Parse the bytes of a file into a document and its faults."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line, column = position(valid := data[: error.start].decode(), len(valid))
        what = f"byte 0x{data[error.start]:02x} (is this a binary file?)"
        return Document(path, "", data=data), [Fault(path, line, column, what, "UTF-8 text")]
    document, faults = parse_text(path, text)
    document.data = data
    return document, faults


def parse_text(path: str, text: str) -> tuple[Document, list[Fault]]:
    """Parse a text into a document and its faults; if there are faults, some items may be missing."""
    parser = _Parser(Document(path, text))
    try:
        parser.prepare()
        parser.file()
    except _TooManyFaultsError:
        pass
    return parser.document, sorted(parser.faults, key=lambda fault: (fault.line, fault.column))


def parse_value(text: str) -> Value | None:
    """Parse `text` as exactly one value without comments; None if it is anything else."""
    parser = _Parser(Document("", text), most_faults=1)
    try:
        parser.prepare()
        value = parser.value()
    except _TooManyFaultsError:
        return None
    complete = value is not None and parser.kind() == END
    return value if complete and not _has_comment(text, parser.tokens) else None


def _has_comment(text: str, found: list[Token]) -> bool:
    ends = [0, *(end for _, _, end in found)]
    gaps = (text[end:start] for end, (_, start, _) in zip(ends, found, strict=False))
    return any(not gap.isspace() for gap in gaps if gap)


class _TooManyFaultsError(Exception):
    """Raised within the parser to stop after too many faults."""


@dataclass(slots=True)
class _Element:
    """An element between brackets: a text, or a `=` if `text` is None."""

    text: Text | None
    at: int


class _Parser:
    def __init__(self, document: Document, most_faults: int = MAX_FAULTS) -> None:
        self.document = document
        self.most_faults = most_faults
        self.text = document.text
        self.faults: list[Fault] = []
        self.at = 0
        self.tokens: list[Token] = [(END, 0, 0)]

    def prepare(self) -> None:
        self.tokens = tokens(self.text, self.fault_at)

    def fault_at(self, offset: int, what: str, expected: str) -> None:
        line, column = self.document.position(offset)
        self.faults.append(Fault(self.document.path, line, column, what, expected))
        if len(self.faults) >= self.most_faults:
            raise _TooManyFaultsError

    def fault(self, expected: str, what: str | None = None) -> None:
        """Report the current token."""
        self.fault_at(self.tokens[self.at][1], what or f"found {self.found()}", expected)

    def found(self) -> str:
        """The description of the current token, without its text, which may be a secret."""
        kind = self.kind()
        return {WORD: "a word", STRING: "a quoted text", END: "the end of the file"}.get(kind, f"'{kind}'")

    def kind(self, ahead: int = 0) -> str:
        index = self.at + ahead
        return self.tokens[index][0] if index < len(self.tokens) else END

    def file(self) -> None:
        """Parse items := { option | scope | include }, with the open scopes on a stack."""
        stack: list[ScopeNode] = []
        items = self.document.items
        while True:
            kind, start, _ = self.tokens[self.at]
            if kind == WORD:
                node = self.item()
                if isinstance(node, ScopeNode):
                    items.append(node)
                    stack.append(node)
                    items = node.items
                    self.check_depth(stack)
                elif node is not None:
                    items.append(node)
            elif kind == "}" and stack:
                stack.pop().close = start
                items = stack[-1].items if stack else self.document.items
                self.at += 1
            elif kind == END:
                break
            else:
                self.stray(stack)
                items = stack[-1].items if stack else self.document.items
        for scope in reversed(stack):
            scope.close = len(self.text)
            self.fault_at(scope.body - 1, "'{' is never closed", "a '}' before the end of the file")

    def check_depth(self, stack: list[ScopeNode]) -> None:
        if len(stack) == MAX_DEPTH + 1:
            self.fault_at(stack[-1].start, "a scope nested too deep", f"at most {MAX_DEPTH} scopes within each other")

    def stray(self, stack: list[ScopeNode]) -> None:
        """Report a token that begins no item, and skip the tokens that clearly belong to it."""
        kind, start, end = self.tokens[self.at]
        what = "'}' closes no scope" if kind == "}" else f"found {self.found()}"
        self.fault_at(start, what, "the name of an option or a scope")
        if kind in _CLOSING:
            self.skip_brackets()
            return
        self.at += 1
        if kind == "{":
            # Treat this as a scope without a name, so that its closing bracket is not a second fault.
            stack.append(ScopeNode("", None, start, end))
        elif kind == "=" and self.kind() in (WORD, STRING) and self.kind(1) != "=":
            self.at += 1

    def item(self) -> Node | None:
        """Parse option := WORD ['='] value; scope := WORD [name] '{'; include := INCLUDE path. A scope stays open."""
        _, start, end = self.tokens[self.at]
        name = self.text[start:end]
        if name.lower() in RESERVED:
            return self.include(name, start)
        follows = self.kind(1)
        if follows == "{" or (follows in (WORD, STRING) and self.kind(2) == "{"):
            return self.scope(name, start)
        self.at += 2 if follows == "=" else 1
        _, value_start, _ = self.tokens[self.at]
        if follows != "=" and self.kind() not in (WORD, STRING, "(", "["):
            self.fault(f"a value, or a '{{' that opens a scope, behind {self.shown(name, start)}")
            return None
        value = self.value()
        if value is None:
            self.fault(f"a value for {self.shown(name, start)}")
            return None
        return OptionNode(name, value, start, value_start, self.tokens[self.at - 1][2])

    def shown(self, name: str, start: int) -> str:
        """A name for a message. A name within a line is not shown, because it may be the rest of an unquoted secret."""
        line_so_far = self.text[line_start(self.text, start) : start]
        return f"'{name}'" if len(name) <= 40 and not line_so_far.strip() else "this name"

    def scope(self, kind: str, start: int) -> ScopeNode:
        name = None
        if self.kind(1) != "{":
            self.at += 1
            name = self.plain().text
        else:
            self.at += 1
        self.at += 1
        return ScopeNode(kind, name, start, self.tokens[self.at - 1][2])

    def include(self, word: str, start: int) -> IncludeNode | None:
        self.at += 1
        if self.kind() not in (WORD, STRING):
            self.fault(f"a path in quotes behind {word}")
            if self.kind() == "=":
                self.at += 1 if self.kind(1) not in (WORD, STRING) else 2
            return None
        end = self.tokens[self.at][2]
        return IncludeNode(self.plain().text, word.lower() != "include", start, end)

    def value(self) -> Value | None:
        """Parse value := WORD | STRING | list | dictionary; None, without taking a token, if no value begins here."""
        kind = self.kind()
        if kind in (WORD, STRING):
            return self.plain()
        if kind == "(":
            return self.item_list()
        return self.dictionary() if kind == "[" else None

    def plain(self) -> Text:
        kind, start, end = self.tokens[self.at]
        self.at += 1
        if kind == WORD:
            return Text(self.text[start:end])
        return Text(unquote(self.text[start + 1 : end - 1]), quoted=True)

    def item_list(self) -> ItemList:
        items: list[Text] = []
        for element in self.elements("an item or ')'"):
            if element.text is None:
                self.fault_at(element.at, "found '=' in a list", "an item or ')'")
            else:
                items.append(element.text)
        return ItemList(tuple(items))

    def dictionary(self) -> Dictionary:
        pairs: list[tuple[Text, Text]] = []
        key: _Element | None = None
        has_sign = False
        for element in self.elements("'key = value' or ']'"):
            if element.text is None:
                if key is None or has_sign:
                    self.fault_at(element.at, "found '=' in a dictionary", "a key before it")
                has_sign = True
            elif key is None:
                key, has_sign = element, False
            else:
                assert key.text is not None
                pairs.append((key.text, element.text))
                key, has_sign = None, False
        if key is not None:
            self.fault_at(key.at, "a key without a value", "'key = value'")
        return Dictionary(tuple(pairs))

    def elements(self, expected: str) -> list[_Element]:
        """The elements between the current bracket and its closing one; commas only separate them."""
        opening, opened_at, _ = self.tokens[self.at]
        closing = _CLOSING[opening]
        read: list[_Element] = []
        self.at += 1
        while (kind := self.kind()) != closing:
            start = self.tokens[self.at][1]
            if kind == STRING:
                read.append(_Element(self.plain(), start))
            elif kind == WORD:
                read.extend(_Element(Text(part), start) for part in self.plain().text.split(",") if part)
            elif kind == "=" and (opening == "[" or not self.next_option_begins(read)):
                read.append(_Element(None, start))
                self.at += 1
            elif kind in _CLOSING:
                self.fault(expected, f"found '{kind}' within {_named(opening)}")
                self.skip_brackets()
            else:
                self.unclosed(opening, opened_at, read)
                return read
        self.at += 1
        return read

    def next_option_begins(self, found: list[_Element]) -> bool:
        """Whether `word =` in a list begins the next option, because the closing bracket was forgotten."""
        return bool(found) and self.kind(-1) == WORD

    def unclosed(self, opening: str, opened_at: int, found: list[_Element]) -> None:
        line, column = self.document.position(self.tokens[self.at][1])
        self.fault_at(
            opened_at,
            f"'{opening}' is not closed before {self.found()} at {line}:{column}",
            f"a '{_CLOSING[opening]}' that ends {_named(opening)}",
        )
        if opening == "(" and self.kind() == "=":
            # The word before the '=' is the name of the next option.
            self.at -= 1
            found.pop()
        elif opening == "[":
            found.clear()

    def skip_brackets(self) -> None:
        """Skip from an opening bracket past its closing one, or to a brace or the end."""
        depth = 0
        while True:
            kind = self.kind()
            if kind in (END, "{", "}"):
                return
            depth += (kind in ("(", "[")) - (kind in (")", "]"))
            self.at += 1
            if depth <= 0:
                return


def _named(opening: str) -> str:
    return "a list" if opening == "(" else "a dictionary"
