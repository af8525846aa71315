"""The terminal as prompt_toolkit writes to it: prompt, line, menus and full-screen views cannot be steered."""

import contextlib
import os
import re
import signal
import sys
import termios
from collections.abc import Iterator
from types import FrameType

from prompt_toolkit.application import create_app_session
from prompt_toolkit.output.vt100 import Vt100_Output

from cli.terminal import is_dumb
from eccmgr.text.unseen import unseen_marked

_LINE_BREAKS = re.compile(r"([\r\n]+)")
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)
_RESTORED = b"\x1b[0m\x1b[?2004l\x1b[?7h\x1b[?25h\r\n"
"""Plain letters, no bracketed paste, lines that wrap, and a cursor."""


class HarmlessOutput(Vt100_Output):
    """An output whose texts cannot steer the terminal. The library's own escapes take another way, `write_raw`."""

    def write(self, data: str) -> None:
        """Write `data` with a sign in place of each unseen character, so that it keeps its length."""
        # The library moves to the next line by these characters.
        pieces = _LINE_BREAKS.split(data)
        super().write("".join(piece if number % 2 else unseen_marked(piece) for number, piece in enumerate(pieces)))

    def write_raw(self, data: str) -> None:
        """Write an escape, unless the terminal understands none."""
        if not is_dumb():
            super().write_raw(data)


@contextlib.contextmanager
def harmless_screen() -> Iterator[None]:
    """Within this context all that prompt_toolkit shows is harmless, and a signal that ends us gives the terminal back
    as it was."""
    modes = termios.tcgetattr(sys.stdin)

    def end(number: int, _frame: FrameType | None) -> None:
        # Not by an exception: it would go through the library's event loop, which shows it.
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSANOW, modes)
            if not is_dumb():
                os.write(sys.stdout.fileno(), _RESTORED)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    for number in _ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
    with create_app_session(output=HarmlessOutput.from_pty(sys.stdout, term=os.environ.get("TERM"))):
        yield
