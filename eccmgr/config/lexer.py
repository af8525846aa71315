"""From the text of a file to its tokens, by one regular expression; white space and comments are skipped.

Own code, for speed: a megabyte with 10,000 bindings is no rare file, and `lark` took 815 ms for a tenth of that, where
this takes 15 ms. The same grammar in `lark` is what the tests hold it against.
"""

import re
from collections.abc import Callable

from eccmgr.config.lines import line_end

WORD, STRING, END = "word", "string", "end"
Token = tuple[str, int, int]
"""OptionType (WORD, STRING, END, or the bracket or sign itself), start and end offset."""

OnFault = Callable[[int, str, str], None]
"""Takes an offset, what was found there, and what was expected."""

# Possessive and atomic throughout: nothing ever backtracks, so a hostile file costs no more than its length.
# A group is repeated within an atomic one: before Python 3.11.5 a possessive quantifier behind a group takes too much.
_TOKEN = re.compile(
    r"""
    (?> (?: [ \t\r\n\f\v]++ | \#[^\r\n]*+ | /\*(?s:.*?)\*/ )* )
    (?: ([^ \t\r\n\f\v\#/"'={}\[\]()]++)
      | ("[^"\\]*+(?>(?:\\.[^"\\]*+)*)")
      | ([={}\[\]()])
      | ([/"'])
      | \Z )
    """,
    re.VERBOSE | re.DOTALL,
)
_UNQUOTED_RUN = re.compile(r"""[^ \t\r\n\f\v\#"={}\[\]()]+""")
_NAME = re.compile(r"""[^\s\#/"'={}\[\]()]+""")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufeff]")
_BYTE_ORDER_MARK = "\ufeff"
"""At the beginning of a text it is skipped, anywhere else it would be an unseen part of a name."""
RESERVED = frozenset({"include", "readonly_include"})
"""Words that begin an include and so name neither option nor scope."""


def is_name(text: str) -> bool:
    """Whether `text` can stand in a file as the name of an option or a scope."""
    return _NAME.fullmatch(text) is not None and text.lower() not in RESERVED and not control_character(text)


def control_character(text: str) -> re.Match[str] | None:
    """The first character of `text` that no configuration may hold (a file with one is no text file)."""
    return _CONTROL.search(text)


def tokens(text: str, fault: OnFault) -> list[Token]:
    """The tokens of `text`, an END last. After a fault it goes on where the next token can be told."""
    found: list[Token] = []
    at, size = (1 if text.startswith(_BYTE_ORDER_MARK) else 0), len(text)
    control = _CONTROL.search(text, at)
    if control:
        code = ord(control[0])
        fault(control.start(), f"control character 0x{code:02x} (is this a binary file?)", "text")
        return [(END, control.start(), control.start())]
    match, append = _TOKEN.match, found.append
    while True:
        hit = match(text, at)
        # The pattern always matches: every character is in one of its classes, and the end is \Z.
        assert hit is not None
        group = hit.lastindex
        start, at = hit.span(group or 0)
        if group == 1:
            append((WORD, start, at))
        elif group == 2:
            append((STRING, start, at))
        elif group == 3:
            append((text[start], start, at))
        elif group is None:
            append((END, size, size))
            return found
        else:
            at = _after_stray(text, start, found, fault)


def _after_stray(text: str, start: int, found: list[Token], fault: OnFault) -> int:
    """Reports a sign that begins no token, makes a token of what was meant, and returns where to go on."""
    sign = text[start]
    if sign == '"':
        fault(start, "a string that never ends", "a closing '\"'")
        end = line_end(text, start)
        found.append((STRING, start, end))
        return end
    if text.startswith("/*", start):
        fault(start, "a comment that never ends", "a closing '*/'")
        return len(text)
    fault(
        start,
        f"{sign!r} outside of quotes" if sign != "'" else '"\'" outside of quotes',
        "quotes around a value that holds it",
    )
    run = _UNQUOTED_RUN.match(text, start)
    end = run.end() if run else start + 1
    if found and found[-1][0] == WORD and found[-1][2] == start:
        start = found.pop()[1]
    found.append((WORD, start, end))
    return end
