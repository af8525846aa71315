"""The standard output of a daemon: each line that a module prints becomes an event of the log."""

import io
import threading

import structlog

log = structlog.get_logger()

_LONGEST = 64 * 1024


class PrintedLines(io.TextIOBase):
    """A text stream whose lines go to the log. Each thread has its own lines. A very long line is logged in parts."""

    def __init__(self) -> None:
        # This has no lock: a process that is forked while another thread holds one would wait for ever.
        self._of_thread = threading.local()

    def writable(self) -> bool:
        """Always true."""
        return True

    def write(self, text: str, /) -> int:
        """Take a part of the output."""
        *lines, begun = (getattr(self._of_thread, "begun", "") + text).split("\n")
        if len(begun) > _LONGEST:
            lines, begun = [*lines, begun], ""
        self._of_thread.begun = begun
        for line in lines:
            log.info("printed", text=line[:_LONGEST])
        return len(text)
