"""Reads Sieve scripts from their folder, and parses them by sievelib (RFC 5228)."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from eccmgr.errors import CommandError
from worker.modules.sieve_cache import SieveScript


def parse(text: str) -> SieveScript:
    """Parse a script; the report of a fault names the line. Blocks; any thread may call it."""
    # Imported only here: most nodes never parse a script.
    from sievelib.parser import Parser

    parser = Parser()
    try:
        if parser.parse(text):
            commands = len(parser.result)
            # If the last command is not finished, the parser drops it without a word.
            if parser.parse(f"{text}\nstop;") and len(parser.result) == commands + 1:
                return SieveScript(commands)
            return SieveScript(fault="the last command is not finished: a ';' or '}' is missing")
    except Exception as error:  # noqa: BLE001 (not every broken script is met with the parser's own error)
        return SieveScript(fault=f"cannot be parsed: {type(error).__name__}: {error}")
    return SieveScript(fault=str(parser.error))


def read_within(folder: Path, file: str, longest: int) -> str:
    """The text of a file in `folder`. Raises CommandError if it is not a file, is elsewhere, or is too long."""
    if "\0" in file:
        raise CommandError(f"'{file[:200]}' is no file: a file's name holds no NUL")
    try:
        path = (folder / file).resolve(strict=True)
        if not path.is_relative_to(folder.resolve(strict=True)):
            raise CommandError(f"'{file[:200]}' is outside of {folder}")
        if not path.is_file():
            raise CommandError(f"'{file[:200]}' is no file")
        with path.open("rb") as opened:
            data = opened.read(longest + 1)
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CommandError(f"'{file[:200]}' in {folder} cannot be read: {reason}") from None
    if len(data) > longest:
        raise CommandError(f"'{file[:200]}' is longer than {longest} bytes (script_max_bytes)")
    return data.decode("utf-8", "replace")


def scripts_in(folder: Path, most: int) -> list[str]:
    """The names of the files in `folder`, in order, at most `most`; none if the folder cannot be read."""
    try:
        return sorted(islice(_files(folder), most))
    except OSError:
        return []


def _files(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as found:
        yield from (each.name for each in found if each.is_file())
