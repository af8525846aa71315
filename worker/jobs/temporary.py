"""Temporary folders for journals of jobs. One whose process was killed is removed by the next node that starts.

A process locks a file in its folder. The kernel lets the lock go when the process ends, however it ends.
"""

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

from worker.jobs.records import KEPT_S

_PREFIX = "ecnode-jobs-"
_NAME = re.compile(rf"{_PREFIX}\w+")
_LOCK, _UNLOCKED = "in.use", ".in.use"
"""The name of the file that is locked, and its name until it is locked: so nobody takes a new folder for an abandoned
one. No job has these names."""
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class TemporaryFolder:
    """A temporary folder of this process."""

    def __init__(self) -> None:
        """Makes the folder. Raises OSError."""
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        unlocked = self.path / _UNLOCKED
        self._lock = os.open(unlocked, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unlocked.rename(self.path / _LOCK)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def remove_abandoned(now: float) -> list[Path]:
    """Remove the temporary folders of this user whose processes have ended; answers their paths.

    A folder without a lock is from an older release, which marks it each hour. It goes if it was not marked for KEPT_S
    before `now` (Unix time).
    """
    removed = []
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        paths = [Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name)]
        removed = [path for path in paths if _removed(path, now)]
    return removed


def _removed(folder: Path, now: float) -> bool:
    """Remove `folder` if it is this user's own and its process has ended; answers whether that was so."""
    with contextlib.ExitStack() as closing:
        try:
            status = folder.lstat()
        except OSError:
            return False
        try:
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
                return False
            lock = os.open(folder / _LOCK, _FLAGS)
            closing.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            if now - status.st_mtime <= KEPT_S:
                return False
        except OSError:
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return True
