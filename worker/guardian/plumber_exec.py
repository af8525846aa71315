"""Plumbs by an operator's program, for example in a cloud: PROGRAM plumb|unplumb|check ADDRESS INTERFACE EPOCH."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence

from worker.descendants import kill_session
from worker.guardian.plumber import Failures
from worker.guardian.wire import Address
from worker.isolation import CLEAN

_AT_ONCE = 16
_PLUMB_S = 30.0
_UNPLUMB_S = 10.0
_SAID_KEPT = 200


def check_program(program: str) -> None:
    """Raises OSError if `program` cannot be run at all."""
    if not program:
        raise OSError("the plumber is exec, but plumber_program is not set")
    if shutil.which(program) is None:
        raise OSError(f"the plumber_program {program} is not a program that can run here")


class ExecPlumber:
    """Runs the program. Exit status 0 means success; else the last line on standard error is the reason for the
    failure.

    The guardian keeps its deadlines while the program plumbs, and waits while it unplumbs. A run that takes too long is
    killed, with the processes that it has started.
    """

    name = "exec"

    def __init__(self, program: str) -> None:
        self._program = program
        self._epochs: dict[str, int] = {}
        self._runs: dict[str, tuple[subprocess.Popen[bytes], int, float]] = {}
        self._queue: list[tuple[Address, int]] = []
        self._failed: list[tuple[str, int, str]] = []

    def sweep(self, configured: Sequence[Address]) -> Failures:
        """Unplumb every configured address that the program finds on this host."""
        answers = self._run_all("check", configured, _UNPLUMB_S)
        return self.unplumb([vip for vip in configured if not answers[vip.address]])

    def plumb(self, addresses: Sequence[Address], epochs: Sequence[int]) -> list[str | None]:
        """Begin to plumb; `finished` reports how each plumbing ended. One that is under way goes on: the agent asks
        again with each heartbeat, and a program may take longer than that."""
        for vip, epoch in zip(addresses, epochs, strict=True):
            if not self._is_under_way(vip, epoch):
                self._queue.append((vip, epoch))
        self._start_some()
        return [None] * len(addresses)

    def finished(self) -> list[tuple[str, int, str]]:
        """The runs that have ended, or were killed because they took too long."""
        ended, self._failed = self._failed, []
        for address, (run, epoch, until) in list(self._runs.items()):
            if run.poll() is None and time.monotonic() < until:
                continue
            del self._runs[address]
            ended.append((address, epoch, _outcome(run)))
        self._start_some()
        return ended

    def unplumb(self, addresses: Sequence[Address]) -> Failures:
        """Unplumb addresses, after killing the plumbings of them that are under way."""
        names = {each.address for each in addresses}
        self._queue = [each for each in self._queue if each[0].address not in names]
        for name in names & self._runs.keys():
            run, _, _ = self._runs.pop(name)
            _outcome(run)
        answers = self._run_all("unplumb", addresses, _UNPLUMB_S)
        return tuple((name, reason) for name, reason in answers.items() if reason)

    def check(self, addresses: Sequence[Address]) -> Failures:  # noqa: ARG002
        """Check nothing: to ask a cloud every few seconds would cost more than it finds."""
        return ()

    def close(self) -> None:
        """Kill all runs under way."""
        for run, _, _ in self._runs.values():
            _outcome(run)
        self._runs.clear()

    def _is_under_way(self, vip: Address, epoch: int) -> bool:
        running = self._runs.get(vip.address)
        return (running is not None and running[1] == epoch) or (vip, epoch) in self._queue

    def _start_some(self) -> None:
        while self._queue and len(self._runs) < _AT_ONCE:
            vip, epoch = self._queue.pop(0)
            if (running := self._runs.pop(vip.address, None)) is not None:
                # It plumbs for another epoch.
                _outcome(running[0])
            self._epochs[vip.address] = epoch
            try:
                self._runs[vip.address] = (self._start("plumb", vip), epoch, time.monotonic() + _PLUMB_S)
            except OSError as error:
                self._failed.append((vip.address, epoch, f"{self._program}: {error.strerror}"))

    def _run_all(self, verb: str, addresses: Sequence[Address], limit_s: float) -> dict[str, str]:
        answers: dict[str, str] = {}
        until = time.monotonic() + limit_s
        for start in range(0, len(addresses), _AT_ONCE):
            runs = []
            for vip in addresses[start : start + _AT_ONCE]:
                try:
                    runs.append((vip.address, self._start(verb, vip)))
                except OSError as error:
                    answers[vip.address] = f"{self._program}: {error.strerror}"
            for name, run in runs:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    run.wait(max(0.0, until - time.monotonic()))
                answers[name] = _outcome(run)
        return answers

    def _start(self, verb: str, each: Address) -> subprocess.Popen[bytes]:
        epoch = str(self._epochs.get(each.address, 0))
        return subprocess.Popen(  # noqa: S603 — the operator's own program, named where the node was started
            [self._program, verb, each.address, each.interface, epoch],
            env=CLEAN,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )


def _outcome(run: subprocess.Popen[bytes]) -> str:
    """The outcome of a run: '' or the reason for the failure. Kills a run that has not ended by itself, with whatever
    runs in its session."""
    late = run.poll() is None
    if late:
        kill_session(run.pid)
    said = _last_line(run)
    if late or run.returncode == -signal.SIGKILL:
        return "its program took too long"
    return "" if run.returncode == 0 else said or f"its program ended with status {run.returncode}"


def _last_line(run: subprocess.Popen[bytes]) -> str:
    assert run.stderr is not None
    with run.stderr as stream:
        # A child of the program may hold the pipe open, so this reads only the output that is there.
        data = _readable_now(stream.fileno())
    run.wait()
    lines = data.decode(errors="replace").strip().splitlines()
    return lines[-1][:_SAID_KEPT] if lines else ""


def _readable_now(descriptor: int) -> bytes:
    os.set_blocking(descriptor, False)
    try:
        return os.read(descriptor, 65536) or b""
    except BlockingIOError:
        return b""
