"""The regular expressions of operators and callers. They are RE2's, so every search takes linear time."""

from dataclasses import dataclass, field
from typing import Any

import re2

MAX_PATTERN = 1000

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS_OF_ANY_CASE = re2.Options()
_OPTIONS_OF_ANY_CASE.log_errors = False
_OPTIONS_OF_ANY_CASE.case_sensitive = False


class PatternError(ValueError):
    """Raised when RE2 does not accept a regular expression; the message gives the reason."""


@dataclass(frozen=True)
class Pattern:
    """A regular expression in RE2's syntax: Perl's without look-around and back-references."""

    text: str
    _compiled: Any = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, *, ignore_case: bool = False) -> "Pattern":
        """Compile `text`. Raises PatternError."""
        if len(text) > MAX_PATTERN:
            raise PatternError(f"it is longer than {MAX_PATTERN} characters")
        try:
            return cls(text, re2.compile(_known(text), _OPTIONS_OF_ANY_CASE if ignore_case else _OPTIONS))
        except re2.error as error:
            raise PatternError(_said(error)) from None

    def is_in(self, text: str) -> bool:
        """Whether the expression matches anywhere in `text`."""
        return self._compiled.search(_known(text)) is not None

    def is_all_of(self, text: str) -> bool:
        """Whether the expression matches all of `text`."""
        return self._compiled.fullmatch(_known(text)) is not None


def _known(text: str) -> str:
    """`text` with U+FFFD in place of lone surrogates, which come from file names that are not UTF-8. RE2 rejects
    them."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _said(error: Exception) -> str:
    what = error.args[0] if error.args else b"it cannot be read"
    return what.decode(errors="replace") if isinstance(what, bytes) else str(what)
