"""Tells which process is the manager: by a lock that it inherits, and by a record of the process that only we can
write.

The pid file is for other programs; this module does not believe it. The record is in the file of the lock. The
manager inherits a descriptor of it that can only be read, so a manager that has become another user cannot name another
process. A process that the record names is the manager only if it also began when the record says.
"""

import contextlib
import errno
import fcntl
import os
import re
import select
import signal
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eccmgr.host.safe_open import open_file, user_name

_RECORD = re.compile(rb"([1-9][0-9]{0,9}) ([0-9]{1,19})\n")
_LONGEST_RECORD = 64
_LOCK_WAIT_S, _LOOK_S = 0.5, 0.02


class Failed(Exception):
    """Raised if an action on the manager is not possible; the message says why."""


@dataclass(frozen=True)
class Recorded:
    """A process: its number, and when it began, in clock ticks since the host did."""

    pid: int
    began: int

    @classmethod
    def of(cls, pid: int) -> "Recorded":
        """A process that lives. Raises OSError."""
        # The name of the program, which may hold anything, is in parentheses.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return cls(pid, int(fields[19]))


class Held:
    """The manager's process, held so that its number cannot become another's."""

    def __init__(self, process: Recorded) -> None:
        """Raises ProcessLookupError if it has ended."""
        self.pid = process.pid
        self._descriptor = os.pidfd_open(process.pid)
        try:
            if Recorded.of(process.pid) != process:
                raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        except OSError as error:
            self.close()
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from error

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal. It may have ended already."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)

    def ends_within(self, wait_s: float) -> bool:
        """Wait for its end."""
        return bool(select.select([self._descriptor], [], [], wait_s)[0])


class ProcessRecord:
    """The lock and the record that belong to a pid file."""

    def __init__(self, pid_file: Path) -> None:
        self.pid_file = pid_file.absolute()
        self.path = self.pid_file.with_name(self.pid_file.name + ".lock")

    def running(self) -> Held | None:
        """The manager; None if it does not run. Raises Failed if it is not certain which process it is."""
        try:
            lock = opened(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            if _is_taken(lock):
                return None
            match = _RECORD.fullmatch(os.pread(lock, _LONGEST_RECORD, 0))
        finally:
            os.close(lock)
        if match is None:
            raise Failed(f"{self.path} is locked but names no process: a manager may be starting; nothing was done")
        process = Recorded(int(match[1]), int(match[2]))
        try:
            return Held(process)
        except ProcessLookupError:
            raise Failed(
                f"{self.path} is locked, but not by the process that it names (pid {process.pid}), which has ended; "
                "nothing was done"
            ) from None

    @contextlib.contextmanager
    def taken(self) -> Iterator[int | None]:
        """Take the lock; yields the descriptor that holds it, which cannot be written, or None if another has it."""
        os.close(opened(self.path, os.O_WRONLY | os.O_CREAT, 0o600))
        lock = opened(self.path, os.O_RDONLY)
        try:
            # A caller that only asks whether the manager runs has the lock for a moment.
            until = time.monotonic() + _LOCK_WAIT_S
            while not (is_ours := _is_taken(lock)) and time.monotonic() < until:
                time.sleep(_LOOK_S)
            if is_ours:
                _write(self.path, b"", 0o600)
            yield lock if is_ours else None
        finally:
            os.close(lock)

    def write(self, pid: int) -> None:
        """Record that this process, which inherits the lock, is the manager. Raises Failed and OSError."""
        process = Recorded.of(pid)
        _write(self.path, b"%d %d\n" % (process.pid, process.began), 0o600)
        _write(self.pid_file, b"%d\n" % pid, 0o644)


def opened(path: Path, flags: int, mode: int = 0) -> int:
    """Open a file of this user's or root's, in a folder of theirs; with os.O_CREAT missing folders are made with it.

    Raises Failed, and FileNotFoundError for a missing file that must exist.
    """
    makes = bool(flags & os.O_CREAT)
    try:
        descriptor = open_file(path, flags, mode, made=[] if makes else None)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not makes:
            raise
        raise Failed(f"{path} cannot be opened: {error.strerror}") from None
    status = os.fstat(descriptor)
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        os.close(descriptor)
        raise Failed(f"{path} cannot be used: others than {user_name(os.geteuid())} may write it; remove it first")
    return descriptor


def _is_taken(lock: int) -> bool:
    """Whether the lock was free; if so, it is ours until the descriptor and its heirs are closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, data: bytes, mode: int) -> None:
    descriptor = opened(path, os.O_WRONLY | os.O_CREAT, mode)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
