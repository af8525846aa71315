"""Finds characters that are invisible, or that control a terminal or the order of the text, and makes them visible.

These are the control and format characters of Unicode (Cc, Cf), its line and paragraph separators, halves of
surrogate pairs, and all else that is drawn as nothing (Default_Ignorable_Code_Point), such as fillers. This module
imports the standard library only, since the guardian uses it too.
"""

import re

_RANGES = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u115f-\u1160\u17b4-\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_SELECTORS = "\ufe00-\ufe0f"
"""They choose the look of the character before them, as in many emoji: a command may have them."""
_ANY = re.compile(f"[{_RANGES}]")
_SHOWN = re.compile(f"[{_RANGES}{_SELECTORS}]")
_IN_LINES = re.compile(f"(?![\t\n])[{_RANGES}{_SELECTORS}]")
_IN_MARKUP = re.compile(f"(?![\t\n\r])[{_RANGES}{_SELECTORS}]")
_LAST_OF_C0 = 0x1F


def first_unseen(line: str) -> str:
    """The first unseen character of `line` other than a tab; empty if `line` has no such character."""
    if _is_plain(line):
        return ""
    return next((found[0] for found in _ANY.finditer(line) if found[0] != "\t"), "")


def name_of(character: str) -> str:
    """`U+202E`, as an error names an unseen character."""
    return f"U+{ord(character):04X}"


def visible_lines(text: str) -> str:
    r"""`text` with its unseen characters made visible (`^[`, `\x9b`, `\u202e`); line breaks and tabs stay."""
    return text if _is_plain(text) else _IN_LINES.sub(_caret_or_code, text)


def visible_line(text: str) -> str:
    r"""`text` as one line, with its unseen characters made visible: `\n`, `\x1b`, `\u202e`."""
    return text if _is_plain(text) else _SHOWN.sub(_code, text)


def unseen_marked(text: str) -> str:
    """`text` with U+FFFD in place of each unseen character, so that it keeps its length."""
    return text if _is_plain(text) else _SHOWN.sub("\ufffd", text)


def without_unseen(text: str) -> str:
    """`text` without its unseen characters."""
    return text if _is_plain(text) else _SHOWN.sub("", text)


def json_escaped(encoded: str) -> str:
    r"""JSON with the unseen characters of its texts as `\u…`: another spelling of the same texts."""
    return encoded if _is_plain(encoded) else _IN_MARKUP.sub(_utf16, encoded)


def xml_escaped(content: str) -> str:
    """XML with its unseen characters as `&#x…;`: another spelling of the same text."""
    return content if _is_plain(content) else _IN_MARKUP.sub(_reference, content)


def _is_plain(text: str) -> bool:
    # The fastest way to see it, and nearly every text is plain. Python calls some letters printable that are drawn as
    # nothing.
    return text.isascii() and text.isprintable()


_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _caret_or_code(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"^{chr(code + 64)}" if code <= _LAST_OF_C0 else _code(found)


def _code(found: re.Match[str]) -> str:
    character = found[0]
    return _SHORT.get(character) or character.encode("unicode_escape", "surrogatepass").decode()


def _utf16(found: re.Match[str]) -> str:
    data = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[at : at + 2].hex()}" for at in range(0, len(data), 2))


def _reference(found: re.Match[str]) -> str:
    return f"&#x{ord(found[0]):x};"
