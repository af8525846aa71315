"""Why a listener carries out no command of a caller; on the wire the text is all that tells which it is."""

import enum


class Barred(enum.StrEnum):
    """What is answered to every command."""

    UNKNOWN_CALLER = "Authentication required"
    """The caller has not said who he is."""
    NO_ROLES = "Not Authorized for this command"
    """Nobody has a role that allows it."""
