"""The rights of a guardian, and the lock that makes it the only guardian of its host."""

import contextlib
import ctypes
import fcntl
import os
import resource
import select
import signal
import stat
import struct
import time
from pathlib import Path

_NET_ADMIN, _NET_RAW = 12, 13
_VERSION_3 = 0x20080522
_KEEP_CAPABILITIES, _DROP_BOUND, _NO_NEW_PRIVILEGES, _AMBIENT = 8, 24, 38, 47
_RAISE = 2
GUARDIAN_UID = 60_652
"""The guardian's own user and group. No account needs to exist: distributions give this number to nobody."""
_LOCK_NOW_AND_LATER = 3
_libc = ctypes.CDLL(None, use_errno=True)


class NotAlone(Exception):
    """Raised if another guardian of this host does not end."""


def stay_prompt() -> None:
    """Lock this process in memory and give it priority, as far as its rights allow."""
    with contextlib.suppress(OSError, ValueError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    with contextlib.suppress(OSError, ValueError):
        # Memory that is allocated after the rights are gone can be locked only under this limit; without it, allocating
        # would fail.
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        _libc.mlockall(_LOCK_NOW_AND_LATER)


def drop_rights() -> None:
    """Give up root for the guardian's own user, which owns no file. Keep CAP_NET_ADMIN and CAP_NET_RAW alone, and never
    gain any other right. A program that the guardian runs has these two as well.

    Raises OSError.
    """
    # In the end this process can gain no right, so this bound is a second wall only, and may fail.
    with contextlib.suppress(OSError):
        last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
        for each in range(last + 1):
            if each not in (_NET_ADMIN, _NET_RAW):
                _libc.prctl(_DROP_BOUND, each, 0, 0, 0)
    keep = 1 << _NET_ADMIN | 1 << _NET_RAW
    header = struct.pack("=Ii", _VERSION_3, 0)
    data = ctypes.create_string_buffer(24)
    _checked(_libc.capget(header, data))
    _, permitted, *_ = struct.unpack("=IIIIII", data.raw)
    kept = permitted & keep
    _checked(_libc.prctl(_KEEP_CAPABILITIES, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(GUARDIAN_UID, GUARDIAN_UID, GUARDIAN_UID)
    os.setresuid(GUARDIAN_UID, GUARDIAN_UID, GUARDIAN_UID)
    _checked(_libc.capset(header, struct.pack("=IIIIII", kept, kept, kept, 0, 0, 0)))
    for each in (_NET_ADMIN, _NET_RAW):
        if kept & 1 << each:
            _checked(_libc.prctl(_AMBIENT, _RAISE, each, 0, 0))
    _checked(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))


def lock_path() -> Path:
    """The path of the lock; each network namespace has its own. Root's lock is in a folder of root's own, because
    others may write in the folder where daemons listen."""
    folder = Path("/run/eccmgr-guardian") if os.geteuid() == 0 else Path.home() / ".eccmgr"
    return folder / f"guardian-{Path('/proc/self/ns/net').stat().st_ino}.lock"


def _own_folder(folder: Path) -> None:
    """Make the folder if it is missing. Raises OSError if another user could put another lock in its place."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise OSError(f"its folder must be one of uid {os.geteuid()}, in which nobody else may write")


class Alone:
    """The host's lock. This process opens it while it has the right to, and takes it when it is to serve."""

    def __init__(self, path: Path) -> None:
        """If the lock cannot be opened, `take` says so later: not every guardian takes it."""
        self._file, self._fault = -1, ""
        try:
            _own_folder(path.parent)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            self._fault = f"the lock {path} cannot be opened: {error.strerror or error}"

    def take(self, timeout_s: float = 5.0) -> None:
        """Kill the previous holder, and wait for its end. Raises NotAlone."""
        if self._fault:
            raise NotAlone(self._fault)
        until = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(BlockingIOError, PermissionError):
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            holder = self._holder()
            if holder:
                self._kill(holder, until)
            if time.monotonic() >= until:
                raise NotAlone(f"another guardian of this host does not end (pid {holder})")

    def close(self) -> None:
        """Release the lock for the next guardian."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _holder(self) -> int:
        """The process that holds the lock, as the kernel knows it; 0 if no process holds it."""
        layout = "hhqqi4x"
        asked = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(layout, fcntl.fcntl(self._file, fcntl.F_GETLK, asked))
        return 0 if kind == fcntl.F_UNLCK else int(pid)

    def _kill(self, pid: int, until: float) -> None:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            if self._holder() == pid:  # else it has ended meanwhile, and its number may be another's
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
        except OSError as error:
            raise NotAlone(f"another guardian of this host cannot be ended (pid {pid}): {error.strerror}") from None
        finally:
            os.close(descriptor)


def _checked(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
