"""Opens files by a path on which nobody but root and this user can have put a link or another file.

A user who may write in a folder on the way can put a symbolic link, a hard link, a pipe or another file in the place of
a file that a program of ours writes, perhaps as root. So this opens each folder on the way from the one before it, and
examines everything that it opens by its descriptor. It imports little, because consoles use it too.
"""

import errno
import os
import pwd
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

FOLDER_MODE = 0o755
"""The mode of a folder that is made for our files, less the umask."""

_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_LINKS_MAX = 40
_TRIES = 8
_HARMLESS = {os.makedev(1, 3): "/dev/null", os.makedev(1, 7): "/dev/full"}
"""The devices to which a log may be written, also over a link."""


@dataclass
class OpenFolder:
    """An open folder, and the risks on the way to it. Close it after use."""

    descriptor: int
    """A descriptor for use as `dir_fd`; it cannot be read."""
    path: Path
    risk: str
    """The reason why another user could put another folder in its place; '' if no user can."""
    others_write: bool
    """Whether another user may write in the folder or on the way to it. Then an entry of it may be anybody's."""

    def __enter__(self) -> "OpenFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def look_at(self, name: str) -> int:
        """A descriptor of an entry, a link included, that can only be looked at. Raises OSError."""
        return os.open(name, _LOOK, dir_fd=self.descriptor)

    def status(self, name: str) -> os.stat_result:
        """The status of an entry, a link included. Raises OSError."""
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)


def user_name(uid: int) -> str:
    """The name of a user, or `uid N`."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def find_folder(path: Path, trusted: Collection[int] | None = None) -> OpenFolder:
    """Open a folder by its path, following no link of a stranger's; its `risk` says whether a stranger could move it.

    Strangers are all users but those in `trusted`; by default these are root and this user. Raises OSError.
    """
    return _Walk(path, trusted).go()


def open_folder(path: Path, made: list[Path] | None = None, folder_mode: int = FOLDER_MODE) -> OpenFolder:
    """Open a folder that only root and this user can move or replace.

    With `made`, missing folders are made, and added to it. Raises OSError.
    """
    folder = _Walk(path, None, made, folder_mode).go()
    if folder.risk:
        folder.close()
        raise PermissionError(errno.EPERM, folder.risk)
    return folder


@dataclass(frozen=True)
class Opened:
    """A file that was opened."""

    descriptor: int
    is_new: bool


def open_file(
    path: Path,
    flags: int,
    mode: int = 0o600,
    *,
    pipes: bool = False,
    made: list[Path] | None = None,
    folder_mode: int = FOLDER_MODE,
) -> int:
    """The descriptor of a regular file; see `open_in`. Files and folders that are made are added to `made`."""
    with open_folder(path.parent, made, folder_mode) as folder:
        opened = open_in(folder, path.name, flags, mode, pipes=pipes)
    if opened.is_new and made is not None:
        made.append(path)
    return opened.descriptor


def open_in(folder: OpenFolder, name: str, flags: int, mode: int = 0o600, *, pipes: bool = False) -> Opened:
    """Open a regular file in a folder; with `pipes` it may be a named pipe, or /dev/null or /dev/full.

    With os.O_CREAT a missing file is made. This refuses a link. In a folder where others may write, it also refuses a
    file of another user's, and a file with a second name. Raises OSError.
    """
    beginning = flags & ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC) | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    for _ in range(_TRIES):
        try:
            look = folder.look_at(name)
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
            try:
                made = os.open(name, beginning | os.O_CREAT | os.O_EXCL, mode, dir_fd=folder.descriptor)
            except FileExistsError:
                continue
            return Opened(made, True)
        try:
            seen = os.fstat(look)
            if pipes and stat.S_ISLNK(seen.st_mode) and (device := _harmless_device(name, folder)):
                return Opened(os.open(device, beginning), False)
            _check(seen, folder, pipes=pipes)
            descriptor = os.open(name, beginning, dir_fd=folder.descriptor)
        finally:
            os.close(look)
        if os.path.samestat(seen, os.fstat(descriptor)):
            if flags & os.O_TRUNC:
                os.ftruncate(descriptor, 0)
            return Opened(descriptor, False)
        os.close(descriptor)
    raise PermissionError(errno.EPERM, "somebody replaces it again and again")


def _harmless_device(name: str, folder: OpenFolder) -> str:
    """The path of the harmless device to which a link leads; '' if it leads to something else."""
    try:
        status = os.stat(name, dir_fd=folder.descriptor)
    except OSError:
        return ""
    return _HARMLESS.get(status.st_rdev, "") if stat.S_ISCHR(status.st_mode) else ""


def _check(status: os.stat_result, folder: OpenFolder, *, pipes: bool) -> None:
    """Raises OSError for a file that we should not open."""
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "it is a symbolic link")
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    may_wait = stat.S_ISFIFO(mode) or (stat.S_ISCHR(mode) and status.st_rdev in _HARMLESS)
    if not stat.S_ISREG(mode) and not (pipes and may_wait):
        raise PermissionError(errno.EPERM, "it is not a regular file")
    if not folder.others_write:
        return
    if status.st_uid not in _own():
        raise PermissionError(errno.EPERM, f"it belongs to {user_name(status.st_uid)}")
    if stat.S_ISREG(mode) and status.st_nlink > 1:
        raise PermissionError(errno.EPERM, "it has a second name (a hard link)")


def _own() -> frozenset[int]:
    """Root, this user, and the owner of `/`: in some containers that is root under another number."""
    return frozenset((0, os.geteuid(), Path("/").lstat().st_uid))


class _Walk:
    """The way to one folder, from the root of all."""

    def __init__(
        self,
        path: Path,
        trusted: Collection[int] | None,
        made: list[Path] | None = None,
        folder_mode: int = FOLDER_MODE,
    ) -> None:
        self._left = list(reversed(path.absolute().parts[1:]))
        self._path, self._made, self._mode = path, made, folder_mode
        self._trusted = _own() | frozenset(trusted or ())
        self._at, self._here = os.open("/", _LOOK | os.O_DIRECTORY), Path("/")
        self._links = 0
        self._risk, self._is_loose, self._is_shared = "", False, False

    def go(self) -> OpenFolder:
        """Raises OSError."""
        try:
            self._take_note(os.fstat(self._at))
            while self._left:
                self._step(self._left.pop())
        except BaseException:
            os.close(self._at)
            raise
        return OpenFolder(self._at, self._path, self._risk, bool(self._risk) or self._is_loose or self._is_shared)

    def _step(self, name: str) -> None:
        try:
            entry = os.open(name, _LOOK, dir_fd=self._at)
        except FileNotFoundError:
            if self._made is None:
                raise
            if self._risk:
                raise PermissionError(errno.EPERM, self._risk) from None
            os.mkdir(name, self._mode, dir_fd=self._at)
            self._made.append(self._here / name)
            entry = os.open(name, _LOOK, dir_fd=self._at)
        try:
            status = os.fstat(entry)
            if stat.S_ISLNK(status.st_mode):
                self._follow(name, entry, status)
                return
            if not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, f"{self._here / name} is not a folder")
            self._at, entry = entry, self._at
            self._here = self._here.parent if name == ".." else self._here / name
            self._take_note(status)
        finally:
            os.close(entry)

    def _follow(self, name: str, link: int, status: os.stat_result) -> None:
        self._links += 1
        if self._links > _LINKS_MAX:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if status.st_uid not in self._trusted:
            raise PermissionError(errno.EPERM, f"{self._here / name} is a link of {user_name(status.st_uid)}'s")
        if self._is_shared and status.st_nlink > 1:
            raise PermissionError(errno.EPERM, f"{self._here / name} is a link with a second name")
        target = os.readlink("", dir_fd=link)
        self._left += reversed(Path(target).parts[1:] if target.startswith("/") else Path(target).parts)
        if target.startswith("/"):
            root = os.open("/", _LOOK | os.O_DIRECTORY)
            os.close(self._at)
            self._at, self._here = root, Path("/")

    def _take_note(self, status: os.stat_result) -> None:
        """Note who may change entries of the folder that has been reached."""
        self._is_shared = bool(status.st_mode & _OTHERS_WRITE)
        # In a sticky folder no user can move the entries of another user.
        self._is_loose |= self._is_shared and not status.st_mode & stat.S_ISVTX
        if self._risk:
            return
        if status.st_uid not in self._trusted:
            self._risk = f"{self._here} belongs to {user_name(status.st_uid)}, who can replace what is in it"
        elif status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            self._risk = f"everybody can replace what is in {self._here}: it is writable for all, and not sticky"
