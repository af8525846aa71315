"""Draws the region of a gather on a terminal, below what is written above it, and hears its keys. It has a thread of
its own, because the console's main thread waits for the manager."""

import contextlib
import os
import select
import signal
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TextIO

from cli.console.spans import SIGNS, Line, drawn, in_ascii
from cli.terminal import Painted
from eccmgr.host.streams import OutputFailed

FIRST_S, PAUSE_S = 0.25, 0.25
"""The time before the first drawing, and the shortest time between two."""
_REST = 5
"""A drawing that takes long is followed by a pause that is so many times as long."""
_KEYS_AT_ONCE = 64
_LINES_LEFT = 2
_COLUMNS, _LINES = 80, 24

Draw = Callable[[int, int], list[Line]]
"""Gives the lines for so many columns and at most so many lines."""
OnKey = Callable[[str], str]
"""Takes a key; gives the text to write above the region."""


class Region:
    """The region while a command runs. Everything that is written to the terminal meanwhile goes through `above`."""

    def __init__(
        self, stream: TextIO, draw: Draw, on_key: OnKey, keys: int | None, clock: Callable[[], float], *, color: bool
    ) -> None:
        """`keys` is the descriptor of the terminal that keys are read from, None without keys."""
        self._stream, self._draw, self._on_key, self._color = stream, draw, on_key, color
        self._clock = clock
        self._keys = keys
        self._has_signs = can_show(SIGNS, stream)
        self._modes: list[object] | None = None
        self.lock = threading.RLock()
        """Held while the region is drawn."""
        self.was_drawn = False
        """Whether the region has been in sight."""
        self._waiting: list[str] = []
        self._rows = 0
        self._due = clock() + FIRST_S
        self._wake: tuple[int, int] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to draw, in a while."""
        self._due = self._clock() + FIRST_S
        self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, args=(self._wake[0],), daemon=True)
        self._thread.start()

    def above(self, text: str) -> None:
        """Write `text` and a newline above the region: at once if nothing is drawn, else with the next drawing."""
        with self.lock:
            self._waiting.append(text + "\n")
            if not self._rows or self._clock() >= self._due:
                self._write(again=bool(self._rows))

    def end(self) -> None:
        """Erase the region, write what still waits, and give the terminal back as it was."""
        if self._thread is None or self._wake is None:
            return
        try:
            os.close(self._wake[1])
            self._thread.join()
            os.close(self._wake[0])
        finally:
            self._thread = self._wake = None
            with self.lock:
                self._give_back()
                self._write(again=False)

    def pause(self) -> None:
        """Leave the terminal to another program for a while; the next drawing takes it again."""
        with self.lock:
            self._write(again=False)
            self._give_back()
            self._due = self._clock() + PAUSE_S

    def _run(self, wake: int) -> None:
        """Draw and hear keys until `wake` is closed, or the terminal is gone."""
        try:
            while True:
                heard = [wake] if self._modes is None or self._keys is None else [wake, self._keys]
                ready, _, _ = select.select(heard, [], [], max(0.0, self._due - self._clock()))
                if wake in ready:
                    return
                with self.lock:
                    if ready and self._is_foreground():
                        self._hear()
                    if self._clock() >= self._due:
                        self._write(again=True)
        except (OSError, OutputFailed, ValueError, termios.error):
            # The terminal is gone. The main thread will see it when it writes the answer.
            with self.lock:
                self._rows = 0

    def _hear(self) -> None:
        assert self._keys is not None
        pressed = os.read(self._keys, _KEYS_AT_ONCE)
        if not pressed:
            self._keys = None
            return
        for key in pressed.decode("utf-8", "replace"):
            # It is written with the next drawing.
            if text := self._on_key(key):
                self._waiting.append(text + "\n")

    def _write(self, *, again: bool) -> None:
        """Erase the region, write what waits, and draw the region `again`: all in one."""
        began = self._clock()
        has_terminal = self._is_foreground()
        up = f"\x1b[{self._rows - 1}A" if self._rows > 1 else ""
        erase = f"\r{up}\x1b[J" if self._rows and has_terminal else ""
        lines: list[str] = []
        if again and has_terminal:
            self._take()
            width, height = size(self._stream)
            lines = [drawn(line, width - 1, color=self._color) for line in self._draw(width - 1, height - _LINES_LEFT)]
            if not self._has_signs:
                lines = list(map(in_ascii, lines))
        text = erase + "".join(self._waiting) + "\n".join(lines)
        self._waiting.clear()
        self._rows = len(lines)
        self.was_drawn = self.was_drawn or bool(lines)
        if text:
            # The lines are cut from texts made visible, and what waits was made fit for a terminal.
            self._stream.write(Painted(text))
            self._stream.flush()
        if again:
            self._due = self._clock() + max(PAUSE_S, _REST * (self._clock() - began))

    def _is_foreground(self) -> bool:
        """Whether the terminal belongs to this process: a job in the background leaves it alone."""
        try:
            return os.tcgetpgrp(self._stream.fileno()) == os.getpgrp()
        except OSError:
            # It is not the terminal that controls this process.
            return True

    def _take(self) -> None:
        """Get each key as it is pressed, and let it not be shown."""
        if self._keys is None or self._modes is not None:
            return
        modes = termios.tcgetattr(self._keys)
        self._modes = list(modes)
        modes[3] &= ~(termios.ICANON | termios.ECHO)
        termios.tcsetattr(self._keys, termios.TCSADRAIN, modes)

    def _give_back(self) -> None:
        if self._keys is not None and self._modes is not None and self._is_foreground():
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(self._keys, termios.TCSADRAIN, self._modes)  # type: ignore[arg-type]
        self._modes = None


@contextlib.contextmanager
def stoppable(region: Region) -> Iterator[None]:
    """While the console runs in this context, Ctrl-Z gives the terminal back before it stops the console."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        region.pause()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, stop)

    before = signal.getsignal(signal.SIGTSTP)
    if before is not signal.SIG_DFL:
        # A shell without job control ignores it.
        yield
        return
    signal.signal(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)


def can_show(text: str, stream: TextIO) -> bool:
    """Whether the encoding of a terminal has all characters of `text`."""
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def size(stream: TextIO) -> tuple[int, int]:
    """The columns and lines of the terminal itself; the variables COLUMNS and LINES do not follow its changes."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except OSError:
        columns = lines = 0
    # A serial line may not know its size.
    return columns or _COLUMNS, lines or _LINES


def keyboard() -> int | None:
    """The descriptor of the terminal that keys come from; None if standard input is no terminal."""
    try:
        return sys.stdin.fileno() if sys.stdin.isatty() else None
    except (OSError, ValueError, AttributeError):
        return None
