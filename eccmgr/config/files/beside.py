"""The files that a console may name: files beside the main file, which are opened without following a link."""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING

from eccmgr.config.files.busfile import BUS_FILES
from eccmgr.config.files.disk import Snapshot
from eccmgr.config.syntax.faults import Fault, FaultyConfigError
from eccmgr.config.syntax.lexer import control_character
from eccmgr.errors import CommandError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Container

    from eccmgr.config.files.disk import Reading

EXPORT_MODE = 0o600
WIDEST_MODE = 0o640
"""The widest mode of a file that a console has named and this process has written."""
_UNQUOTED = "not as the grammar or the schema has it", "a configuration; --check names the fault"


def beside(main: str | None, word: str) -> str:
    """The path that `word` names: a file in the folder of `main` whose name ends as the name of `main` does.

    So a console cannot name a key, a password or a file of another program. This looks only at the word, so the refusal
    tells nothing about the files of this host. Raises CommandError.
    """
    if main is None:
        raise CommandError("This process was started without a file (-c FILE), so there is no file to name")
    above = os.path.dirname(main)  # noqa: PTH120
    folder, ending = os.path.abspath(above), os.path.splitext(main)[1]  # noqa: PTH100, PTH122
    given, name = os.path.split(os.path.join(folder, word))
    fits = (
        not control_character(word)
        and os.path.normpath(given) in (folder, os.path.realpath(folder))
        and ".." not in word.split("/")
        and not name.startswith(".")
        and os.path.splitext(name)[1] == ending  # noqa: PTH122
    )
    if not name or not fits:
        raise CommandError(f"Not a file that a console may name, expected NAME{ending} in {folder}")
    return main if name == os.path.basename(main) else os.path.join(above, name)  # noqa: PTH119


def may_create(path: str) -> None:
    """Raises CommandError if the name of a new file would make it something other than a configuration."""
    if os.path.basename(path).lower() in BUS_FILES:  # noqa: PTH119
        raise CommandError(f"{path} would be read as a bus file, expected another name")


def snapshot_of(path: str, files: Reading) -> Snapshot:
    """A snapshot with the file that a console named. Raises ConfigError if that file is not one to read."""
    snapshot = Snapshot(files)
    try:
        if snapshot.examine(path, plain=True).guarded:
            return snapshot
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    raise ConfigError(
        f"{path} is not read, expected a file that root, or this process's user, owns and alone may write"
    )


def without_quotes(error: FaultyConfigError, main: str, files: Reading, known: Container[str]) -> FaultyConfigError:
    """The faults without quotes from files that are neither in the folder of `main` nor `known` by their identity."""
    folder = os.path.join(os.path.dirname(files.identity(main)), "")  # noqa: PTH120

    def told(fault: Fault) -> Fault:
        identity = files.identity(fault.file)
        is_ours = identity in known or identity.startswith(folder)
        return fault if is_ours else Fault(fault.file, fault.line, fault.column, *_UNQUOTED)

    return FaultyConfigError(map(told, error.faults))
