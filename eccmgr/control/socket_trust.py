"""Trust in a socket whose folder is open to everybody, such as /tmp: decides which servers may stand behind its path.

Root can leave a link there to a folder where only the daemons may write. Nobody else can remove the link, because /tmp
is sticky. A daemon that is told to listen at the link listens at its destination, and consoles connect there.
"""

import os
import pwd
import socket
import stat
from collections.abc import Collection
from pathlib import Path

from eccmgr.control.peer import credentials
from eccmgr.errors import ListenError, NoConnection, UntrustedServer
from eccmgr.host.safe_open import OpenFolder, find_folder, user_name

SERVER_USER = "eccmgr"
"""The user whom a console trusts besides root and its own user, unless EC_CONSOLE_SERVER_USER names another."""


def place_to_listen(path: str) -> str:
    """The path at which to bind a socket for `path`: the destination of a link of root's, else `path` itself.

    Raises ListenError if other users than root and this user may write in the folder of the destination.
    """
    target = _link_of_root(path)
    if target is None:
        return path
    try:
        with find_folder(Path(target).parent) as folder:
            others_write = folder.others_write
    except OSError as error:
        raise ListenError(f"Cannot listen on {path}: it leads to {target}: {error.strerror}") from None
    if others_write:
        parent = Path(target).parent
        raise ListenError(f"Cannot listen on {path}: it leads to {target}, and other users may write in {parent}")
    return target


def connect(connection: socket.socket, path: str, server_user: str | None = SERVER_USER) -> None:
    """Connect to the socket at `path`. If others could have put it there, its server must be trusted.

    The trusted servers are root's, this user's and those of `server_user`; with None, everybody's. Raises
    UntrustedServer for another server, and OSError.
    """
    if server_user is None:
        connection.connect(path)
        return
    target = _link_of_root(path) or path
    trusted = trusted_users(server_user)
    with find_folder(Path(target).parent, trusted) as folder:
        others_write = folder.others_write
        if others_write:
            _check_file(path, folder, Path(target).name, trusted, server_user)
    connection.connect(target)
    server = credentials(connection).uid
    if others_write and server not in trusted:
        raise UntrustedServer(_refusal(path, server, server_user))


def trusted_users(server_user: str | None) -> frozenset[int]:
    """The users that a console trusts: root, its own user, and `server_user`."""
    named = _uid(server_user) if server_user else None
    return frozenset((0, os.geteuid())) | (frozenset() if named is None else {named})


def _check_file(path: str, folder: OpenFolder, name: str, trusted: frozenset[int], server_user: str) -> None:
    """Check the owner of the file first: a stranger's server must not even notice that a client connects."""
    status = folder.status(name)
    if status.st_uid in trusted:
        return
    if stat.S_ISLNK(status.st_mode):
        raise UntrustedServer(f"Not connected to {path}: it is a link of {user_name(status.st_uid)}'s")
    raise UntrustedServer(_refusal(path, status.st_uid, server_user))


def _refusal(path: str, uid: int, server_user: str) -> str:
    name = user_name(uid)
    return (
        f"Not connected to {path}: it is served by {name}, not by root, {server_user} or you. "
        f"Where that is right, set EC_CONSOLE_SERVER_USER={uid if ' ' in name else name}"
    )


def connect_to_one_of(connection: socket.socket, path: str, uids: Collection[int]) -> None:
    """Connect to the socket at `path`, in any folder. Its server must have one of these uids.

    Raises NoConnection for another server or a stranger's link. Raises OSError, and BlockingIOError if the socket's
    queue is full.
    """
    target = _link_of_root(path) or path
    with find_folder(Path(target).parent, uids) as folder:
        status = folder.status(Path(target).name)
    if stat.S_ISLNK(status.st_mode) and status.st_uid not in (0, os.geteuid()):
        raise NoConnection(f"{path} is a link of {user_name(status.st_uid)}'s, which is not followed")
    connection.connect(target)
    server = credentials(connection).uid
    if server not in uids:
        believed, name = ", ".join(map(user_name, sorted(uids))), user_name(server)
        raise NoConnection(f"{path} is served by {name}, not by {believed}; where that is right, set user = {name}")


def _link_of_root(path: str) -> str | None:
    """The destination of `path`, if it is a link that root made in root's sticky folder; else None."""
    try:
        status, folder = os.lstat(path), Path(path).parent.stat()
    except OSError:
        return None
    if (
        not stat.S_ISLNK(status.st_mode)
        or status.st_uid != 0
        or folder.st_uid != 0
        or not folder.st_mode & stat.S_ISVTX
    ):
        return None
    target = Path(path).readlink()
    return str(target) if target.is_absolute() else None


def _uid(name: str) -> int | None:
    """The number of a user; `user` may be that number itself."""
    if name.isascii() and name.isdecimal():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None
