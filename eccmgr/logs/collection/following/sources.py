"""The files of one log: the one at its path, and those beside it that once stood there. All calls here block."""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from eccmgr.host.safe_open import OpenFolder, find_folder, user_name
from eccmgr.logs.collection.following.compressed import Opener, opener_of

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
_LINKS_MAX = 8
_SIBLINGS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was seen in its folder."""

    name: str
    device: int
    inode: int
    size: int
    changed_ns: int
    """When its bytes last changed."""

    @property
    def key(self) -> tuple[int, int]:
        """Its device and inode."""
        return self.device, self.inode


class LogFile:
    """An open file of a log. Its bytes stay readable after its name is gone."""

    is_whole = False
    """Whether nothing is added to it any more."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor, self.name = descriptor, name
        status = os.fstat(descriptor)
        self.key = status.st_dev, status.st_ino

    def size(self) -> int:
        """Its present size."""
        return os.fstat(self._descriptor).st_size

    def status(self) -> os.stat_result:
        """Its present status."""
        return os.fstat(self._descriptor)

    def read(self, size: int, offset: int) -> bytes:
        """Up to `size` bytes from `offset` on. Raises OSError."""
        return os.pread(self._descriptor, size, offset)

    def copy(self) -> "LogFile":
        """The same file, opened once more."""
        return LogFile(os.dup(self._descriptor), self.name)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


class CompressedLogFile(LogFile):
    """A file that was compressed after it was rotated; its bytes are those before the compression."""

    is_whole = True

    def __init__(self, descriptor: int, name: str, opener: Opener) -> None:
        super().__init__(descriptor, name)
        self._opener = opener
        self._reader = opener(os.dup(descriptor))

    def size(self) -> int:
        """Unknown before the end is read, so as large as any place in it."""
        return 1 << 60

    def read(self, size: int, offset: int) -> bytes:
        """Up to `size` bytes from `offset` on. Raises OSError."""
        return self._reader.read(size, offset)

    def copy(self) -> "LogFile":
        """The same file, opened once more."""
        return CompressedLogFile(os.dup(self._descriptor), self.name, self._opener)

    def close(self) -> None:
        """Close it."""
        self._reader.close()
        super().close()


class LogFolder:
    """The folder of a log, and the files of the log in it."""

    def __init__(self, path: str) -> None:
        self.path = Path(path).absolute()

    def main(self) -> Seen | None:
        """The file at the path; None if there is none. Raises OSError."""
        try:
            with self._folder() as folder:
                return _seen(self.path.name, os.stat(self.path.name, dir_fd=folder.descriptor))
        except FileNotFoundError:
            return None

    def siblings(self) -> list[Seen]:
        """The other files whose names begin with the name of the log or with its stem, oldest first. Raises OSError."""
        stem = self.path.stem or self.path.name
        found = []
        with find_folder(self.path.parent) as folder:
            readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder.descriptor)
            try:
                names = os.listdir(readable)  # noqa: PTH208
            finally:
                os.close(readable)
            for name in names:
                if name == self.path.name or not name.startswith((f"{stem}.", f"{stem}-", f"{stem}_", self.path.name)):
                    continue
                try:
                    status = folder.status(name)
                except OSError:
                    continue
                if stat.S_ISREG(status.st_mode) and status.st_size:
                    found.append(_seen(name, status))
        return sorted(found, key=lambda seen: (seen.changed_ns, seen.name))[-_SIBLINGS_MAX:]

    def open(self, name: str = "") -> LogFile:
        """Open the file at the path, or a sibling. Raises OSError, also for what is no regular file."""
        with self._folder() as folder:
            descriptor = _open(folder, name or self.path.name, links=not name)
        opener = opener_of(name)
        return LogFile(descriptor, name) if opener is None else CompressedLogFile(descriptor, name, opener)

    def _folder(self) -> OpenFolder:
        return find_folder(self.path.parent)


def _seen(name: str, status: os.stat_result) -> Seen:
    return Seen(name, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _open(folder: OpenFolder, name: str, *, links: bool) -> int:
    """Open a regular file, over links only if their owner may say which file is read."""
    for _ in range(_LINKS_MAX):
        status = folder.status(name)
        if not stat.S_ISLNK(status.st_mode):
            break
        if not links or status.st_uid not in (0, os.geteuid()):
            raise PermissionError(errno.EPERM, f"it is a link of {user_name(status.st_uid)}'s")
        target = Path(os.readlink(name, dir_fd=folder.descriptor))
        with find_folder(folder.path / target.parent) as behind:
            return _open(behind, target.name, links=True)
    if not stat.S_ISREG(status.st_mode):
        raise PermissionError(errno.EPERM, "it is not a regular file")
    descriptor = os.open(name, _READ, dir_fd=folder.descriptor)
    opened = os.fstat(descriptor)
    if not stat.S_ISREG(opened.st_mode) or (folder.others_write and opened.st_nlink > 1):
        os.close(descriptor)
        raise PermissionError(errno.EPERM, "it is not a regular file, or has a second name (a hard link)")
    return descriptor
