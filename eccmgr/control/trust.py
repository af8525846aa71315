"""Trust in a socket's path in a folder where everybody may write, such as /tmp: who may serve behind it.

Root can leave a link there to a folder where only the daemons may write. Nobody else can remove the link, because /tmp
is sticky. A daemon that is told to listen at the link listens at its destination, and consoles are led there.
"""

import os
import pwd
import socket
import stat
from collections.abc import Collection
from pathlib import Path

from eccmgr.control.peer import credentials
from eccmgr.errors import ListenError, NoConnection

SERVER_USER = "eccmgr"
"""The user whom a console trusts besides root and its own user, unless EC_CONSOLE_SERVER_USER names another."""

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def place_to_listen(path: str) -> str:
    """The path at which to bind a socket for `path`: the destination of a link of root's, else `path` itself.

    Raises ListenError if the link leads to a folder in which others than root and this user may write.
    """
    target = _link_of_root(path)
    if target is None:
        return path
    folder = Path(target).parent
    try:
        found = folder.stat()
    except OSError as error:
        raise ListenError(f"Cannot listen on {path}: it leads to {target}: {error.strerror}") from None
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & _OTHERS_WRITE:
        raise ListenError(f"Cannot listen on {path}: it leads to {target}, and other users may write in {folder}")
    return target


def connect(connection: socket.socket, path: str, server_user: str | None = SERVER_USER) -> None:
    """Connect to the socket at `path`. If others may write beside it, its server must be trusted.

    Trusted are root, this user and `server_user`; with None, anybody. Raises NoConnection for another server, and
    OSError.
    """
    if server_user is None:
        connection.connect(path)
        return
    target = _link_of_root(path) or path
    shared = Path(target).parent.stat().st_mode & _OTHERS_WRITE
    if shared and _is_foreign_link(target):
        raise NoConnection(f"Not connected to {path}: it is a link of {_name(os.lstat(target).st_uid)}'s")
    connection.connect(target)
    if not shared:
        return
    server = credentials(connection).uid
    if server not in (0, os.geteuid(), _uid(server_user)):
        raise NoConnection(
            f"Not connected to {path}: it is served by {_name(server)}, not by root, {server_user} or you. "
            f"Where that is right, set EC_CONSOLE_SERVER_USER={_name(server)}"
        )


def connect_to_one_of(connection: socket.socket, path: str, uids: Collection[int]) -> None:
    """Connect to the socket at `path`, wherever it is; its server must have one of these uids.

    Raises NoConnection for another server or somebody else's link, and OSError; BlockingIOError if the socket's queue
    is full.
    """
    target = _link_of_root(path) or path
    if _is_foreign_link(target):
        raise NoConnection(f"{path} is a link of {_name(os.lstat(target).st_uid)}'s, which is not followed")
    connection.connect(target)
    server = credentials(connection).uid
    if server not in uids:
        believed = ", ".join(_name(uid) for uid in sorted(uids))
        raise NoConnection(
            f"{path} is served by {_name(server)}, not by {believed}; where that is right, set user = {_name(server)}"
        )


def _link_of_root(path: str) -> str | None:
    """The destination of `path`, if it is a link that root made in root's sticky folder; else None."""
    try:
        found, folder = os.lstat(path), Path(path).parent.stat()
    except OSError:
        return None
    if not stat.S_ISLNK(found.st_mode) or found.st_uid != 0 or folder.st_uid != 0 or not folder.st_mode & stat.S_ISVTX:
        return None
    target = Path(path).readlink()
    return str(target) if target.is_absolute() else None


def _is_foreign_link(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISLNK(found.st_mode) and found.st_uid not in (0, os.geteuid())


def _uid(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
