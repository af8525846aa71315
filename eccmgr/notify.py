"""Reports this process's state to the service manager, by the protocol of sd_notify(3)."""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Send `state` (`READY=1`, `STOPPING=1`) to the socket in `NOTIFY_SOCKET`; do nothing if that is not set."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    # A name that begins with @ is in Linux's abstract namespace.
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(state.encode(), address)
