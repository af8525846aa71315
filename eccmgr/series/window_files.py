"""The files of windows on a manager's disk. All calls here block, and raise OSError.

A window is written to a hidden file first. Once Redis has noted that, the file gets its name. So a manager that ends at
any moment leaves a hidden file, and whoever finds it asks Redis whether it counts.
"""

import enum
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from eccmgr.host.safe_open import open_file, open_folder
from eccmgr.series.calls import EndedWindow

_HIDDEN = re.compile(r"\.([A-Za-z0-9][A-Za-z0-9._-]{0,62})\.([0-9]{1,15})\.([0-9]{1,15})\Z")
_MODE = 0o640


class HiddenFile(NamedTuple):
    """A window that a manager has begun to write."""

    series: str
    begin_ms: int
    epoch: int

    @property
    def name(self) -> str:
        """Its name in the folder."""
        return f".{self.series}.{self.begin_ms}.{self.epoch}"

    @property
    def final(self) -> str:
        """The name that it gets: SERIES.TIMESTAMP, in seconds since 1970."""
        return f"{self.series}.{self.begin_ms // 1000}"


class HiddenFate(enum.Enum):
    """What becomes of a hidden file."""

    NAMED = "named"
    """It counts, and gets its name."""
    DROPPED = "dropped"
    """Another manager has written the window, or writes it."""
    WAITS = "waits"
    """Its manager may still write it."""


def hidden_of(window: EndedWindow) -> HiddenFile:
    """The hidden file of a window."""
    return HiddenFile(window.series, window.begin_ms, window.epoch)


def write_hidden(folder: str, hidden: HiddenFile, lines: Iterable[str]) -> None:
    """Write a window, and force it to the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    descriptor = open_file(Path(folder) / hidden.name, flags, _MODE, made=[])
    with open(descriptor, "w", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    _force_folder(folder)


def give_name(folder: str, hidden: HiddenFile) -> None:
    """Give a hidden file its name. If it is gone, another manager has done that."""
    with open_folder(Path(folder)) as opened:
        try:
            os.rename(hidden.name, hidden.final, src_dir_fd=opened.descriptor, dst_dir_fd=opened.descriptor)
        except FileNotFoundError:
            return
    _force_folder(folder)


def drop(folder: str, hidden: HiddenFile) -> None:
    """Remove a hidden file, if it is there."""
    with open_folder(Path(folder)) as opened:
        try:
            os.unlink(hidden.name, dir_fd=opened.descriptor)
        except FileNotFoundError:
            return


def hidden_files(folder: str) -> list[HiddenFile]:
    """The hidden files in a folder; none if there is no such folder."""
    try:
        names = [path.name for path in Path(folder).iterdir()]
    except FileNotFoundError:
        return []
    return [HiddenFile(found[1], int(found[2]), int(found[3])) for found in map(_HIDDEN.match, names) if found]


def fate_of(hidden: HiddenFile, window: Sequence[bytes | None], written: Sequence[bytes]) -> HiddenFate:
    """What becomes of a hidden file, by the fields `ended_begin` and `epoch` of its series' window, and by the list of
    the windows that were written."""
    for mark in written:
        begin, _, epoch = mark.partition(b" ")
        if begin == str(hidden.begin_ms).encode():
            return HiddenFate.NAMED if epoch == str(hidden.epoch).encode() else HiddenFate.DROPPED
    if window[0] == str(hidden.begin_ms).encode():
        # A manager writes this window now. If that has another epoch, it began after this one had ended.
        return HiddenFate.WAITS if window[1] == str(hidden.epoch).encode() else HiddenFate.DROPPED
    # Redis has forgotten the window, and this file alone has its counts.
    return HiddenFate.NAMED


def _force_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
