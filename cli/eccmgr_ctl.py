"""The command line of `eccmgr_ctl`: the manager in the background, for hosts without a service manager.

The manager inherits the lock of the pid file, and so holds it as long as it lives. A stale pid file, or a process id
that another program has taken over, misleads nobody.
"""

import contextlib
import enum
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from cli.health import is_healthy
from eccmgr import streams

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 30.0
_TAIL_LINES = 10
_FAILED = 1
_NOT_RUNNING = 3


class CtlAction(enum.StrEnum):
    """An action on the manager."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    STATUS = "status"
    HEALTH = "health"


class Failed(Exception):
    """Raised if the action is not possible; the message says why."""


@app.command(context_settings={"ignore_unknown_options": True})
def eccmgr_ctl(
    action: Annotated[CtlAction, typer.Argument(metavar="start|stop|restart|status|health", help="What to do.")],
    extra: Annotated[list[str] | None, typer.Argument(metavar="[-- FLAGS]", help="Further flags of eccmgr.")] = None,
    config: Annotated[str | None, typer.Option("-c", "--config", metavar="FILE", help="Configuration file.")] = None,
    pid_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Where its process id is kept.")] = None,
    log: Annotated[Path | None, typer.Option(metavar="FILE", help="Where its standard error goes.")] = None,
) -> None:
    """Start, stop or restart the manager in the background, or say whether it runs (exit code 3: it does not).

    `health` asks the manager or node of this host or container, however it was started; 1: it does not answer.
    """
    if action is CtlAction.HEALTH:
        raise typer.Exit(0 if is_healthy() else _FAILED)
    flags = [*(("-c", config) if config else ()), *(extra or ())]
    service = Service(pid_file or _folder("run") / "eccmgr.pid", log or _folder("log") / "eccmgr.log", flags)
    try:
        raise typer.Exit(service.obey(action))
    except (Failed, OSError) as error:
        typer.echo(f"eccmgr_ctl: {error}", err=True)
        raise typer.Exit(_FAILED) from None


class Service:
    """The manager that belongs to one pid file."""

    def __init__(self, pid_file: Path, log: Path, flags: list[str]) -> None:
        self._pid_file = pid_file
        self._log = log
        self._flags = flags

    def obey(self, action: CtlAction) -> int:
        """Carry out the action; answers the exit code. Raises Failed."""
        if action in (CtlAction.STOP, CtlAction.RESTART):
            self._stop()
        if action in (CtlAction.START, CtlAction.RESTART):
            self._start()
        if action is not CtlAction.STATUS:
            return 0
        pid = self._running()
        typer.echo(f"eccmgr is running (pid {pid})" if pid else "eccmgr is not running")
        return 0 if pid else _NOT_RUNNING

    def _running(self) -> int | None:
        """The manager's process id; None if it does not run."""
        try:
            with self._pid_file.open("rb") as file:
                if _lock(file):
                    return None
                return int(file.read() or 0)
        except (FileNotFoundError, ValueError):
            return None

    def _start(self) -> None:
        self._pid_file.parent.mkdir(parents=True, exist_ok=True)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            # Not "w": until it is locked, the file may belong to a running manager.
            file = stack.enter_context(self._pid_file.open("a+b"))
            if not _lock(file):
                typer.echo(f"eccmgr is running already (pid {self._running()})")
                return
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="eccmgr-ctl-"))
            ready = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            ready.bind(f"{folder}/notify")
            log = stack.enter_context(self._log.open("ab"))
            begin = log.tell()
            process = subprocess.Popen(  # noqa: S603
                [str(Path(sys.executable).parent / "eccmgr"), *self._flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": f"{folder}/notify"},
                start_new_session=True,
                pass_fds=(file.fileno(),),
            )
            try:
                file.truncate(0)
                file.write(f"{process.pid}\n".encode())
                file.flush()
            except OSError:
                # Otherwise nobody could find this manager again.
                process.kill()
                process.wait()
                raise
            self._await_ready(process, ready, begin)
        typer.echo(f"eccmgr is running (pid {process.pid})")

    def _await_ready(self, process: subprocess.Popen[bytes], ready: socket.socket, begin: int) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while process.poll() is None and time.monotonic() < deadline:
            if select.select([ready], [], [], 0.05)[0] and b"READY=1" in ready.recv(4096).split(b"\n"):
                return
        reason = f"is not ready after {_START_TIMEOUT_S:.0f} s; it was ended"
        if process.poll() is not None:
            reason = f"ended with exit code {process.returncode}"
        process.kill()
        process.wait()
        with self._log.open("rb") as log:
            log.seek(begin)
            said = log.read(1 << 20).decode(errors="replace").splitlines()[-_TAIL_LINES:]
        raise Failed("\n".join((f"eccmgr {reason}. Its last words, of {self._log}:", *said)))

    def _stop(self) -> None:
        pid = self._running()
        if not pid:
            typer.echo("eccmgr is not running")
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while self._running():
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                raise Failed(f"eccmgr (pid {pid}) did not end in {_STOP_TIMEOUT_S:.0f} s and was killed")
            time.sleep(0.02)
        typer.echo(f"eccmgr has ended (pid {pid})")


def _lock(file: BinaryIO) -> bool:
    """Whether the lock of `file` was free; if so, it is ours until the file is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _folder(kind: str) -> Path:
    """The folder of root, or else of this user, for running things (`run`) or for logs (`log`)."""
    if os.geteuid() == 0:
        return Path("/run/eccmgr") if kind == "run" else Path("/var/log/eccmgr")
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "eccmgr"


def main() -> None:
    """The program's entry point."""
    streams.run("eccmgr_ctl", app)
