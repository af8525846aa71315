"""The files into which a manager writes logs. All calls here block, and raise OSError.

Each file belongs to one log alone, and bytes are written at their offsets. So a manager that writes the same bytes a
second time, or late, changes nothing.
"""

import contextlib
import os
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from eccmgr.host.safe_open import find_folder, open_file

_OPEN = os.O_RDWR | os.O_CREAT
_PROBE = 64 * 1024


@dataclass(frozen=True, slots=True)
class LogTarget:
    """The end of a log in a file: its path, the length up to there, and the device and inode."""

    path: str
    length: int
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Modes:
    """The modes of new files and folders."""

    file: int
    folder: int


class Targets:
    """The open files, at most `max_open` of them; the one that was unused longest is closed."""

    def __init__(self, max_open: int, max_idle_s: float) -> None:
        self.max_open, self.max_idle_s = max_open, max_idle_s
        self._open: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def begin(self, path: str, modes: Modes) -> LogTarget:
        """The end of the file at `path`, which is made if there is none."""
        status = os.fstat(self._descriptor(path, modes))
        return LogTarget(path, status.st_size, status.st_dev, status.st_ino)

    def restore(self, target: LogTarget, modes: Modes) -> LogTarget:
        """Cut a file back to the length up to which it is valid, even if it was moved; answers its end.

        Another file at its path is left as it is, and so is a shorter one: somebody has rotated it.
        """
        moved = self._find(target)
        if moved is None:
            return self.begin(target.path, modes)
        descriptor = open_file(moved, os.O_RDWR)
        try:
            if os.fstat(descriptor).st_size > target.length:
                os.ftruncate(descriptor, target.length)
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return self.begin(target.path, modes)

    def write(self, target: LogTarget, data: bytes, modes: Modes) -> tuple[LogTarget, LogTarget]:
        """Write `data` behind `target`; answers the target as it was found, and the new one.

        If somebody has rotated the file, the data goes to the one that has its path now.
        """
        descriptor = self._descriptor(target.path, modes)
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != (target.device, target.inode) or status.st_size < target.length:
            target = LogTarget(target.path, status.st_size, status.st_dev, status.st_ino)
        end = target.length
        try:
            view = memoryview(data)
            while view:
                written = os.pwrite(descriptor, view, end)
                end, view = end + written, view[written:]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, target.length)
            raise
        if status.st_size > end:
            os.ftruncate(descriptor, end)
        return target, replace(target, length=end)

    def probe(self, target: LogTarget, modes: Modes) -> None:
        """Find out whether a file can be written, and leave it as it was."""
        descriptor = self._descriptor(target.path, modes)
        end = os.fstat(descriptor).st_size
        try:
            os.pwrite(descriptor, bytes(_PROBE), end)
            os.fsync(descriptor)
        finally:
            os.ftruncate(descriptor, end)

    def force(self, path: str) -> None:
        """Force a file to the disk."""
        if path in self._open:
            os.fsync(self._open[path][0])

    def close_idle(self) -> None:
        """Close the files that were unused for long."""
        before = time.monotonic() - self.max_idle_s
        for path in [path for path, (_, used_s) in self._open.items() if used_s < before]:
            self._close(path)

    def close(self, paths: Iterable[str] = ()) -> None:
        """Close some files; by default all."""
        for path in list(paths) or list(self._open):
            self._close(path)

    def __len__(self) -> int:
        return len(self._open)

    def _descriptor(self, path: str, modes: Modes) -> int:
        """An open descriptor of the file that has this path now."""
        known = self._open.get(path)
        if known is not None and not _has_moved(path, known[0]):
            self._open[path] = known[0], time.monotonic()
            self._open.move_to_end(path)
            return known[0]
        self._close(path)
        made: list[Path] = []
        descriptor = open_file(Path(path), _OPEN, modes.file, made=made, folder_mode=modes.folder)
        if Path(path) in made:
            os.fchmod(descriptor, modes.file)
        self._open[path] = descriptor, time.monotonic()
        while len(self._open) > self.max_open:
            self._close(next(iter(self._open)))
        return descriptor

    def _close(self, path: str) -> None:
        if (known := self._open.pop(path, None)) is not None:
            os.close(known[0])

    def _find(self, target: LogTarget) -> Path | None:
        """The path that the file has now, in the same folder; None if it is not there."""
        path = Path(target.path)
        try:
            with find_folder(path.parent) as folder:
                names = [path.name, *sorted(os.listdir(f"/proc/self/fd/{folder.descriptor}"))]  # noqa: PTH208
                for name in names:
                    with contextlib.suppress(OSError):
                        status = folder.status(name)
                        if (status.st_dev, status.st_ino) == (target.device, target.inode):
                            return path.parent / name
        except FileNotFoundError:
            pass
        return None


def _has_moved(path: str, descriptor: int) -> bool:
    try:
        return not os.path.samestat(Path(path).stat(), os.fstat(descriptor))
    except OSError:
        return True
