"""Keeps passwords of Redis out of sight: any user can read a command line, and any process of the same user can read an
environment.

A program that finds a password there starts itself anew without it, and hands it over through memory. It imports
nothing slow, so that the password is visible only for a moment.
"""

import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Iterator

from eccmgr.redis.password import masked

HANDED_OVER = "ECCMGR_CONCEALED"
"""The environment variable that names the descriptor with the secrets of the process that started this one."""

_VARIABLE = "ECCMGR_REDIS"
_LONGEST = 64 * 1024
_BEYOND_STREAMS = 3
_secrets: dict[str, str] = {}
"""The secrets, each by the text in its place, which others can read."""


def conceal() -> None:
    """Take the passwords out of this process's command line and environment; a program does this first."""
    _secrets.update(_received())
    environment = {name: _taken(value) if name.upper() == _VARIABLE else value for name, value in os.environ.items()}
    words = [_taken_from_word(word) for word in sys.argv[1:]]
    if words == sys.argv[1:] and environment == dict(os.environ):
        return
    before = len(sys.orig_argv) - len(words)
    if sys.executable and sys.orig_argv[before:] == sys.argv[1:]:
        with handed_over() as (variable, _):
            os.execve(sys.executable, [*sys.orig_argv[:before], *words], {**environment, **variable})  # noqa: S606
    sys.argv[1:] = words
    os.environ.update(environment)


def revealed(text: str) -> str:
    """The secret for which `text` stands; `text` itself if it stands for no secret."""
    return _secrets.get(text, text)


def keep(text: str, secret: str) -> None:
    """From now on `text` stands for `secret`, here and in every process that gets the secrets."""
    _secrets[text] = secret


@contextlib.contextmanager
def handed_over() -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """The means by which a process gets the secrets: variables for its environment, and descriptors that it
    inherits."""
    if not _secrets:
        yield {}, ()
        return
    made = os.memfd_create("secrets")
    try:
        # Otherwise a closed standard stream would count as open.
        descriptor = fcntl.fcntl(made, fcntl.F_DUPFD, _BEYOND_STREAMS)
    finally:
        os.close(made)
    try:
        os.write(descriptor, json.dumps(_secrets).encode())
        yield {HANDED_OVER: str(descriptor)}, (descriptor,)
    finally:
        os.close(descriptor)


def _received() -> dict[str, str]:
    named = os.environ.pop(HANDED_OVER, "")
    with contextlib.suppress(OSError, ValueError, OverflowError):
        descriptor = int(named)
        # Not by reading on: the process that handed it over may hand the same descriptor to another one.
        data = os.pread(descriptor, _LONGEST, 0)
        os.close(descriptor)
        return dict(json.loads(data))
    return {}


def _taken_from_word(word: str) -> str:
    name, sign, value = word.partition("=")
    if word.startswith("--") and sign:
        return f"{name}={_taken(value)}"
    return _taken(word)


def _taken(text: str) -> str:
    shown = masked(text)
    if shown != text:
        _secrets[shown] = text
    return shown
