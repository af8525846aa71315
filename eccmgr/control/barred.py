"""The reasons why a listener runs no command of a caller. On the wire only the text tells them apart."""

import enum


class Barred(enum.StrEnum):
    """The answer to every command."""

    UNKNOWN_CALLER = "Authentication required"
    """The caller has not authenticated."""
