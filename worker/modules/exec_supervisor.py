"""The parent of one program: it ends every process that the program has started, whatever ends first.

Its arguments are the descriptor for the program's output, the program's uid, gid and groups (- for its own), its folder
and its line. It writes `started`, and later the program's end; or it writes that the program cannot run. The end of its
input means that nobody waits for the program.
"""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import NoReturn

from worker.descendants import EndedDescendants, become_subreaper, die_with, reap

POLITE_S = 2.0
"""The seconds that a program has for its end, after it was asked to end."""

_LEFT_POLITE_S = 0.5
_KILL_S = 5.0
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Supervised:
    """The program, and its wait status once it has ended."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.status: int | None = None

    def reaped(self, pid: int, status: int) -> None:
        """Take note of an ended child: the program itself, or one that it left behind."""
        if pid == self._pid:
            self.status = status

    def wait(self, woken: int) -> None:
        """Wait until the program has ended, or nobody waits for it."""
        events = select.poll()
        events.register(0, select.POLLIN)
        events.register(woken, select.POLLIN)
        while self.status is None:
            if any(descriptor == 0 for descriptor, _ in events.poll()):
                return
            os.read(woken, 4096)
            reap(self.reaped)


def main(output: str, *what: str) -> NoReturn:
    """Run the program and end it.

    A program of our own user can kill its parent. The processes that it leaves then come to the parent's parent: this
    process, which does nothing else.
    """
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    become_subreaper()
    if os.fork() == 0:
        supervise(output, *what)
    os.close(1)
    os.close(int(output))
    os.wait()
    EndedDescendants.of_all(0.0, _KILL_S)
    os._exit(0)


def supervise(output: str, user: str, group: str, groups: str, folder: str, *line: str) -> NoReturn:
    """Run the program, end it with every process that it has started, and report its end."""
    become_subreaper()
    woken = _woken_by_children()
    try:
        program = subprocess.Popen(  # noqa: S603 — from the allow-list of the configuration
            line,
            stdin=subprocess.DEVNULL,
            stdout=int(output),
            stderr=int(output),
            cwd=folder,
            user=None if user == "-" else int(user),
            group=None if group == "-" else int(group),
            extra_groups=None if groups == "-" else [int(gid) for gid in groups.split(",") if gid],
            start_new_session=True,
            preexec_fn=_beginning(os.getpid()),
        )
    except OSError as error:
        where = "folder" if error.filename == folder else "program"
        _tell(f"cannot {where} {error.errno or 0}")
        os._exit(0)
    os.close(int(output))
    _tell("started")
    supervised = Supervised(program.pid)
    supervised.wait(woken)
    over = supervised.status is not None
    ending = EndedDescendants.of_all(_LEFT_POLITE_S if over else POLITE_S, _KILL_S, supervised.reaped)
    code = os.waitstatus_to_exitcode(supervised.status) if supervised.status is not None else -signal.SIGKILL
    _tell(f"ended {code} {len(ending.seen)} {int(ending.left)}")
    os.close(1)
    while ending.left:
        # They cannot be killed now, but they get no other parent either.
        ending = EndedDescendants.of_all(0.0, 60.0)
    os._exit(0)


def _woken_by_children() -> int:
    """A descriptor that becomes readable whenever a child has ended."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading


def _beginning(parent: int) -> Callable[[], None]:
    """The work of the new process before it becomes the program: it lets signals through, and arranges to die with its
    parent."""

    def begin() -> None:
        for number in _IGNORED:
            signal.signal(number, signal.SIG_DFL)
        die_with(parent)

    return begin


def _tell(text: str) -> None:
    try:
        os.write(1, f"{text}\n".encode())
    except OSError:
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
