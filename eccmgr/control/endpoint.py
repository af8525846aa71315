"""Endpoints of the control protocol: their text form, and how to listen on them safely."""

import contextlib
import encodings.idna  # noqa: F401  (what a look-up of names loads late, when we may have given up being root)
import fcntl
import ipaddress
import os
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eccmgr.control.peer import credentials
from eccmgr.control.trust import place_to_listen
from eccmgr.errors import ListenError, SettingsError
from eccmgr.hostport import host_port, read_host_port

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


@dataclass(frozen=True)
class Listening:
    """A bound socket; for a Unix socket also its file, which is ours to remove."""

    endpoint: Endpoint
    socket: socket.socket
    inode: int = 0
    place: str = ""

    def unlink(self) -> None:
        """Remove the socket's file, unless another file has taken its place."""
        if self.endpoint.path is None:
            return
        # A file that we may no longer remove looks stale to the next start, which replaces it.
        with contextlib.suppress(OSError):
            path = Path(self.place)
            if path.lstat().st_ino == self.inode:
                path.unlink()

    def close(self) -> None:
        """Stop listening, and leave no file."""
        self.unlink()
        self.socket.close()


def bind(endpoint: Endpoint, mode: int = 0o660, *, beyond_loopback: bool = False) -> Listening:
    """Bind `endpoint`, so that connections queue. A Unix socket gets the permissions `mode`, and never had wider ones.

    A stale socket file is replaced. Refused are a socket on which somebody listens, a symlink, any other file, and,
    without `beyond_loopback`, a TCP address that is not loopback. A link of root's in /tmp is followed: the socket is
    bound where it leads. Raises ListenError.
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
    if not (beyond_loopback or ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback):
        raise ListenError(
            f"Cannot listen on {endpoint}: without authentication only loopback addresses are allowed "
            "(Insecure = true allows others)"
        )
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(address)
        # Two processes may bind one port as long as neither listens.
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return Listening(Endpoint(host=endpoint.host, port=sock.getsockname()[1]), sock)


def _bind_unix(endpoint: Endpoint, path: str, mode: int) -> Listening:
    with _folder_locked(Path(path).parent):
        _clear_stale(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            # Linux makes the file with the mode of the unbound socket, less the umask; we widen it to `mode`
            # afterwards.
            os.fchmod(sock.fileno(), mode)
            sock.bind(path)
            # A socket that is bound but does not listen would look stale to another start.
            sock.listen(_BACKLOG)
            Path(path).chmod(mode)
            return Listening(endpoint, sock, os.lstat(path).st_ino, path)
        except OSError:
            sock.close()
            raise


@contextlib.contextmanager
def _folder_locked(folder: Path) -> Iterator[None]:
    """Lock a folder, so that of two starts at once neither removes the fresh socket file of the other as a stale one.

    Anybody may lock a folder that all share, so a folder that stays locked delays us but does not stop us.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
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


def _clear_stale(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        kind = "a symlink" if stat.S_ISLNK(found.st_mode) else "not a socket"
        raise ListenError(f"Cannot listen on {path}: the path is {kind}; remove it first")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except FileNotFoundError:
            return
        except (TimeoutError, BlockingIOError):
            # The queue of the socket is full, so a process listens on it.
            raise ListenError(f"{path} is in use") from None
        raise ListenError(f"{path} is in use by pid {credentials(probe).pid}")
