"""Regular expressions that operators and callers write: RE2's, so that every search takes linear time."""

from dataclasses import dataclass, field
from typing import Any

import re2

MAX_PATTERN = 1000

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


class PatternError(ValueError):
    """Raised when a text is no regular expression that RE2 takes; says what is wrong with it."""


@dataclass(frozen=True)
class Pattern:
    """A regular expression in RE2's syntax: that of Perl, without look-around and back-references."""

    text: str
    _compiled: Any = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Compile `text`. Raises PatternError."""
        if len(text) > MAX_PATTERN:
            raise PatternError(f"it is longer than {MAX_PATTERN} characters")
        try:
            return cls(text, re2.compile(_known(text), _OPTIONS))
        except re2.error as error:
            raise PatternError(_said(error)) from None

    def is_in(self, text: str) -> bool:
        """Whether it is found anywhere in `text`."""
        return self._compiled.search(_known(text)) is not None

    def is_all_of(self, text: str) -> bool:
        """Whether it fits `text` from beginning to end."""
        return self._compiled.fullmatch(_known(text)) is not None


def _known(text: str) -> str:
    """`text` as RE2 can take it: U+FFFD in place of what is no character, as in a file's name that is not UTF-8."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _said(error: Exception) -> str:
    what = error.args[0] if error.args else b"it cannot be read"
    return what.decode(errors="replace") if isinstance(what, bytes) else str(what)
