"""The journal of a node's jobs. This folder alone says what a job runs and for which user; nothing in Redis does.

A job has two files, which only their user may read: the agent's record of the job, and a mark for each time that the
job began.
"""

import contextlib
import fcntl
import hashlib
import os
import pwd
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import structlog

from eccmgr.errors import CommandError, Unreadable
from eccmgr.host.safe_open import open_file, open_folder
from worker.jobs.records import JOB_ID, KEPT_S, JobRecord
from worker.jobs.temporary import TemporaryFolder, remove_abandoned

log = structlog.get_logger()

_ID = re.compile(JOB_ID)
_BEGUN, _OVER = b".", b"!"
_MARKS_MAX = 10_000
_LONGEST = 64 * 1024 * 1024
_LASTING = re.compile(r"[0-9a-f]{16}")
"""The names of journals' folders."""
TENDED_EACH_S = 3600.0
"""The pause after which a node marks its journal as used again."""


class NotOurs(CommandError):
    """Raised for a job in Redis that this node's agent has not queued, or that may not run again."""


class JobJournal:
    """The journal in `folder`. The agent writes it, and its job workers read it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._temporary: TemporaryFolder | None = None

    @classmethod
    def of(cls, cluster: str, node: str, server: str) -> "JobJournal":
        """The journal of a node, in the host's folder for state that outlives a process. Makes no folder yet."""
        name = hashlib.sha256(f"{cluster}/{node.lower()}/{server}".encode()).hexdigest()[:16]
        return cls(next(_places()) / "jobs" / name)

    def make(self) -> None:
        """Make the folder. If that is not possible, make a temporary folder, which a later life of this node will not
        find."""
        if self._temporary is not None:
            return
        reason = "others may write there"
        try:
            open_folder(self.folder, [], 0o700).close()
            if _is_private(self.folder):
                return
        except OSError as error:
            reason = error.strerror or str(error)
        log.warning("jobs that wait are lost when this node ends", folder=str(self.folder), reason=reason)
        self._temporary = TemporaryFolder()
        self.folder = self._temporary.path

    def tend(self, now: float) -> None:
        """Mark this journal as used at `now` (Unix time), and remove the journals that no node has marked for KEPT_S,
        and the temporary ones of nodes that were killed.

        If our own mark is old, other nodes may not have marked their journals yet, because the host or its clock was
        changed. Then this removes nothing.
        """
        for folder in remove_abandoned(now):
            log.info("journal of jobs removed", folder=str(folder), reason="its node has ended")
        with contextlib.suppress(OSError):
            if self._temporary is not None or not _is_private(self.folder):
                return
            marked_at = self.folder.stat().st_mtime
            os.utime(self.folder, (now, now))
            if now - marked_at <= 2 * TENDED_EACH_S:
                self._remove_left_behind(now)

    def _remove_left_behind(self, now: float) -> None:
        for folder in self.folder.parent.iterdir():
            if _LASTING.fullmatch(folder.name) and _is_private(folder) and now - folder.lstat().st_mtime > KEPT_S:
                shutil.rmtree(folder, ignore_errors=True)
                log.info("journal of jobs removed", folder=str(folder), reason="no node has used it for a week")

    def close(self) -> None:
        """Remove the folder if it is a temporary one."""
        if self._temporary is not None:
            self._temporary.remove()

    def keep(self, record: JobRecord) -> None:
        """Write down a job, or a change of it. Raises CommandError."""
        self.make()
        unfinished = self.folder / f".{record.job}"
        try:
            with _opened(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
                _write(file, record.dump().encode())
            unfinished.replace(self._path(record.job))
        except OSError as error:
            raise CommandError(f"The journal of jobs cannot be written: {error.strerror}: {self.folder}") from error

    def forget(self, job: str) -> None:
        """The job is finished: remove its files, so that it does not run again."""
        # The marks go last: a job without them would run again.
        for path in (self._path(job), self._marks(job)):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("job stays in the journal", job=job, reason=error.strerror or str(error))
                return

    def records(self) -> list[JobRecord]:
        """The unfinished jobs."""
        try:
            names = sorted(path.name for path in self.folder.iterdir() if _ID.match(path.name))
        except FileNotFoundError:
            return []
        except OSError as error:
            log.error("unfinished jobs are not known", folder=str(self.folder), reason=error.strerror or str(error))
            return []
        unfinished = []
        for name in names:
            try:
                unfinished.append(self._read(name))
            except (NotOurs, Unreadable) as error:
                log.warning("job dropped", job=name, reason=str(error))
        return unfinished

    def begin(self, job: str) -> JobRecord:
        """Begin a job; answers its record. Raises NotOurs if it must not run, or has run as often as it may."""
        try:
            record = self._read(job)
        except Unreadable as error:
            raise NotOurs(str(error)) from error
        if record.ended_by is not None:
            raise NotOurs("it was ended before it began")
        with _opened(self._marks(job), os.O_RDWR | os.O_CREAT | os.O_APPEND) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            marks = os.read(file, _MARKS_MAX)
            if _OVER in marks or len(marks) > record.retries:
                raise NotOurs("it has run already")
            _write(file, _BEGUN)
        return record

    def over(self, job: str) -> None:
        """The job has run to its end."""
        with _opened(self._marks(job), os.O_WRONLY | os.O_CREAT | os.O_APPEND) as file:
            _write(file, _OVER)

    def _read(self, job: str) -> JobRecord:
        """Read a job. Raises NotOurs and Unreadable."""
        if not _ID.match(job):
            raise NotOurs("its id is not that of a job")
        try:
            with _opened(self._path(job), os.O_RDONLY) as file, os.fdopen(os.dup(file), "rb") as text:
                record = JobRecord.parse(text.read(_LONGEST))
        except OSError as error:
            raise NotOurs("it was not queued by this node") from error
        if record.job != job:
            raise NotOurs("it was not queued by this node")
        return record

    def _path(self, job: str) -> Path:
        return self.folder / job

    def _marks(self, job: str) -> Path:
        return self.folder / f"{job}.runs"


def _places() -> Iterator[Path]:
    """The folders for state, the best first: the one that a service manager names, then the user's own."""
    if given := os.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        yield Path(given)
    if given := os.environ.get("XDG_STATE_HOME", ""):
        yield Path(given) / "eccmgr"
    # HOME may still be that of the user who started us.
    with contextlib.suppress(KeyError):
        yield Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".local/state/eccmgr"
    yield Path("/nonexistent")


def _is_private(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
    return mine and os.access(folder, os.W_OK | os.X_OK, effective_ids=True)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = open_file(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
