"""The files of one log: the one at its path, and those beside it that once stood there. All calls here block."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
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
    has_size = True
    """Whether its size is known before its end is read."""

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
    has_size = False

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
    """The files of a log: the one at its path, and those beside it. Behind a link, those beside its target too."""

    def __init__(self, path: str) -> None:
        self.path = Path(path).absolute()
        self.folders = {str(self.path.parent)}
        """The folders in which the files were at the last look."""

    def main(self) -> Seen | None:
        """The file at the path; None if there is none. Raises OSError."""
        try:
            with find_folder(self.path.parent) as folder:
                return _seen(self.path.name, os.stat(self.path.name, dir_fd=folder.descriptor))
        except FileNotFoundError:
            return None

    def siblings(self) -> list[Seen]:
        """The other files whose names begin with the name of the log or with its stem, oldest first. Raises OSError."""
        way = self._way()
        begins = tuple(begin for step in way for begin in _begins(step))
        found: dict[tuple[int, int], Seen] = {}
        for folder in dict.fromkeys(step.parent for step in way):
            besides = [step.name for step in way if step.parent == folder]
            # A file that was found by its name alone is known by that.
            prefix = "" if folder == self.path.parent else f"{folder}/"
            for name, status in _regular_files(folder):
                if name.startswith(begins) and name not in besides and status.st_size:
                    seen = _seen(prefix + name, status)
                    found.setdefault(seen.key, seen)
        return sorted(found.values(), key=lambda seen: (seen.changed_ns, seen.name))[-_SIBLINGS_MAX:]

    def open(self, name: str = "") -> LogFile:
        """Open the file at the path, or a sibling. Raises OSError, also for what is no regular file."""
        path = self.path.parent / name if name else self._way()[-1]
        with find_folder(path.parent) as folder:
            descriptor = _open(folder, path.name)
        opener = opener_of(name)
        return LogFile(descriptor, name) if opener is None else CompressedLogFile(descriptor, name, opener)

    def _way(self) -> list[Path]:
        """The path, and the target of each link on the way to the file. The last one may be missing. Raises OSError."""
        way = [self.path]
        while len(way) <= _LINKS_MAX:
            with find_folder(way[-1].parent) as folder:
                try:
                    status = folder.status(way[-1].name)
                except FileNotFoundError:
                    break
                if not stat.S_ISLNK(status.st_mode):
                    break
                # The owner of the link says which file is read.
                if status.st_uid not in (0, os.geteuid()):
                    raise PermissionError(errno.EPERM, f"it is a link of {user_name(status.st_uid)}'s")
                way.append(folder.path / os.readlink(way[-1].name, dir_fd=folder.descriptor))
        self.folders = {str(step.parent) for step in way}
        return way


def _begins(path: Path) -> tuple[str, ...]:
    """The beginnings of the names of a log's rotated files."""
    stem = path.stem or path.name
    return f"{stem}.", f"{stem}-", f"{stem}_", path.name


def _regular_files(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    with find_folder(path) as folder:
        readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder.descriptor)
        try:
            names = os.listdir(readable)  # noqa: PTH208
        finally:
            os.close(readable)
        for name in names:
            with contextlib.suppress(OSError):
                status = folder.status(name)
                if stat.S_ISREG(status.st_mode):
                    yield name, status


def _seen(name: str, status: os.stat_result) -> Seen:
    return Seen(name, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _open(folder: OpenFolder, name: str) -> int:
    """Open a regular file, over no link."""
    if not stat.S_ISREG(folder.status(name).st_mode):
        raise PermissionError(errno.EPERM, "it is not a regular file")
    descriptor = os.open(name, _READ, dir_fd=folder.descriptor)
    opened = os.fstat(descriptor)
    if not stat.S_ISREG(opened.st_mode) or (folder.others_write and opened.st_nlink > 1):
        os.close(descriptor)
        raise PermissionError(errno.EPERM, "it is not a regular file, or has a second name (a hard link)")
    return descriptor
