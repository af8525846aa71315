"""Endpoints of the control protocol: their text form, and how to listen on them safely."""

import contextlib
import encodings.idna  # noqa: F401  (what a look-up of names loads late, when we may have given up being root)
import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eccmgr.control.peer import credentials
from eccmgr.control.socket_trust import place_to_listen
from eccmgr.errors import ListenError, SettingsError
from eccmgr.host.safe_open import OpenFolder, find_folder, user_name
from eccmgr.text.hostport import host_port, read_host_port
from eccmgr.text.network import plain_address

DEFAULT_ENDPOINT = "/tmp/2025"  # noqa: S108  (the protocol's well-known path)
# Linux's sun_path, without its closing NUL.
_PATH_MAX = 107
_BACKLOG = 1024
_LOCK_WAIT_S = 2.0


@dataclass(frozen=True)
class Endpoint:
    """A Unix socket (`path`) or a TCP address (`host`, `port`)."""

    path: str | None = None
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> "Endpoint":
        """Parse `/path`, `./path`, `../path`, `HOST:PORT` or `[V6]:PORT`. Raises SettingsError."""
        if text.startswith(("/", "./", "../")) and "\0" not in text:
            path = str(Path(text).absolute())
            if len(os.fsencode(path)) > _PATH_MAX:
                raise SettingsError(f"Endpoint {text}: a socket's path has at most {_PATH_MAX} bytes")
            return cls(path=path)
        try:
            host, port = read_host_port(text, lowest=0)
        except ValueError as error:
            raise SettingsError(f"Endpoint '{text}' is not /PATH, HOST:PORT or [V6]:PORT: {error}") from None
        return cls(host=host, port=port)

    def __str__(self) -> str:
        return self.path if self.path is not None else host_port(self.host, self.port)


class SocketFile:
    """The file of a Unix socket that we bound, even if it is moved or another file takes its place."""

    def __init__(self, path: str, folder: OpenFolder) -> None:
        """Raises OSError."""
        self.path = path
        self.risk = folder.risk
        """The reason why another user could replace it; '' if no user can."""
        self._descriptor = folder.look_at(Path(path).name)
        status = os.fstat(self._descriptor)
        mine = stat.S_ISSOCK(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1
        if folder.others_write and not mine:
            self.close()
            raise PermissionError(errno.EPERM, "somebody has put another file in the place of our socket")

    def set_mode(self, mode: int) -> None:
        """Set the permissions of this file, and of no other. Raises OSError."""
        if self._descriptor >= 0 and stat.S_IMODE(os.fstat(self._descriptor).st_mode) != mode:
            # fchmod() does not take a descriptor that can only be looked at.
            Path(f"/proc/self/fd/{self._descriptor}").chmod(mode)

    def remove(self) -> None:
        """Remove the file, unless another file has taken its place, and let go of it."""
        if self._descriptor < 0:
            return
        # If we may no longer remove the file, it looks stale to the next start, which replaces it.
        with contextlib.suppress(OSError), find_folder(Path(self.path).parent) as folder:
            name = Path(self.path).name
            if os.path.samestat(folder.status(name), os.fstat(self._descriptor)):
                os.unlink(name, dir_fd=folder.descriptor)
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True)
class Listening:
    """A bound socket. For a Unix socket this includes its file, which we remove."""

    endpoint: Endpoint
    socket: socket.socket
    file: SocketFile | None = None

    @property
    def place(self) -> str:
        """The path of the socket's file; '' if it has none."""
        return self.file.path if self.file is not None else ""

    def unlink(self) -> None:
        """Remove the socket's file, unless another file has taken its place."""
        if self.file is not None:
            self.file.remove()

    def close(self) -> None:
        """Stop listening, and leave no file."""
        self.unlink()
        self.socket.close()


def bind(endpoint: Endpoint, mode: int = 0o660, *, beyond_loopback: bool = False) -> Listening:
    """Bind `endpoint`, so that connections queue. A Unix socket gets the permissions `mode`, and never has wider ones.

    A stale socket file is replaced. This refuses a socket on which a process listens, a symlink, any other file, a path
    over a stranger's link, and, without `beyond_loopback`, a TCP address that is not loopback. It follows a link of
    root's in /tmp, and binds the socket at the link's destination. Raises ListenError.
    """
    try:
        if endpoint.path is None:
            return _bind_tcp(endpoint, beyond_loopback)
        return _bind_unix(endpoint, place_to_listen(endpoint.path), mode)
    except OSError as error:
        raise ListenError(f"Cannot listen on {endpoint}: {error.strerror or error}") from error


def _bind_tcp(endpoint: Endpoint, beyond_loopback: bool) -> Listening:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise ListenError(f"Cannot listen on {endpoint}: {error.strerror}") from error
    except UnicodeError:
        raise ListenError(f"Cannot listen on {endpoint}: not the name of a host") from None
    if not (beyond_loopback or plain_address(str(address[0])).is_loopback):
        raise ListenError(
            f"Cannot listen on {endpoint}: without authentication only loopback addresses are allowed "
            "(Insecure = true allows others)"
        )
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(address)
        # Two processes can bind one port as long as neither listens.
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return Listening(Endpoint(host=endpoint.host, port=sock.getsockname()[1]), sock)


def _bind_unix(endpoint: Endpoint, path: str, mode: int) -> Listening:
    with find_folder(Path(path).parent) as folder, _locked(folder):
        _clear_stale(path, folder)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            # Linux makes the file with the mode of the unbound socket, less the umask. We widen it to `mode`
            # afterwards.
            os.fchmod(sock.fileno(), mode)
            sock.bind(path)
            # To another start, a socket that is bound and does not listen would look stale.
            sock.listen(_BACKLOG)
            file = SocketFile(path, folder)
            try:
                file.set_mode(mode)
            except OSError:
                file.close()
                raise
            return Listening(endpoint, sock, file)
        except OSError:
            sock.close()
            raise


@contextlib.contextmanager
def _locked(folder: OpenFolder) -> Iterator[None]:
    """Lock a folder: if two daemons start at once, neither may take the other's fresh socket file for a stale one and
    remove it.

    Anybody may lock a folder that all share, so a folder that stays locked delays us but does not stop us.
    """
    handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder.descriptor)
    try:
        deadline = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(0.01)
                    continue
            break
        yield
    finally:
        os.close(handle)


def _clear_stale(path: str, folder: OpenFolder) -> None:
    name = Path(path).name
    try:
        status = folder.status(name)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        kind = "a symlink" if stat.S_ISLNK(status.st_mode) else "not a socket"
        raise ListenError(f"Cannot listen on {path}: the path is {kind}; remove it first")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            _remove_stale(path, folder, status)
            return
        except PermissionError:
            raise ListenError(f"Cannot listen on {path}: {user_name(status.st_uid)} has a socket there") from None
        except FileNotFoundError:
            return
        except (TimeoutError, BlockingIOError):
            # The queue of the socket is full, so a process listens on it.
            raise ListenError(f"{path} is in use{_by(status.st_uid)}") from None
        holder = credentials(probe)
    # A process in another container has no process id here.
    pid = f"pid {holder.pid}" if holder.pid else "a process of another container"
    raise ListenError(f"{path} is in use by {pid}{_by(holder.uid)}")


def _remove_stale(path: str, folder: OpenFolder, found: os.stat_result) -> None:
    try:
        os.unlink(Path(path).name, dir_fd=folder.descriptor)
    except PermissionError:
        raise ListenError(
            f"Cannot listen on {path}: {user_name(found.st_uid)} left a socket there; remove it first"
        ) from None


def _by(uid: int) -> str:
    """The user of a process that is in the way, unless it is this user."""
    return "" if uid == os.geteuid() else f", run by {user_name(uid)}"
