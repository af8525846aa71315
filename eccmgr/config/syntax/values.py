"""The values of options (text, list, dictionary), and their syntax in files."""

import re
from dataclasses import dataclass

_NEEDS_QUOTES = re.compile(r"""[\s#/"'={}\[\]()]""")
_NEEDS_ESCAPE = re.compile(r'\\(?=["\\]|\Z)|"')
_ESCAPED = re.compile(r'\\(["\\])')


@dataclass(frozen=True, slots=True)
class Text:
    """A plain value. It is `quoted` if the file has quotes around it; writing back keeps them."""

    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class ItemList:
    """A list: `( item item "item 3" )`."""

    items: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A dictionary: `[ key = value  key2 = "v" ]`, in the order written; of a repeated key the last value counts."""

    pairs: tuple[tuple[Text, Text], ...]


Value = Text | ItemList | Dictionary
Content = str | tuple[str, ...] | tuple[tuple[str, str], ...]


def content(value: Value) -> tuple[str, Content]:
    """The content of a value without its quotes: values with the same content are the same setting."""
    match value:
        case Text(text):
            return "text", text
        case ItemList(items):
            return "list", tuple(item.text for item in items)
        case Dictionary(pairs):
            return "dictionary", tuple((key.text, item.text) for key, item in pairs)


def needs_quotes(text: str, *, separated: bool = False) -> bool:
    """Whether `text` needs quotes. Within lists and dictionaries (`separated`) a comma needs them too."""
    return not text or _NEEDS_QUOTES.search(text) is not None or (separated and "," in text)


def quote(text: str) -> str:
    """`text` within quotes. A backslash is doubled only if it would otherwise begin an escape."""
    return '"' + _NEEDS_ESCAPE.sub(lambda found: "\\" + found[0], text) + '"'


def unquote(inside: str) -> str:
    r"""The text that the characters between two quotes stand for: only `\"` and `\\` are escapes."""
    return _ESCAPED.sub(r"\1", inside) if "\\" in inside else inside


def format_text(value: Text, *, separated: bool = False) -> str:
    """A plain value in the syntax of a file: with quotes if it had them or needs them."""
    return quote(value.text) if value.quoted or needs_quotes(value.text, separated=separated) else value.text


def format_value(value: Value) -> str:
    """Any value in the syntax of a file, on one line (unless a text holds a newline)."""
    match value:
        case Text():
            return format_text(value)
        case ItemList(items):
            return " ".join(("(", *(format_text(item, separated=True) for item in items), ")"))
        case Dictionary(pairs):
            inner = "  ".join(
                f"{format_text(key, separated=True)} = {format_text(item, separated=True)}" for key, item in pairs
            )
            return f"[ {inner} ]" if inner else "[ ]"


def in_style_of(value: Value, old: Value | None) -> Value:
    """`value`, quoted if the grammar needs quotes, or if the old value that it replaces was quoted throughout."""
    quoted = old is not None and _all_quoted(old)
    match value:
        case Text(text):
            return Text(text, quoted or needs_quotes(text))
        case ItemList(items):
            return ItemList(tuple(_styled(item, quoted) for item in items))
        case Dictionary(pairs):
            return Dictionary(tuple((_styled(key, False), _styled(item, quoted)) for key, item in pairs))


def _styled(item: Text, quoted: bool) -> Text:
    return Text(item.text, quoted or needs_quotes(item.text, separated=True))


def _all_quoted(value: Value) -> bool:
    match value:
        case Text(_, quoted):
            return quoted
        case ItemList(items):
            return bool(items) and all(item.quoted for item in items)
        case Dictionary(pairs):
            return bool(pairs) and all(item.quoted for _, item in pairs)
