"""The standard streams of a program, which may be closed, full, or without a reader.

Standard output has the result of the program: if it cannot be written, the program says so in one line and fails.
Standard error only accompanies it: if that cannot be written, the program goes on. This module imports the standard
library only, since the guardian uses it too.
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
"""The exit code of a program that SIGPIPE ended, as a shell shows it."""
# A closed stream stays unusable: reading from the first, and writing to the second, fails. The third may vanish.
_CLOSED = ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY))


class OutputFailed(Exception):
    """Raised when standard output cannot be written. It is not an OSError, which libraries would catch on the way."""

    def __init__(self, error: OSError) -> None:
        reason = "it is closed" if error.errno == errno.EBADF else error.strerror
        super().__init__(f"standard output cannot be written: {reason}")
        self.errno = error.errno


def run(program: str, main: Callable[[], object]) -> NoReturn:
    """Run `main` for the program named `program`, and end the process with the exit code of `main`.

    If standard output cannot be written, the program writes one line to standard error, and its exit code is 1. If the
    reader of standard output has left, there is no line, and the exit code is 141.
    """
    open_streams()
    try:
        try:
            code = main()
        except SystemExit as ended:
            code = ended.code
        sys.stdout.flush()
    except OutputFailed as failed:
        # The rest of the buffers must not fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = _NO_READER
        if failed.errno != errno.EPIPE:
            sys.stderr.write(f"{program}: {failed}\n")
            code = _FAILED
    sys.exit(code)  # type: ignore[arg-type]


def open_streams() -> None:
    """Make the three streams usable; a program calls this first.

    Otherwise the next file or socket would get a closed stream's descriptor, and with it the stream's data; event loops
    abort if that happens to them.
    """
    fill_descriptors()
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = _text(_Output(1, "w", closefd=False), sys.stdout)
    # The encoding of the locale may lack characters of a text.
    sys.stdout.reconfigure(errors="replace")  # type: ignore[attr-defined]
    sys.stderr = _text(_Forgiving(2, "w", closefd=False), sys.stderr, line_buffering=True)


def fill_descriptors() -> None:
    """Open /dev/null for those of the first three descriptors that are closed."""
    for number, mode in _CLOSED:
        try:
            fcntl.fcntl(number, fcntl.F_GETFD)
        except OSError:
            # open() returns the lowest free descriptor, which is this one.
            os.set_inheritable(os.open(os.devnull, mode), True)


def forgive_output() -> None:
    """From now on drop standard output that cannot be written: in a daemon only modules print there."""
    sys.stdout = _text(_Forgiving(1, "w", closefd=False), sys.stdout, line_buffering=True)


def _text(raw: io.FileIO, before: TextIO | None, *, line_buffering: bool = False) -> TextIO:
    """A text stream over `raw` with the encoding of the stream that it replaces."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before is not None else None,
        errors=before.errors if before is not None else "backslashreplace",
        line_buffering=line_buffering or raw.isatty(),
    )


class _Output(io.FileIO):
    """A descriptor whose failed writes raise `OutputFailed`."""

    def write(self, data: "memoryview | bytes", /) -> int:  # type: ignore[override]
        """Write some of `data`; return how much. Waits if another process has left the descriptor non-blocking."""
        try:
            while (written := super().write(data)) is None:
                select.select((), (self,), ())
        except OSError as error:
            raise OutputFailed(error) from None
        return written


class _Forgiving(io.FileIO):
    """A descriptor that drops data that cannot be written."""

    def write(self, data: "memoryview | bytes", /) -> int:  # type: ignore[override]
        """Write some of `data`, or drop it; return the number of bytes that were handled."""
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)


class Sink:
    """Writes whole lines to a descriptor and never raises; it counts the dropped lines, and reports them when it can.

    `told(lines, reason)` makes the line, without its newline, that reports them. The lines of one call are tried with
    one system call. Two threads must not use a sink at once.
    """

    def __init__(self, descriptor: int, told: Callable[[int, str], str]) -> None:
        self.descriptor = descriptor
        self.lost = 0
        """The number of lines dropped since the start."""
        self.reason = ""
        """The reason for the latest of them."""
        self._told = told
        self._untold = 0
        self._torn = False

    def write(self, lines: str) -> None:
        """Write lines, each of which ends in a newline; count those that cannot be written."""
        if self._untold and not self._write(self._told(self._untold, self.reason) + "\n"):
            self._untold = 0
        lost = lines.count("\n") if self._untold else self._write(lines)
        self.lost += lost
        self._untold += lost

    def flush(self) -> None:
        """Do nothing: a sink has no buffer."""

    def close(self) -> None:
        """Close the descriptor."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)

    def _write(self, lines: str) -> int:
        """Try to write lines; answers the number of those that were not written whole."""
        # The rest of a line that was cut off is not written later; the next line begins on a line of its own.
        begin = 1 if self._torn else 0
        data = b"\n" * begin + lines.encode(errors="backslashreplace")
        written = 0
        try:
            while written < len(data):
                written += os.write(self.descriptor, memoryview(data)[written:])
                self._torn = data[written - 1 : written] != b"\n"
        except OSError as error:
            self.reason = error.strerror or str(error)
        return data.count(b"\n", max(begin, written))
