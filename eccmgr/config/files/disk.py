"""The configuration's access to files: its protocols, and their implementation on the disk."""

import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

MAX_FILE_BYTES = 64 << 20
"""The size in bytes of the largest file that is read."""

NEW_FILE_MODE = 0o640
"""The mode of a new file."""


class Reading(Protocol):
    """The file access that loading needs; every method may raise OSError."""

    def identity(self, path: str) -> str:
        """The same text for every path to one file; it is also the path that is written."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder at `path`."""

    def entries(self, path: str) -> list[str] | None:
        """The names of the files in a folder, in no order; None if `path` is not a folder."""

    def read(self, path: str) -> bytes:
        """All bytes of a file."""


class Files(Reading, Protocol):
    """The file access that writing back needs too; every method may raise OSError."""

    def writable(self, path: str) -> bool:
        """Whether a file, existing or not, could be replaced."""

    def replace(self, contents: Mapping[str, bytes], new_file_mode: int = NEW_FILE_MODE) -> None:
        """Replace the contents of files, each of them wholly or not at all, keeping mode and owner."""


class DiskFiles:
    """The files of this machine."""

    _FLAGS = 0

    def _check(self, status: os.stat_result) -> None:
        """Raises OSError for a file that is not to be read."""

    def identity(self, path: str) -> str:
        """The path with every symbolic link followed."""
        return os.path.realpath(path)

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder at `path`."""
        return Path(path).exists()

    def entries(self, path: str) -> list[str] | None:
        """The names of the files in a folder, in no order; None if `path` is not a folder."""
        folder = Path(path)
        return [entry.name for entry in folder.iterdir() if not entry.is_dir()] if folder.is_dir() else None

    def read(self, path: str) -> bytes:
        """All bytes of a regular file; pipes and devices, which might never end, are refused."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | self._FLAGS)
        try:
            status = os.fstat(descriptor)
            self._check(status)
            if not stat.S_ISREG(status.st_mode):
                raise OSError("not a regular file")
            if status.st_size > MAX_FILE_BYTES:
                raise OSError(f"larger than {MAX_FILE_BYTES} bytes")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(MAX_FILE_BYTES)
        finally:
            os.close(descriptor)

    def writable(self, path: str) -> bool:
        """Whether a file, existing or not, could be replaced: its folder must be writable too."""
        target = Path(self.identity(path))
        return os.access(target.parent, os.W_OK) and (not target.exists() or os.access(target, os.W_OK))

    def replace(self, contents: Mapping[str, bytes], new_file_mode: int = NEW_FILE_MODE) -> None:
        """Replace the contents of files: write temporary files, and rename them once all are safely on the disk.

        After a crash each file is either old or new. At worst a temporary file remains; its name begins with a dot, so
        that no include of a folder reads it. A failure before the first rename changes nothing.
        """
        prepared: dict[str, str] = {}
        try:
            for path, data in contents.items():
                target = self.identity(path)
                prepared[target] = _temporary_copy(target, data, new_file_mode)
            for target in list(prepared):
                os.replace(prepared[target], target)  # noqa: PTH105
                del prepared[target]
        finally:
            for temporary in prepared.values():
                with suppress(OSError):
                    os.unlink(temporary)  # noqa: PTH108
        for folder in {os.path.dirname(self.identity(path)) for path in contents}:  # noqa: PTH120
            _sync_folder(folder)


class RootsFiles(DiskFiles):
    """The files of this machine that root alone may write, none of them behind a symbolic link."""

    _FLAGS = os.O_NOFOLLOW

    def _check(self, status: os.stat_result) -> None:
        """Root's own group may write too."""
        mode = status.st_mode
        if status.st_uid != 0 or mode & stat.S_IWOTH or (mode & stat.S_IWGRP and status.st_gid != 0):
            raise OSError("others than root may write it, and it decides whom root becomes")


def _temporary_copy(target: str, data: bytes, new_file_mode: int) -> str:
    folder, name = os.path.split(target)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    try:
        with open(descriptor, "wb") as file:
            _keep_mode_and_owner(descriptor, target, new_file_mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    return temporary


def _keep_mode_and_owner(descriptor: int, target: str, new_file_mode: int) -> None:
    try:
        old = os.stat(target)  # noqa: PTH116
    except FileNotFoundError:
        os.fchmod(descriptor, new_file_mode)
        return
    mine = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (mine.st_uid, mine.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    # After the change of owner, which takes the set-id bits away.
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Snapshot:
    """Files as they were when they were first read: a second read returns the same.

    For reading only. A `Snapshot` can pretend new contents, to find the configuration that they would make.
    """

    def __init__(self, files: Reading) -> None:
        self._files = files
        self._identities: dict[str, str] = {}
        self._exists: dict[str, bool] = {}
        self._entries: dict[str, list[str] | None] = {}
        self._contents: dict[str, bytes] = {}

    def pretending(self, contents: Mapping[str, bytes]) -> "Snapshot":
        """A snapshot of the same files, in which those in `contents` (by identity) have these contents."""
        other = Snapshot(self._files)
        other._identities = dict(self._identities)
        other._entries = dict(self._entries)
        other._contents = {**self._contents, **contents}
        changed = {path for path in self._exists if self.identity(path) in contents}
        other._exists = {path: exists or path in changed for path, exists in self._exists.items()}
        return other

    def identity(self, path: str) -> str:
        """The same text for every path to one file."""
        if path not in self._identities:
            self._identities[path] = self._files.identity(path)
        return self._identities[path]

    def exists(self, path: str) -> bool:
        """Whether there was a file or folder at `path`."""
        if path not in self._exists:
            self._exists[path] = self.identity(path) in self._contents or self._files.exists(path)
        return self._exists[path]

    def entries(self, path: str) -> list[str] | None:
        """The names of the files that were in a folder; None if `path` was not a folder."""
        if path not in self._entries:
            self._entries[path] = self._files.entries(path)
        return self._entries[path]

    def read(self, path: str) -> bytes:
        """All bytes of a file at the time of the snapshot."""
        identity = self.identity(path)
        if identity not in self._contents:
            self._contents[identity] = self._files.read(path)
        return self._contents[identity]
