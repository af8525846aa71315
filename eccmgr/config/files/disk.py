"""The configuration's access to files: its protocols, and their implementation on the disk."""

import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

MAX_FILE_BYTES = 64 << 20
"""The size in bytes of the largest file that is read."""

NEW_FILE_MODE = 0o640
"""The mode of a new file."""


class Contents(NamedTuple):
    """All bytes of a file, and whether it is `guarded`: only root, or the user of this process, may write it. Of a
    `private` one the same holds for reading."""

    data: bytes
    guarded: bool
    private: bool = False


class Reading(Protocol):
    """The file access for loading. Every method may raise OSError."""

    def identity(self, path: str) -> str:
        """The same text for every path to one file. Writing uses this path."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder at `path`."""

    def entries(self, path: str) -> list[str] | None:
        """The names of the files in a folder, in no order; None if `path` is not a folder."""

    def read(self, path: str) -> bytes:
        """All bytes of a file."""

    def examine(self, path: str, *, plain: bool = False) -> Contents:
        """All bytes of a file, and who may write it. A `plain` file is not a symbolic link, and has one name."""


class Files(Reading, Protocol):
    """The file access for loading and writing back. Every method may raise OSError."""

    def writable(self, path: str) -> bool:
        """Whether a file, existing or not, could be replaced."""

    def replace(self, contents: Mapping[str, bytes], widest: int = 0o7777) -> None:
        """Replace the contents of files, each as a whole or not at all. Each file keeps its owner, and of its mode the
        bits in `widest`."""

    def mark(self, path: str) -> tuple[int, ...] | None:
        """A mark that tells the file at `path` from any other file and from its later versions; None if there is no
        file. A link is not followed."""

    def put(self, path: str, data: bytes, mode: int) -> None:
        """Put a file of this mode and of this process's user at `path`. It replaces whatever is there."""


class DiskFiles:
    """The files of this machine.

    A file of root, or of the user who starts this process, is guarded if nobody else may write it.
    """

    _FLAGS = 0

    def __init__(self) -> None:
        user = os.geteuid()
        self._users = frozenset({0, user})
        # The usual umask makes an ordinary user's files writable for the user's own group.
        self._groups = frozenset({0, os.getegid()}) if user else frozenset({0})

    def _check(self, status: os.stat_result) -> None:
        """Raises OSError for a file that must not be read."""

    def _is_guarded(self, status: os.stat_result) -> bool:
        return status.st_uid in self._users and not self._is_for_others(status, stat.S_IWGRP, stat.S_IWOTH)

    def _is_private(self, status: os.stat_result) -> bool:
        return status.st_uid in self._users and not self._is_for_others(status, stat.S_IRGRP, stat.S_IROTH)

    def _is_for_others(self, status: os.stat_result, of_group: int, of_others: int) -> bool:
        mode = status.st_mode
        return bool(mode & of_others or (mode & of_group and status.st_gid not in self._groups))

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
        """All bytes of a regular file."""
        return self.examine(path).data

    def examine(self, path: str, *, plain: bool = False) -> Contents:
        """All bytes of a regular file, and who may write it; pipes and devices, which might never end, are refused."""
        flags = self._FLAGS | (os.O_NOFOLLOW if plain else 0)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
        try:
            status = os.fstat(descriptor)
            self._check(status)
            if not stat.S_ISREG(status.st_mode):
                raise OSError("not a regular file")
            if plain and status.st_nlink > 1:
                raise OSError("a file with more than one name (hard links)")
            if status.st_size > MAX_FILE_BYTES:
                raise OSError(f"larger than {MAX_FILE_BYTES} bytes")
            with open(descriptor, "rb", closefd=False) as file:
                return Contents(file.read(MAX_FILE_BYTES), self._is_guarded(status), self._is_private(status))
        finally:
            os.close(descriptor)

    def writable(self, path: str) -> bool:
        """Whether a file, existing or not, could be replaced: its folder must be writable too."""
        target = Path(self.identity(path))
        return os.access(target.parent, os.W_OK) and (not target.exists() or os.access(target, os.W_OK))

    def replace(self, contents: Mapping[str, bytes], widest: int = 0o7777) -> None:
        """Replace the contents of files, by identity: write temporary files, and rename them once all are safely on
        the disk. A link that took the place of a file meanwhile is not followed.

        After a crash each file is either old or new. At worst a temporary file remains. Its name begins with a dot, so
        no include of a folder reads it. A failure before the first rename changes nothing.
        """
        prepared: dict[str, str] = {}
        try:
            for target, data in contents.items():
                prepared[target] = _temporary_copy(target, data, widest)
            for target in list(prepared):
                os.replace(prepared[target], target)  # noqa: PTH105
                del prepared[target]
        finally:
            for temporary in prepared.values():
                with suppress(OSError):
                    os.unlink(temporary)  # noqa: PTH108
        for folder in {os.path.dirname(target) for target in contents}:  # noqa: PTH120
            _sync_folder(folder)

    def mark(self, path: str) -> tuple[int, ...] | None:
        """The numbers of the file at `path`, and the time of its last change. A link is not followed."""
        try:
            status = os.stat(path, follow_symlinks=False)  # noqa: PTH116
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino, status.st_ctime_ns

    def put(self, path: str, data: bytes, mode: int) -> None:
        """Put a file at `path` by a rename, which follows no link. The new file has the owner of this process."""
        folder = os.path.dirname(path)  # noqa: PTH120
        descriptor, temporary = tempfile.mkstemp(prefix=".new.", suffix=".tmp", dir=folder)
        with _removed_after_failure(temporary):
            with open(descriptor, "wb") as file:
                os.fchmod(descriptor, mode)
                _flush(file, data)
            os.replace(temporary, path)  # noqa: PTH105
        _sync_folder(folder)


class RootsFiles(DiskFiles):
    """The files of this machine that only root may write and that are not behind a symbolic link."""

    _FLAGS = os.O_NOFOLLOW

    def _check(self, status: os.stat_result) -> None:
        """Root's own group may write too."""
        mode = status.st_mode
        if status.st_uid != 0 or mode & stat.S_IWOTH or (mode & stat.S_IWGRP and status.st_gid != 0):
            raise OSError("others than root may write it, and it decides whom root becomes")


def _temporary_copy(target: str, data: bytes, widest: int) -> str:
    folder, name = os.path.split(target)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    with _removed_after_failure(temporary), open(descriptor, "wb") as file:
        _keep_mode_and_owner(descriptor, target, widest)
        _flush(file, data)
    return temporary


@contextmanager
def _removed_after_failure(temporary: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def _flush(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _keep_mode_and_owner(descriptor: int, target: str, widest: int) -> None:
    old = None
    with suppress(FileNotFoundError):
        old = os.stat(target, follow_symlinks=False)  # noqa: PTH116
    if old is None or not stat.S_ISREG(old.st_mode):
        os.fchmod(descriptor, NEW_FILE_MODE)
        return
    mine = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (mine.st_uid, mine.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    # After the change of owner, which takes the set-id bits away.
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode) & widest)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Snapshot:
    """The files as they were at their first read: a second read returns the same.

    For reading only. A `Snapshot` can pretend new contents, to find the configuration that they would make.
    """

    def __init__(self, files: Reading) -> None:
        self._files = files
        self._identities: dict[str, str] = {}
        self._exists: dict[str, bool] = {}
        self._entries: dict[str, list[str] | None] = {}
        self._contents: dict[str, Contents] = {}

    def pretending(self, contents: Mapping[str, bytes]) -> "Snapshot":
        """A snapshot of the same files, with the new `contents` of some of them (by identity)."""
        other = Snapshot(self._files)
        other._identities = dict(self._identities)
        other._entries = dict(self._entries)
        other._contents = dict(self._contents)
        for path, data in contents.items():
            # When we write a file, the users who may write it stay the same.
            other._contents[path] = Contents(data, self._contents[path].guarded if path in self._contents else True)
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
        return self.examine(path).data

    def examine(self, path: str, *, plain: bool = False) -> Contents:
        """The contents of a file at the time of the snapshot, and who could write it then."""
        identity = self.identity(path)
        if identity not in self._contents:
            self._contents[identity] = self._files.examine(path, plain=plain)
        return self._contents[identity]
