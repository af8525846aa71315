"""The password of the user who signs in: from a file, else asked for at the terminal."""

import errno
import getpass
import os
import warnings
from pathlib import Path

from eccmgr.errors import SignInFailed
from eccmgr.text.unseen import visible_line


def ask_password(user: str, file: str | None) -> str:
    """The password of `user`: the first line of `file`, else what is typed at the terminal. Raises SignInFailed."""
    if file:
        try:
            with Path(file).open() as lines:
                if os.fstat(lines.fileno()).st_mode & 0o077:
                    raise SignInFailed(f"{file} can be read by others; it must be 0400 or 0600")
                return lines.readline().rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SignInFailed(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        return typed_password(f"Password of {visible_line(user)}: ")
    except (EOFError, OSError):
        raise SignInFailed("There is no terminal to ask for the password; set ECCMGR_PASSWORD_FILE") from None


def typed_password(question: str) -> str:
    """What is typed at the terminal, which does not show it.

    Raises OSError if there is no terminal that can hide it, and EOFError at the end of its input.
    """
    try:
        with warnings.catch_warnings():
            # Otherwise it would warn, show what is typed, and take a line of the commands for the password.
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(question)
    except getpass.GetPassWarning:
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY)) from None
