"""Reports this process's state to the service manager, by the protocol of sd_notify(3), and to `eccmgr_ctl`."""

import asyncio
import contextlib
import os
import socket

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"
READY_FD = "ECCMGR_READY_FD"
"""The environment variable that names the descriptor over which `eccmgr_ctl` hears that the manager is ready.

A manager that has become another user can use a descriptor that it inherited, while it may reach no socket of root's.
"""

_DIGITS_MAX = 7
_WATCHDOG_DIGITS_MAX = 15
_SIGNS_PER_INTERVAL = 3


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


async def show_life() -> None:
    """Tell the service manager that this event loop turns, as often as it wants to hear that; it may not want to.

    WATCHDOG_PID does not matter: with a guardian, the service manager knows our parent, and we speak for it.
    """
    asked = os.environ.get("WATCHDOG_USEC", "")
    if not (asked.isascii() and asked.isdecimal() and len(asked) <= _WATCHDOG_DIGITS_MAX and int(asked)):
        return
    while True:
        notify(ALIVE)
        await asyncio.sleep(int(asked) / 1e6 / _SIGNS_PER_INTERVAL)


def _tell_starter() -> None:
    named = os.environ.pop(READY_FD, "")
    if named.isascii() and named.isdecimal() and len(named) <= _DIGITS_MAX:
        with contextlib.suppress(OSError), open(int(named), "wb", buffering=0) as starter:
            starter.write(READY.encode())
