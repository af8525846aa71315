"""Why a listener runs no command of a caller; on the wire only the text tells the reasons apart."""

import enum


class Barred(enum.StrEnum):
    """The answer to every command of a barred caller."""

    UNKNOWN_CALLER = "Authentication required"
    """The caller has not authenticated."""
    NO_ROLES = "Not Authorized for this command"
    """No role of the caller allows the command."""
