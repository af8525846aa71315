"""Runs a program without a shell, within limits of time and output, and ends it with all that it has started."""

import asyncio
import contextlib
import os
import pwd
from dataclasses import dataclass

from worker.isolation import CLEAN, isolated

_START_S = 30.0
_END_S = 15.0
_REST_S = 0.5


class CannotRun(Exception):
    """Raised if a program cannot run; the message gives the reason."""


@dataclass(frozen=True)
class RunsAs:
    """The user and groups of a program."""

    user: int
    group: int
    groups: tuple[int, ...]
    home: str


@dataclass(frozen=True)
class Program:
    """A program line, its folder and user, and the number of bytes of its output that are kept."""

    line: tuple[str, ...]
    folder: str
    identity: RunsAs | None
    output_limit: int


@dataclass(frozen=True)
class Ended:
    """The kept output of a program, the number of dropped bytes, and the exit code: negative for a signal, None if the
    time was over.

    `left` is the number of processes that the program left running and that were ended after it. `unending` says that
    some could not be ended.
    """

    output: str
    dropped: int
    code: int | None
    left: int
    unending: bool


async def run(program: Program, limit_s: float | None) -> Ended:
    """Run a program to its end, or end it after `limit_s`; then end every process that it has started.

    Raises CannotRun.
    """
    reading, writing = os.pipe()
    output = Output(program.output_limit)
    loop = asyncio.get_running_loop()
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        # Made before the program starts: between its start and the wait for its end nothing may be cancelled.
        try:
            transport, _ = await loop.connect_read_pipe(lambda: output, pipe)
            try:
                supervisor = await _start(program, writing)
            except BaseException:
                transport.close()
                raise
        finally:
            os.close(writing)
        try:
            code, left, unending = await _end_of(supervisor, program, limit_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REST_S):
                    await output.closed.wait()
        finally:
            transport.close()
    return Ended(output.kept.decode("utf-8", "replace"), output.dropped, code, left, unending)


class Output(asyncio.Protocol):
    """Keeps the first bytes of the output, and counts the rest."""

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
    """Start the program's supervisor. It has a session of its own, and its input tells it whether this process
    lives."""
    identity = program.identity
    who = ("-", "-", "-")
    if identity is not None:
        who = (str(identity.user), str(identity.group), ",".join(map(str, identity.groups)))
    supervisor = isolated(
        "worker.modules.exec_supervisor", str(output), *who, program.folder, *program.line, others=False
    )
    try:
        return await asyncio.create_subprocess_exec(
            *supervisor,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(output,),
            cwd="/",
            env={**CLEAN, "HOME": identity.home if identity else _own_home()},
            start_new_session=True,
        )
    except OSError as error:
        raise CannotRun(f"the program's supervisor cannot be started: {error.strerror}") from None


def _own_home() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return CLEAN["HOME"]


async def _end_of(
    supervisor: asyncio.subprocess.Process, program: Program, limit_s: float | None
) -> tuple[int | None, int, bool]:
    """The exit code (None if the time was over), the number of processes left, and whether some go on.

    By then everything has ended, also if the caller was cancelled.
    """
    begun: list[str] = []
    ended: list[str] = []
    late = False
    try:
        async with asyncio.timeout(_START_S):
            begun = await _line_of(supervisor)
        if begun[:1] == ["started"]:
            async with asyncio.timeout(limit_s):
                ended = await _line_of(supervisor)
    except TimeoutError:
        late = True
    finally:
        ended = await asyncio.shield(_end(supervisor, ended))
    if ended[:1] != ["ended"]:
        raise CannotRun(_reason(begun, program))
    code, left, unending = map(int, ended[1:])
    return (None, 0, bool(unending)) if late else (code, left, bool(unending))


def _reason(said: list[str], program: Program) -> str:
    if said[:1] != ["cannot"]:
        return f"the supervisor of {program.line[0]} was ended by somebody else, and the program with it"
    _, where, number = said
    reason = os.strerror(int(number))
    if where == "folder":
        return f"the folder {program.folder} cannot be entered: {reason}"
    return f"{program.line[0]} cannot be run: {reason}"


async def _line_of(supervisor: asyncio.subprocess.Process) -> list[str]:
    assert supervisor.stdout is not None
    return (await supervisor.stdout.readline()).decode().split()


async def _end(supervisor: asyncio.subprocess.Process, said: list[str]) -> list[str]:
    """Have the supervisor end the program and every process that it has started.

    `said` is the supervisor's last line so far; answers the one after which no other comes.
    """
    assert supervisor.stdin is not None
    supervisor.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_END_S):
            while line := await _line_of(supervisor):
                said = line
            if not said or said[-1] == "0":
                await supervisor.wait()
    return said
