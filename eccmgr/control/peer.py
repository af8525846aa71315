"""The process and user at the other end of a socket."""

import contextlib
import functools
import pwd
import socket
import struct
from typing import NamedTuple

ANONYMOUS = "anonymous"
_CREDENTIALS = struct.Struct("3i")


class Credentials(NamedTuple):
    """The process at the other end of a Unix socket, and its user, from the kernel."""

    pid: int
    uid: int


def credentials(connection: socket.socket) -> Credentials:
    """The process and user at the other end of a Unix socket. Raises OSError for another socket."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return Credentials(pid, uid)


def user_and_place(connection: socket.socket) -> tuple[str, str]:
    """The name of the user at the other end, and the place: `pid 4711` on this host, else the address."""
    if connection.family == socket.AF_UNIX:
        found = credentials(connection)
        return _name_of(found.uid), f"pid {found.pid}"
    with contextlib.suppress(OSError):
        return ANONYMOUS, str(connection.getpeername()[0])
    return ANONYMOUS, ""


@functools.lru_cache(maxsize=1024)
def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
