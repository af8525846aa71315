"""The daemons of this host, found by the Unix sockets on which they listen: nothing has to be told where they are."""

import contextlib
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from eccmgr.control import trust

PROGRAMS = ("eccmgr", "ecnode")
_USUAL = re.compile(r"/run/eccmgr/|/tmp/(2025|ecnode-[^/]+)\Z")
_LISTENS = 0x10000  # __SO_ACCEPTCON
_CONNECT_S = 1.0


class Nearby(NamedTuple):
    """A daemon and where it listens."""

    program: str
    path: str


def is_usual(path: str) -> bool:
    """Whether it is a place where daemons listen if nobody says otherwise."""
    return _USUAL.match(path) is not None


def may_be_tried(path: str) -> bool:
    """Whether to connect to it does nothing; under systemd that may start the service that a socket belongs to."""
    return is_usual(path) or Path("/proc/1/comm").read_text() != "systemd\n"


def nearby(wanted: Callable[[str], bool] = may_be_tried) -> list[Nearby]:
    """The daemons at `wanted` paths to which this process may connect, in the order of their paths."""
    found = (Nearby(_program(path), path) for path in sorted(set(_listened())) if wanted(path))
    return [each for each in found if each.program]


def _listened() -> Iterator[str]:
    """The paths of Unix sockets that somebody in this network namespace listens on."""
    for line in Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()[1:]:
        _, _, _, flags, _, _, _, *path = line.split(None, 7)
        if int(flags, 16) & _LISTENS and path and path[0].startswith("/"):
            yield path[0]


def _program(path: str) -> str:
    """The program of ours that listens there, as this process sees it; '' where there is none."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_CONNECT_S)
        connection.connect(path)
        pid, _ = trust.peer(connection)
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:4]
        names = [Path(os.fsdecode(word)).name for word in words]
        return next((name for name in names if name in PROGRAMS), "")
    return ""
