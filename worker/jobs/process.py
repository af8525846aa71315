"""The agent's side of the worker process: starts it, asks one thing at a time, and ends it."""

import asyncio
import contextlib
import itertools
import signal
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from eccmgr.errors import CommandError
from worker.isolation import isolated, without_settings
from worker.jobs.exchange import Question, line_of, read_told

log = structlog.get_logger()

ANSWER_TIMEOUT_S = 10.0
_JOB_END_S = 5.0
_LONGEST_LINE = 64 * 1024 * 1024


class WorkerGone(CommandError):
    """Raised when the worker process does not answer: it has ended, or hangs."""


class NotTaken(CommandError):
    """Raised if Redis did not do what the worker process asked. If not `surely`, Redis may have done it."""

    def __init__(self, text: str, *, surely: bool) -> None:
        super().__init__(text)
        self.surely = surely


class WorkerProcess:
    """One worker process. Its first line of input holds its settings; then it takes requests, and answers them in
    order.

    The end of its input tells it to end; it ends its job first.
    """

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self.name = name
        self._process = process
        self._turn = asyncio.Lock()
        self._numbers = itertools.count()

    @classmethod
    async def start(
        cls, settings: Mapping[str, Any], name: str, dead: Sequence[str] = (), *, works: bool = True
    ) -> "WorkerProcess":
        """Start a worker process. `settings` go to its input, because they hold the password of Redis.

        `dead` are the workers whose jobs this one takes over. With `works` false it only answers requests. Raises
        WorkerGone if it cannot be started.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *isolated("worker.jobs"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_LONGEST_LINE,
                env=without_settings(),
                start_new_session=True,
            )
        except OSError as error:
            raise WorkerGone(f"The job worker cannot be started: {error.strerror}") from error
        assert process.stdin is not None
        with contextlib.suppress(OSError, RuntimeError):
            # If the process has ended already, the first request notices that.
            process.stdin.write(line_of({**settings, "name": name, "dead": dead, "works": works}))
        log.info("job worker started", pid=process.pid)
        return cls(process, name)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.returncode is not None

    async def ask(self, what: str, **arguments: Any) -> Any:
        """Make the request `what`. Raises WorkerGone if no answer comes, and CommandError with the fault that the
        process reports."""
        reader, writer = self._process.stdout, self._process.stdin
        assert reader is not None
        assert writer is not None
        async with self._turn:
            number = next(self._numbers)
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    if writer.is_closing():
                        raise BrokenPipeError("it has ended")
                    writer.write(line_of(Question(number, what, arguments)))
                    await writer.drain()
                    while line := await reader.readline():
                        # An answer to an earlier request may have come after its caller stopped waiting.
                        if (told := read_told(line)).number == number:
                            break
            except (TimeoutError, OSError, ValueError, RuntimeError) as error:
                # The event loop raises RuntimeError if a worker that has ended has closed the pipe.
                raise WorkerGone(f"The job worker does not answer: {error or 'time is over'}") from error
        if not line:
            raise WorkerGone("The job worker has ended")
        if told.error is None:
            return told.answer
        if told.undone is not None:
            raise NotTaken(told.error, surely=told.undone == "surely")
        raise CommandError(told.error)

    def let_go(self) -> None:
        """Let the process end as soon as it has nothing to do. It may have ended already."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def end(self, wait_s: float) -> bool:
        """Wait at most `wait_s` until the process has ended by itself, then end it and its job; answers whether that
        was needed."""
        self.let_go()
        if await self._ends_within(wait_s):
            return False
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
            if await self._ends_within(_JOB_END_S):
                break
        return True

    async def _ends_within(self, wait_s: float) -> bool:
        try:
            async with asyncio.timeout(wait_s):
                await self._process.wait()
        except TimeoutError:
            return False
        return True
