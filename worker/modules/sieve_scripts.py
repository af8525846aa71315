"""Sieve scripts: read from their folder only, and parsed by sievelib (RFC 5228)."""

import os
import stat
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

from worker.modules.sieve_cache import SieveScript

PARSE_S = 5.0
"""The time limit for parsing a script, in seconds."""

_FAULT_MAX = 300
_LOOKED_AT_MAX = 10_000
_EXTENSIONS_MAX = 100


class _TooCostly(Exception):
    """Raised between two tokens of a script that costs too much; the message is the script's fault."""


class NoScript(Exception):
    """Raised for every name without a readable script in the folder. The message is for the log alone.

    The caller gives the same answer for all reasons, so that it does not tell which other files exist.
    """


def parse(text: str, limit_s: float = PARSE_S) -> SieveScript:
    """Parse a script; a fault is reported with its line. Blocks for `limit_s` at most.

    The library keeps the extensions of a script in a variable of its module, so only one thread may parse at a time.
    """
    # Imported only here: most nodes never parse a script.
    from sievelib.parser import Parser

    parser = Parser()
    _bound(parser.lexer, limit_s)
    try:
        if parser.parse(text):
            commands = len(parser.result)
            # The parser drops a last command that is not finished.
            if parser.parse(f"{text}\nstop;") and len(parser.result) == commands + 1:
                return SieveScript(commands)
            return SieveScript(fault="the last command is not finished: a ';' or '}' is missing")
    except _TooCostly as error:
        return SieveScript(fault=str(error))
    except Exception as error:  # noqa: BLE001 (not every broken script is met with the parser's own error)
        return SieveScript(fault=_short(f"cannot be parsed: {type(error).__name__}: {error}"))
    return SieveScript(fault=_short(str(parser.error)))


def _bound(lexer: Any, limit_s: float) -> None:
    """Have `lexer` raise _TooCostly at a token that comes too late, or at a name too many in a `require`.

    The library compares all names of a `require` with each other, in one step.
    """
    scan, until = lexer.scan, time.monotonic() + limit_s

    def bounded(text: bytes) -> Iterator[tuple[str, bytes]]:
        required, names = False, 0
        for kind, token in scan(text):
            if kind == "identifier":
                required, names = token.lower() == b"require", 0
            names += kind == "string"
            if required and names > _EXTENSIONS_MAX:
                raise _TooCostly(f"a require has more than {_EXTENSIONS_MAX} names")
            if time.monotonic() > until:
                raise _TooCostly(f"it takes more than {limit_s:g} s to parse")
            yield kind, token

    lexer.scan = bounded


def _short(fault: str) -> str:
    """A fault quotes the script, which may be one long word."""
    return fault if len(fault) <= _FAULT_MAX else f"{fault[:_FAULT_MAX]} …"


def name_within(folder: Path, file: str) -> str:
    """The name of `file` relative to `folder`, in one spelling. Raises NoScript if it leads out of the folder.

    This looks at no file: the answer depends on the words alone.
    """
    path = PurePath(file)
    if path.is_absolute():
        if not path.is_relative_to(folder):
            raise NoScript("it is outside of the folder")
        path = path.relative_to(folder)
    if not path.parts or ".." in path.parts or "\0" in file:
        raise NoScript("it is not the name of a file in the folder")
    return str(path)


def read_within(folder: Path, name: str, longest: int) -> str | None:
    """The text of the file that `name_within` named; None if it has more than `longest` bytes.

    Raises NoScript unless it is a readable regular file that is not behind a link.
    """
    *folders, file = PurePath(name).parts
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in folders:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
                os.close(handle)
                handle = inner
            # A FIFO would block without O_NONBLOCK.
            opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=handle)
        finally:
            os.close(handle)
        with os.fdopen(opened, "rb") as script:
            if not stat.S_ISREG(os.fstat(script.fileno()).st_mode):
                raise NoScript("it is not a regular file")
            data = script.read(longest + 1)
    except (OSError, ValueError) as error:
        raise NoScript(getattr(error, "strerror", None) or str(error)) from None
    return None if len(data) > longest else data.decode("utf-8", "replace")


def scripts_in(folder: Path, most: int) -> list[str]:
    """The names of the files in `folder`, in order, at most `most`; none if the folder cannot be read."""
    try:
        return sorted(islice(_files(folder), most))
    except OSError:
        return []


def _files(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in islice(entries, _LOOKED_AT_MAX):
            if entry.name.isprintable() and entry.is_file(follow_symlinks=False):
                yield entry.name
