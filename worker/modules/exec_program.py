"""Runs a program without a shell and within limits of time and output. At the end it ends every process that the
program has started."""

import asyncio
import contextlib
import errno
import os
import shutil
import signal
from dataclasses import dataclass
from functools import cache

_TERM_S = 2.0
_REST_S = 0.5
_CHUNK = 65536


@dataclass(frozen=True)
class RunsAs:
    """The user and groups of a program."""

    user: int
    group: int
    groups: tuple[int, ...]
    home: str


@dataclass(frozen=True)
class Program:
    """A program line, its folder and user, and the maximum size of the kept output in bytes."""

    line: tuple[str, ...]
    folder: str
    identity: RunsAs | None
    output_limit: int


@dataclass(frozen=True)
class Ended:
    """The kept output of a program, the number of further bytes, and the exit code: negative for a signal, None if the
    time was over."""

    output: str
    dropped: int
    code: int | None


async def run(program: Program, limit_s: float | None) -> Ended:
    """Run a program to its end, or end it after `limit_s`. Raises OSError if the program cannot run.

    A child that the program leaves behind may hold the output open; this does not wait for it.
    """
    reading, writing = os.pipe()
    output = Output(program.output_limit)
    loop = asyncio.get_running_loop()
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        # Make this before the program starts: a cancellation between its start and the wait for its end would leave it
        # running.
        try:
            transport, _ = await loop.connect_read_pipe(lambda: output, pipe)
            try:
                process = await _start(program, writing)
            except BaseException:
                transport.close()
                raise
        finally:
            os.close(writing)
        try:
            code = await _end_of(process, limit_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REST_S):
                    await output.closed.wait()
        finally:
            transport.close()
    return Ended(output.kept.decode("utf-8", "replace"), output.dropped, code)


class Output(asyncio.Protocol):
    """Keeps the first bytes of the output, and counts the further bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.kept = bytearray()
        self.dropped = 0
        self.closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Take a piece of the output."""
        room = self._limit - len(self.kept)
        self.kept += data[:room]
        self.dropped += max(0, len(data) - room)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The output has ended."""
        self.closed.set()


async def _start(program: Program, output: int) -> asyncio.subprocess.Process:
    identity = program.identity
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": os.environ.get("LANG", "C.UTF-8")}
    environment["HOME"] = identity.home if identity else os.environ.get("HOME", "/")
    return await asyncio.create_subprocess_exec(
        *(*_leash(identity), *program.line),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=program.folder,
        env=environment,
        start_new_session=True,
    )


@cache
def _leash(identity: RunsAs | None) -> tuple[str, ...]:
    """The words before a program line: they run the program as another user, and end it when this process is killed.
    They are only necessary for another user."""
    setpriv = shutil.which("setpriv")
    if identity is None:
        return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()
    if setpriv is None:
        raise FileNotFoundError(errno.ENOENT, "setpriv, which runs it as another user, is not on PATH")
    groups = ("--groups", ",".join(map(str, identity.groups))) if identity.groups else ("--clear-groups",)
    become = ("--reuid", str(identity.user), "--regid", str(identity.group), *groups)
    return (setpriv, *become, "--pdeathsig", "KILL", "--")


async def _end_of(process: asyncio.subprocess.Process, limit_s: float | None) -> int | None:
    """The exit code; None if the program had to be ended, for its time or because the caller was cancelled."""
    try:
        async with asyncio.timeout(limit_s):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            await asyncio.shield(_end(process))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the program and every process that it has started to end, then kill them."""
    for number, wait_s in ((signal.SIGTERM, _TERM_S), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
