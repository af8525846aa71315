"""Finds the daemons of this host by the sockets on which they listen, so that a user need not name them."""

import contextlib
import ipaddress
import os
import re
import socket
import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from eccmgr.control import frames
from eccmgr.control.endpoint import Endpoint
from eccmgr.control.peer import credentials
from eccmgr.control.socket_trust import SERVER_USER, trusted_users

PROGRAMS = ("eccmgr", "ecnode")
_MODULES = tuple(f"cli.{program}" for program in PROGRAMS)
_WORDS = 10
"""A node that gave up root's rights runs as a module of an isolated Python, behind at most so many words."""
_USUAL = re.compile(r"/run/eccmgr/|/tmp/(2025|ecnode-[^/]+)\Z")
_UNIX_LISTENS = 0x10000  # __SO_ACCEPTCON
_TCP_LISTENS = "0A"  # TCP_LISTEN
_CONNECT_S = 1.0


class Nearby(NamedTuple):
    """A daemon's program and the endpoint on which it listens."""

    program: str
    endpoint: Endpoint


def is_usual(path: str) -> bool:
    """Whether daemons listen at this path by default."""
    return _USUAL.match(path) is not None


def may_be_tried(path: str) -> bool:
    """Whether connecting has no other effect: under systemd, it may start the service of the socket."""
    return is_usual(path) or Path("/proc/1/comm").read_text() != "systemd\n"


def nearby(wanted: Callable[[str], bool] = may_be_tried, server_user: str = SERVER_USER) -> list[Nearby]:
    """The daemons that this process can see: those at `wanted` paths first, whoever runs them, then those on TCP.

    On TCP they are those of the users whom a console trusts: root, this user and `server_user`.
    """
    seen = dict(_on_unix(wanted))
    return [*seen, *_on_tcp(trusted_users(server_user), frozenset(seen.values()))]


def _on_unix(wanted: Callable[[str], bool]) -> Iterator[tuple[Nearby, int]]:
    """The programs of ours that answer at the paths of listening sockets, each with its process."""
    for path in sorted(set(_paths())):
        if wanted(path):
            pid = _process_at(path)
            if pid and (program := _program(pid)):
                yield Nearby(program, Endpoint(path=path)), pid


def _paths() -> Iterator[str]:
    for line in Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()[1:]:
        _, _, _, flags, _, _, _, *path = line.split(None, 7)
        if int(flags, 16) & _UNIX_LISTENS and path and path[0].startswith("/"):
            yield path[0]


def _process_at(path: str) -> int:
    """The process that listens at a path; 0 if none answers."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_CONNECT_S)
        connection.connect(path)
        return credentials(connection).pid
    return 0


def _on_tcp(trusted: Collection[int], seen: Collection[int]) -> Iterator[Nearby]:
    """The listening sockets among the descriptors of our programs. The processes that are `seen` have others too."""
    listening = dict(_tcp_sockets())
    closed: list[tuple[str, int]] = []
    for entry in _processes():
        program, uid = _program(int(entry.name)), _user(entry)
        if not program or uid not in trusted:
            continue
        held = _descriptors(entry / "fd")
        if held is not None:
            names = sorted(listening.keys() & held)
            found = [Nearby(program, listening.pop(name).endpoint) for name in names]
            yield from _for_consoles(found, has_others=int(entry.name) in seen)
        elif os.geteuid() in (0, uid):
            closed.append((program, uid))
    if closed and listening:
        # Any program may hold these, also one of another container: only an answer tells whose they are.
        yield from (
            daemon for daemon in _of_closed(closed, listening) if _may_be_control(daemon.endpoint, silent=False)
        )


def _for_consoles(found: Sequence[Nearby], *, has_others: bool) -> Iterator[Nearby]:
    """Those of one process's sockets that speak the control protocol: it may serve metrics or pages too."""
    for daemon in found:
        if (len(found) == 1 and not has_others) or _may_be_control(daemon.endpoint):
            yield daemon


def _may_be_control(endpoint: Endpoint, *, silent: bool = True) -> bool:
    """Whether a listener answers a command by a frame; `silent` is the verdict on one that does not answer at all.

    A daemon that was stopped is silent, and is to be found as well.
    """
    try:
        with socket.create_connection((endpoint.host, endpoint.port), _CONNECT_S) as asked:
            asked.sendall(frames.encode_text("version"))
            # A frame begins with its type, a small number; HTTP and TLS begin otherwise, or end the connection.
            return asked.recv(1) == b"\0"
    except ConnectionResetError:
        return False
    except OSError:
        return silent


def _of_closed(closed: Sequence[tuple[str, int]], listening: "dict[str, TcpSocket]") -> Iterator[Nearby]:
    """The sockets of programs that keep a password. Only root may see the descriptors of such a program, so these are
    the sockets of its user that no other process holds."""
    users = {uid for _, uid in closed}
    for entry in _processes():
        if _user(entry) in users:
            for name in listening.keys() & (_descriptors(entry / "fd") or set()):
                del listening[name]
    for listened in listening.values():
        program = next((program for program, uid in closed if uid == listened.uid), "")
        if program:
            yield Nearby(program, listened.endpoint)


def _processes() -> Iterator[Path]:
    return (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _user(entry: Path) -> int:
    """The user of a process, who need not be the owner of its entry; -1 if it has ended."""
    with contextlib.suppress(OSError, ValueError):
        line = next(line for line in (entry / "status").read_text().splitlines() if line.startswith("Uid:"))
        return int(line.split()[2])
    return -1


def _descriptors(folder: Path) -> set[str] | None:
    """The targets of a process's descriptors, except those that it closes meanwhile; None if they may not be seen."""
    targets: set[str] = set()
    try:
        for entry in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                targets.add(str(entry.readlink()))
    except PermissionError:
        return None
    except OSError:
        return set()
    return targets


class TcpSocket(NamedTuple):
    """A listening socket: its endpoint, and the user who made it."""

    endpoint: Endpoint
    uid: int


def _tcp_sockets() -> Iterator[tuple[str, TcpSocket]]:
    """Each listening TCP socket, by the name that its descriptors have."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(table).read_text().splitlines()[1:]:
                _, local, _, state, _, _, _, uid, _, inode, *_ = line.split()
                if state == _TCP_LISTENS:
                    address, _, port = local.partition(":")
                    yield f"socket:[{inode}]", TcpSocket(Endpoint(host=_address(address), port=int(port, 16)), int(uid))


def _address(text: str) -> str:
    """Read an address as the kernel shows it: in words in the byte order of this machine."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    return str(ipaddress.ip_address(struct.pack(f"={len(words)}I", *words)))


def _program(pid: int) -> str:
    """The name of our program that a process runs, as this process sees it; '' if it runs another one."""
    with contextlib.suppress(OSError):
        words = [os.fsdecode(word) for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:_WORDS]]
        names = [Path(word).name for word in words[:4]] + [
            word.removeprefix("cli.") for word in words if word in _MODULES
        ]
        return next((name for name in names if name in PROGRAMS), "")
    return ""
