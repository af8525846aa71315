"""Programs on terminals of their own, and pictures (SVG) of the same screens that the tests read."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import pyte

from tests.daemons import ROOT
from tests.waiting import wait_until_sync

PICTURES = ROOT / "docs" / "pictures"
PROMPT = re.compile(r"\d\d:\d\d:\d\d \S+[>?]")
_DIM, _GREY = 2, 90
_FONT, _CELL, _LINE, _MARGIN = 14, 8.4, 18, 12
_INK = dict(
    pair.split("=")
    for pair in (
        *("default=#d6d6d6", "black=#1b1d1e", "red=#f2595f", "green=#7fc36b", "brown=#e6c14c", "blue=#6ba2e8"),
        *("magenta=#c58ae0", "cyan=#5fc7c7", "white=#d6d6d6", "brightblack=#8c9196", "brightred=#ff7b80"),
        *("brightgreen=#9ede8b", "brightbrown=#ffe27a", "brightblue=#92bfff", "brightmagenta=#e0b0f5"),
        *("brightcyan=#8be3e3", "brightwhite=#ffffff"),
    )
)
_PAPER = "#1b1d1e"


class Screen(pyte.Screen):
    """A terminal's screen. pyte itself knows no dim text, so dim is grey here."""

    def select_graphic_rendition(self, *attributes: int, **more: Any) -> None:
        plain = attributes if {38, 48} & set(attributes) else (_GREY if code == _DIM else code for code in attributes)
        super().select_graphic_rendition(*plain, **more)

    @property
    def text(self) -> str:
        """What it shows, without the blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self.display).rstrip()

    def picture(self) -> str:
        """What it shows, as SVG: as high as its text, as wide as the screen."""
        rows = self.text.count("\n") + 1
        width, height = self.columns * _CELL + 2 * _MARGIN, rows * _LINE + 2 * _MARGIN
        words = "\n".join(word for row in range(rows) for word in self._words(row))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
            f'font-family="ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="{_FONT}">\n'
            f'<rect width="100%" height="100%" rx="6" fill="{_PAPER}"/>\n{words}\n</svg>\n'
        )

    def _words(self, row: int) -> Iterator[str]:
        """Each word with its own place and length: a browser joins blanks, and its font may be wider."""
        cells = [(column, self.buffer[row][column]) for column in range(self.columns)]
        for look, alike in groupby(cells, lambda cell: (cell[1]._replace(data=""), cell[1].data == " ")):
            run = list(alike)
            ink, paper = _INK.get(look[0].fg, f"#{look[0].fg}"), _PAPER
            if look[0].bg != "default":
                paper = _INK.get(look[0].bg, f"#{look[0].bg}")
            if look[0].reverse:
                ink, paper = paper, ink
            x, length = _MARGIN + run[0][0] * _CELL, len(run) * _CELL
            if paper != _PAPER:
                y = _MARGIN + row * _LINE
                yield f'<rect x="{x:g}" y="{y:g}" width="{length:g}" height="{_LINE}" fill="{paper}"/>'
            if word := "" if look[1] else "".join(cell.data for _, cell in run):
                weight = ' font-weight="bold"' if look[0].bold else ""
                yield (
                    f'<text x="{x:g}" y="{_MARGIN + row * _LINE + _FONT}" textLength="{length:g}" '
                    f'lengthAdjust="spacingAndGlyphs" fill="{ink}"{weight}>{escape(word)}</text>'
                )


def shown(data: bytes | str, columns: int, lines: int = 24) -> Screen:
    """The screen of a terminal that got `data`, in which each newline also returns to the first column."""
    screen = Screen(columns, lines)
    screen.set_mode(pyte.modes.LNM)
    pyte.ByteStream(screen).feed(data.encode() if isinstance(data, str) else data)
    return screen


def keep_picture(name: str, screen: Screen) -> None:
    """Write docs/pictures/NAME.svg, if the environment says `PICTURES=1`; a usual run of the tests changes no file."""
    if os.environ.get("PICTURES"):
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / f"{name}.svg").write_text(screen.picture(), encoding="utf-8")


class Terminal:
    """A program on a terminal of its own; by default one so high that nothing scrolls away."""

    def __init__(
        self,
        arguments: list[str],
        columns: int = 120,
        lines: int = 400,
        folder: Path = ROOT,
        **environment: str,
    ) -> None:
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen = Screen(columns, lines)
        self.screen.write_process_input = self.type  # type: ignore[method-assign]
        self._stream = pyte.ByteStream(self.screen)
        self.process = subprocess.Popen(
            arguments,
            cwd=folder,
            # Its size is the terminal's, whatever the terminal of the tests is.
            env={**os.environ, "TERM": "xterm", "COLUMNS": "", "LINES": "", **environment},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.raw = b""
        """All that it was sent."""

    @property
    def text(self) -> str:
        """The text on its screen."""
        while self._master >= 0 and select.select([self._master], [], [], 0)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                break
            self.raw += data
            self._stream.feed(data)
        return self.screen.text

    @property
    def shows_lines(self) -> bool:
        """Whether it gives its program lines, and shows what is typed; else the program gets each key."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ICANON)

    @property
    def prompts(self) -> int:
        """The number of prompts that it has shown."""
        return len(PROMPT.findall(self.text))

    def wait_for(self, wanted: str) -> None:
        """Wait until it shows `wanted`."""
        try:
            wait_until_sync(lambda: wanted in self.text, f"{wanted!r} is shown")
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen:\n{self.text}") from None

    def wait_prompt(self) -> None:
        """Wait until its last line is an empty prompt."""
        wait_until_sync(lambda: PROMPT.fullmatch(self.text.rpartition("\n")[2]) is not None, "a prompt")

    def resize(self, columns: int, lines: int) -> None:
        """Change its size; the program is told by SIGWINCH."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    @property
    def modes(self) -> Any:
        """The modes of the terminal: echo, signals of keys, and so on."""
        return termios.tcgetattr(self._master)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def say(self, line: str, *, yes: bool = False) -> str:
        """Type a line at a prompt; return the text up to the next prompt. `yes` answers the question before harm."""
        before = self.prompts
        self.type(line + "\r")
        asked = "Go on? [y/N]"
        wait_until_sync(lambda: self.prompts > before or (yes and self.text.endswith(asked)), f"an answer to {line!r}")
        if self.text.endswith(asked):
            self.type("y\r")
            wait_until_sync(lambda: self.prompts > before, f"an answer to {line!r}")
        self.wait_prompt()
        return PROMPT.split(self.text)[-2].removeprefix(f" {line}").strip("\n")

    def end(self) -> int:
        """Wait for its end, and force it if it does not come; return the exit code."""
        try:
            wait_until_sync(lambda: self.text is not None and self.process.poll() is not None, "it ends")
        finally:
            if self.process.poll() is None:
                self.process.kill()
            os.close(self._master)
            self._master = -1
        return self.process.wait(30)


OnTerminal = Callable[..., Terminal]
"""Opens a console with these arguments on a terminal; `columns` and `lines` are its size."""
