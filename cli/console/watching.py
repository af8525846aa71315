"""`\\watch`: one command again and again, each answer in the place of the one before it, with what changed marked."""

import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from prompt_toolkit.utils import get_cwidth

from cli.terminal import Painted
from eccmgr.errors import CommandError, EccmgrError, UsageError
from eccmgr.text.unseen import visible_line

EVERY_S = 2.0
_SHORTEST_S, _LONGEST_S = 0.5, 86400.0
_NUMBER = re.compile(r"\d+(\.\d+)?")
# The header of a report has another id and time in each run.
_HEADER = re.compile(r"# [0-9A-Z]{12}  ")
_MARK, _NO_MARK = "* ", "  "
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_LINES_LEFT = 2

Fetch = Callable[[str], str]
"""Runs a command and gives its answer. Raises EccmgrError."""


class NotRepeated(CommandError):
    """Raised for a command that is not to be repeated; the message says why."""


def watched(text: str, last: str) -> tuple[float, str]:
    """The seconds and the command of `\\watch [S] [COMMAND]`; without a command it is the `last` one. Raises
    UsageError."""
    first, _, behind = text.partition(" ")
    every_s, command = EVERY_S, text
    if _NUMBER.fullmatch(first):
        every_s, command = float(first), behind.strip()
        if not _SHORTEST_S <= every_s <= _LONGEST_S:
            raise UsageError(f"\\watch takes {_SHORTEST_S:g} to {_LONGEST_S:.0f} seconds, not {first[:20]}")
    command = command or last
    if not command:
        raise UsageError("No command was run yet that \\watch could repeat: \\watch [S] COMMAND")
    if command.startswith("\\"):
        raise UsageError("\\watch repeats commands of the daemon, none of the console itself")
    return every_s, command


@dataclass
class WatchedCommand:
    """The answers of a command that is watched. Pure."""

    title: str
    lines: Sequence[str] = ()
    changed: frozenset[int] = frozenset()
    """The lines that the answer before had not."""
    state: str = ""
    _before: Counter[str] | None = field(default=None, init=False)

    def take(self, answer: str, clock: str) -> None:
        """Take the next answer."""
        before, self._before = self._before, Counter(answer.split("\n"))
        self.lines = answer.split("\n")
        left = Counter(before)
        changed = set[int]()
        for number, line in enumerate(self.lines):
            if before is not None and not left[line] and not _HEADER.match(line):
                changed.add(number)
            left[line] -= 1
        self.changed = frozenset(changed)
        self.state = f"{clock}  {len(changed)} changed" if before is not None else clock

    def fail(self, reason: str, clock: str) -> None:
        """The last run had no answer; the one before stays."""
        self.state = f"{clock}  {reason}"

    def screen(self, rows: int) -> list[tuple[bool, str]]:
        """At most so many rows, each with whether it is marked."""
        shown = list(enumerate(self.lines))
        more: list[tuple[bool, str]] = []
        if len(shown) > rows - 1:
            shown = shown[: max(0, rows - 2)]
            hidden = sum(number >= len(shown) for number in self.changed)
            more = [(bool(hidden), f"… {len(self.lines) - len(shown)} more lines, {hidden} of them changed")]
        head = (False, f"{self.title}  {self.state}  (Ctrl-C ends)")
        return [head, *((number in self.changed, line) for number, line in shown), *more]


@dataclass(frozen=True)
class TerminalStyle:
    """What the terminal can show: colours, and a line in the place of another one."""

    color: bool
    redraws: bool


def watch(fetch: Fetch, every_s: float, command: str, terminal: TerminalStyle) -> None:
    """Run `command` until Ctrl-C. Raises NotRepeated."""
    answers, rows = WatchedCommand(f"every {every_s:g} s: {command}"), 0
    try:
        while True:
            due = time.monotonic() + every_s
            try:
                answers.take(fetch(command), time.strftime("%H:%M:%S"))
            except NotRepeated:
                raise
            except EccmgrError as error:
                answers.fail(str(error), time.strftime("%H:%M:%S"))
            rows = _draw(answers, rows, terminal)
            time.sleep(max(0.0, due - time.monotonic()))
    except KeyboardInterrupt:
        sys.stdout.write("\n")  # the terminal has echoed ^C


def _draw(answers: WatchedCommand, rows: int, terminal: TerminalStyle) -> int:
    """Draw the answers over the `rows` that were drawn before; answers how many there are now."""
    width, height = shutil.get_terminal_size()
    lines = []
    for number, (is_marked, line) in enumerate(answers.screen(height - _LINES_LEFT)):
        mark = "" if not number else _MARK if is_marked else _NO_MARK
        text = cut(f"{mark}{visible_line(line)}", width - 1)
        lines.append(f"{_BOLD}{text}{_PLAIN}" if terminal.color and is_marked else text)
    erase = f"\x1b[{rows}A\r\x1b[J" if rows and terminal.redraws else ""
    sys.stdout.write(Painted(erase + "\n".join(lines) + "\n"))
    sys.stdout.flush()
    return len(lines)


def cut(text: str, columns: int) -> str:
    """`text` in at most so many columns."""
    text = text[: 2 * columns]
    while get_cwidth(text) > columns:
        text = text[:-2] + "…"
    return text
