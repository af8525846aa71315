"""The command line of `eccmgr_ctl`: the manager in the background, for hosts without a service manager.

The manager inherits a lock, and holds it for as long as it lives. A stale pid file, or a process id that another
program has taken over, misleads nobody.
"""

import contextlib
import enum
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from cli import application, terminal
from cli.concealment import conceal, handed_over
from cli.flags import version_flag
from cli.health import is_healthy
from cli.process_record import Failed, ProcessRecord, opened
from eccmgr.host.notify import READY, READY_FD
from eccmgr.text.unseen import visible_lines

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 30.0
_LOOK_S = 0.05
_LOG_MODE = 0o640
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


@app.command(context_settings={"ignore_unknown_options": True})
def eccmgr_ctl(
    action: Annotated[CtlAction, typer.Argument(metavar="start|stop|restart|status|health", help="What to do.")],
    extra: Annotated[list[str] | None, typer.Argument(metavar="[-- FLAGS]", help="Further flags of eccmgr.")] = None,
    config: Annotated[str | None, typer.Option("-c", "--config", metavar="FILE", help="Configuration file.")] = None,
    pid_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Where its process id is kept.")] = None,
    log: Annotated[Path | None, typer.Option(metavar="FILE", help="Where its standard error goes.")] = None,
    _version: Annotated[bool, version_flag("eccmgr_ctl")] = False,
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
        typer.echo(visible_lines(f"eccmgr_ctl: {getattr(error, 'strerror', None) or error}"), err=True)
        raise typer.Exit(_FAILED) from None


class Service:
    """The manager that belongs to one pid file."""

    def __init__(self, pid_file: Path, log: Path, flags: list[str]) -> None:
        self._record = ProcessRecord(pid_file)
        self._log = log.absolute()
        self._flags = flags

    def obey(self, action: CtlAction) -> int:
        """Carry out the action; answers the exit code. Raises Failed."""
        if action in (CtlAction.STOP, CtlAction.RESTART):
            self._stop()
        if action in (CtlAction.START, CtlAction.RESTART):
            self._start()
        if action is not CtlAction.STATUS:
            return 0
        manager = self._record.running()
        if manager is None:
            typer.echo("eccmgr is not running")
            return _NOT_RUNNING
        with manager:
            typer.echo(f"eccmgr is running (pid {manager.pid})")
        return 0

    def _start(self) -> None:
        with self._record.taken() as lock, contextlib.ExitStack() as stack:
            if lock is None:
                manager = self._record.running()
                typer.echo("eccmgr is running already" + (f" (pid {manager.pid})" if manager else ""))
                return
            log = opened(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _LOG_MODE)
            stack.callback(os.close, log)
            begin = os.fstat(log).st_size
            # By the time it is ready, the manager may have become another user, who reaches no socket of ours.
            ready, told = os.pipe()
            stack.callback(os.close, ready)
            try:
                process = self._spawn(lock, log, told)
            finally:
                os.close(told)
            self._await_ready(process, ready, begin)
        typer.echo(f"eccmgr is running (pid {process.pid})")

    def _spawn(self, lock: int, log: int, told: int) -> subprocess.Popen[bytes]:
        with handed_over() as (variable, secrets):
            process = subprocess.Popen(  # noqa: S603
                [str(Path(sys.executable).parent / "eccmgr"), *self._flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **variable, READY_FD: str(told)},
                start_new_session=True,
                pass_fds=(lock, told, *secrets),
            )
        try:
            self._record.write(process.pid)
        except (OSError, Failed):
            # Otherwise nobody could find this manager again.
            process.kill()
            process.wait()
            raise
        return process

    def _await_ready(self, process: subprocess.Popen[bytes], ready: int, begin: int) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while process.poll() is None and time.monotonic() < deadline:
            if select.select([ready], [], [], _LOOK_S)[0]:
                if READY.encode() in os.read(ready, 4096):
                    return
                time.sleep(_LOOK_S)
        reason = f"is not ready after {_START_TIMEOUT_S:.0f} s; it was ended"
        if process.poll() is not None:
            reason = f"ended with exit code {process.returncode}"
        process.kill()
        process.wait()
        log = opened(self._log, os.O_RDONLY)
        try:
            said = os.pread(log, 1 << 20, begin).decode(errors="replace").splitlines()[-_TAIL_LINES:]
        finally:
            os.close(log)
        raise Failed("\n".join((f"eccmgr {reason}. Its last words, of {self._log}:", *said)))

    def _stop(self) -> None:
        manager = self._record.running()
        if manager is None:
            typer.echo("eccmgr is not running")
            return
        with manager:
            manager.send(signal.SIGTERM)
            if not manager.ends_within(_STOP_TIMEOUT_S):
                manager.send(signal.SIGKILL)
                raise Failed(f"eccmgr (pid {manager.pid}) did not end in {_STOP_TIMEOUT_S:.0f} s and was killed")
            typer.echo(f"eccmgr has ended (pid {manager.pid})")


def _folder(kind: str) -> Path:
    """The folder of root, or else of this user, for running things (`run`) or for logs (`log`)."""
    if os.geteuid() == 0:
        return Path("/run/eccmgr") if kind == "run" else Path("/var/log/eccmgr")
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "eccmgr"


def main() -> None:
    """The program's entry point."""
    conceal()
    terminal.run("eccmgr_ctl", lambda: application.run(app, "eccmgr_ctl"))
