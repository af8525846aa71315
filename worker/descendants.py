"""Ends all descendants of a process: the processes that it has started, and those that they have started in turn.

A subreaper becomes the parent of each descendant whose own parent ends. So no descendant gets away by a second fork or
a session of its own. Once the subreaper has no child, no descendant is left. A process that is no subreaper can kill a
child with the session that the child leads.
"""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LOOK_AGAIN_S = 0.005
_LOOKS = 20


def become_subreaper() -> None:
    """Have this process become the parent of its descendants whose own parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its `parent` ends, or end it now if that has happened."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


@dataclass
class EndedDescendants:
    """The end of all descendants of this process, which must be a subreaper: the number that lived, and whether any
    still live."""

    seen: set[int] = field(default_factory=set)
    left: bool = False

    @classmethod
    def of_all(
        cls, polite_s: float, limit_s: float, reaped: Callable[[int, int], None] = lambda *_: None
    ) -> "EndedDescendants":
        """Ask all descendants to end, kill them after `polite_s`, and give up after `limit_s` more.

        `reaped` is called with the pid and the wait status of each child of this process that has ended.
        """
        ending, began, asked = cls(), time.monotonic(), set[int]()
        while reap(reaped):
            waited_s = time.monotonic() - began
            if waited_s > polite_s + limit_s:
                ending.left = True
                break
            for pid, parent in _living().items():
                ending.seen.add(pid)
                is_meant = partial(_is_child_of, (parent, os.getpid()))
                if waited_s >= polite_s:
                    _send(pid, is_meant, signal.SIGKILL)
                elif pid not in asked:
                    asked.add(pid)
                    _send(pid, is_meant, signal.SIGTERM)
            time.sleep(_LOOK_AGAIN_S)
        return ending


def reap(reaped: Callable[[int, int], None] = lambda *_: None) -> bool:
    """Collect the ended children of this process; answers whether any child is left."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        reaped(pid, status)


def kill_session(leader: int) -> None:
    """Kill all processes of the session that our child `leader` leads. The child must not have been reaped: as long as
    it keeps its number, no other session gets that number.

    A process group would not do: a program such as `timeout` makes a group of its own. A process that begins a session
    of its own is not found.
    """
    os.kill(leader, signal.SIGKILL)
    for _ in range(_LOOKS):
        members = [pid for pid in _pids() if _session_of(pid) == leader]
        if not members:
            break
        for pid in members:
            _send(pid, lambda member: _session_of(member) == leader, signal.SIGKILL)
        time.sleep(_LOOK_AGAIN_S)


def _living() -> dict[int, int]:
    """The descendants of this process, each with its parent. Children come after their parents."""
    children: dict[int, list[int]] = {}
    for pid in _pids():
        if (parent := _parent_of(pid)) is not None:
            children.setdefault(parent, []).append(pid)
    found: dict[int, int] = {}
    parents = [os.getpid()]
    for parent in parents:
        for child in children.get(parent, ()):
            found[child] = parent
            parents.append(child)
    return found


def _pids() -> list[int]:
    with os.scandir("/proc") as entries:
        return [int(entry.name) for entry in entries if entry.name.isdecimal()]


def _parent_of(pid: int) -> int | None:
    """The parent of a process; None if it has ended."""
    return _parent_and_session(pid)[0]


def _is_child_of(parents: tuple[int, ...], pid: int) -> bool:
    return _parent_of(pid) in parents


def _session_of(pid: int) -> int | None:
    """The session of a process; None if it has ended."""
    return _parent_and_session(pid)[1]


def _parent_and_session(pid: int) -> tuple[int, int] | tuple[None, None]:
    try:
        state, parent, _, session, *_ = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return None, None
    return (None, None) if state in (b"Z", b"X") else (int(parent), int(session))


def _send(pid: int, is_meant: Callable[[int], bool], number: signal.Signals) -> None:
    """Send a signal to a process, but not to another one that has taken over its process id."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        handle = os.pidfd_open(pid)
        try:
            if is_meant(pid):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
