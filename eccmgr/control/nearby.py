"""Finds the daemons of this host by the sockets on which they listen, so that a user need not name them."""

import contextlib
import ipaddress
import os
import re
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from eccmgr.control.endpoint import Endpoint
from eccmgr.control.peer import credentials

PROGRAMS = ("eccmgr", "ecnode")
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


def nearby(wanted: Callable[[str], bool] = may_be_tried) -> list[Nearby]:
    """The daemons that this process can see: those at `wanted` paths first, then those of this user on TCP."""
    return [*_on_unix(wanted), *_on_tcp()]


def _on_unix(wanted: Callable[[str], bool]) -> Iterator[Nearby]:
    """The programs of ours that answer at the paths of listening sockets."""
    for path in sorted(set(_paths())):
        if wanted(path) and (program := _program_at(path)):
            yield Nearby(program, Endpoint(path=path))


def _paths() -> Iterator[str]:
    for line in Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()[1:]:
        _, _, _, flags, _, _, _, *path = line.split(None, 7)
        if int(flags, 16) & _UNIX_LISTENS and path and path[0].startswith("/"):
            yield path[0]


def _program_at(path: str) -> str:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_CONNECT_S)
        connection.connect(path)
        return _program(credentials(connection).pid)
    return ""


def _on_tcp() -> Iterator[Nearby]:
    """The listening sockets among the descriptors of our programs, as far as this process may look."""
    listening = dict(_tcp_sockets())
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or not (program := _program(int(entry.name))):
            continue
        held = set(_descriptors(entry / "fd"))
        yield from (Nearby(program, listening[each]) for each in sorted(listening.keys() & held))


def _descriptors(folder: Path) -> Iterator[str]:
    """The targets of a process's descriptors, without those that it closes meanwhile. A process of another user has
    none here."""
    with contextlib.suppress(OSError):
        for each in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                yield str(each.readlink())


def _tcp_sockets() -> Iterator[tuple[str, Endpoint]]:
    """For each TCP socket the name that a descriptor of it has, and its endpoint."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(table).read_text().splitlines()[1:]:
                _, local, _, state, _, _, _, _, _, inode, *_ = line.split()
                if state == _TCP_LISTENS:
                    address, _, port = local.partition(":")
                    yield f"socket:[{inode}]", Endpoint(host=_address(address), port=int(port, 16))


def _address(text: str) -> str:
    """Read an address as the kernel shows it: in words in the byte order of this machine."""
    words = [int(text[each : each + 8], 16) for each in range(0, len(text), 8)]
    return str(ipaddress.ip_address(struct.pack(f"={len(words)}I", *words)))


def _program(pid: int) -> str:
    """The name of our program that a process runs, as this process sees it; '' if it runs another one."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:4]
        names = [Path(os.fsdecode(word)).name for word in words]
        return next((name for name in names if name in PROGRAMS), "")
    return ""
