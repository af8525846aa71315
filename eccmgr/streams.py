"""The standard streams of a program, in whatever state it was given them: closed, full, or with no reader.

What a program was asked to print matters: where it cannot be written, the program says so in one line and fails. What
it says on standard error only accompanies that: where it cannot be written, the program goes on. This module needs the
standard library alone, since the guardian uses it too.
"""

import contextlib
import errno
import fcntl
import io
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import NoReturn, TextIO

_FAILED = 1
_NO_READER = 128 + signal.SIGPIPE
"""What a shell shows of a program that SIGPIPE ended."""
# A closed stream stays one: reading from the first, and writing to the second, fails. Nobody misses the third.
_CLOSED = ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY))


class OutputFailed(Exception):
    """Raised when standard output cannot be written. No OSError, which libraries would catch on the way."""

    def __init__(self, error: OSError) -> None:
        reason = "it is closed" if error.errno == errno.EBADF else error.strerror
        super().__init__(f"standard output cannot be written: {reason}")
        self.errno = error.errno


def run(program: str, main: Callable[[], int]) -> NoReturn:
    """Run the program named `program` and end the process with the exit code that `main` returns or exits with.

    Standard output that cannot be written is one line on standard error and exit code 1; where its reader has left,
    there is no line, and the exit code is 141.
    """
    open_streams()
    try:
        try:
            code: object = main()
        except SystemExit as ended:
            code = ended.code
        sys.stdout.flush()
    except OutputFailed as failed:
        # What is left in the buffers must not fail again at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = _NO_READER
        if failed.errno != errno.EPIPE:
            sys.stderr.write(f"{program}: {failed}\n")
            code = _FAILED
    sys.exit(code)  # type: ignore[arg-type]


def open_streams() -> None:
    """Make the three streams fit for use; the first thing that a program does.

    A descriptor below 3 that is closed would become that of the next file or socket, which then takes what is meant
    for the stream; event loops abort where that happens to them.
    """
    fill_descriptors()
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = _text(_Output(1, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Forgiving(2, "w", closefd=False), sys.stderr, line_buffering=True)


def fill_descriptors() -> None:
    """Open those of the first three descriptors that are closed."""
    for number, mode in _CLOSED:
        try:
            fcntl.fcntl(number, fcntl.F_GETFD)
        except OSError:
            # The lowest that is free, so it is this one.
            os.set_inheritable(os.open(os.devnull, mode), True)


def forgive_output() -> None:
    """From now on what cannot be written to standard output is dropped: in a daemon it is what a module prints."""
    sys.stdout = _text(_Forgiving(1, "w", closefd=False), sys.stdout, line_buffering=True)


def _text(raw: io.FileIO, before: TextIO | None, *, line_buffering: bool = False) -> TextIO:
    """A text stream over `raw` that encodes as the one before it."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before is not None else None,
        errors=before.errors if before is not None else "backslashreplace",
        line_buffering=line_buffering or raw.isatty(),
    )


class _Output(io.FileIO):
    """A descriptor that cannot be written but with an `OutputFailed`."""

    def write(self, data: "memoryview | bytes", /) -> int:  # type: ignore[override]
        """Write some of `data`; how much. One that does not block, as another process may have left it, is awaited."""
        try:
            while (written := super().write(data)) is None:
                select.select((), (self,), ())
        except OSError as error:
            raise OutputFailed(error) from None
        return written


class _Forgiving(io.FileIO):
    """A descriptor that takes everything, and drops what cannot be written."""

    def write(self, data: "memoryview | bytes", /) -> int:  # type: ignore[override]
        """Write some of `data`; how much of it need not be given again."""
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)


class Sink:
    """Takes whole lines for a descriptor and never raises; what cannot be written is counted, and told once it can.

    `told(lines, reason)` makes the line, without its end, that tells it. Each line is tried: one system call. Not to be
    used by two threads at once.
    """

    def __init__(self, descriptor: int, told: Callable[[int, str], str]) -> None:
        self.descriptor = descriptor
        self.lost = 0
        """Lines that were dropped since the start."""
        self.reason = ""
        """Why the latest of them was."""
        self._told = told
        self._untold = 0
        self._torn = False

    def write(self, line: str) -> None:
        """Write a line, which ends in a newline; or count it."""
        try:
            if self._untold:
                self._write(self._told(self._untold, self.reason) + "\n")
                self._untold = 0
            self._write(line)
        except OSError as error:
            self.lost += 1
            self._untold += 1
            self.reason = error.strerror or str(error)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Close the descriptor."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)

    def _write(self, line: str) -> None:
        # Of a line that was torn off the rest is not worth having; what comes next begins a new one.
        left = memoryview((b"\n" if self._torn else b"") + line.encode(errors="backslashreplace"))
        while left:
            written = os.write(self.descriptor, left)
            left = left[written:]
            self._torn = bool(left)
