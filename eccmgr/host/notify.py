"""Reports this process's state to the service manager, by the protocol of sd_notify(3), and to `eccmgr_ctl`."""

import contextlib
import os
import socket

READY, STOPPING = "READY=1", "STOPPING=1"
READY_FD = "ECCMGR_READY_FD"
"""The environment variable that names the descriptor over which `eccmgr_ctl` hears that the manager is ready.

A manager that has become another user can use a descriptor that it inherited, while it may reach no socket of root's.
"""

_DIGITS_MAX = 7


def notify(state: str) -> None:
    """Send `state` to the processes that wait for it, if any."""
    if state == READY:
        _tell_starter()
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    # A name that begins with @ is in Linux's abstract namespace.
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(state.encode(), address)


def _tell_starter() -> None:
    named = os.environ.pop(READY_FD, "")
    if named.isascii() and named.isdecimal() and len(named) <= _DIGITS_MAX:
        with contextlib.suppress(OSError), open(int(named), "wb", buffering=0) as starter:
            starter.write(READY.encode())
