"""What the programs write to a terminal."""

import os
import pty
from collections.abc import Callable

import pytest
from prompt_toolkit.data_structures import Size

from cli import terminal
from cli.console.screen import HarmlessOutput
from eccmgr.text.unseen import first_unseen

HOSTILE = "\x1b]0;x\x07 \x9b2J \r \u202ex \u2066 \u200b \u3164 \ud800 \U000e0041"


def written(write: Callable[[terminal.TerminalText], object]) -> str:
    """The text that a terminal gets from what `write` does to a stream."""
    master, slave = pty.openpty()
    try:
        with terminal.TerminalText(os.fdopen(slave, "wb"), encoding="utf-8", errors="replace") as stream:  # type: ignore[arg-type]
            write(stream)
            stream.flush()
            return os.read(master, 65536).decode()
    finally:
        os.close(master)


def test_a_terminals_stream_shows_what_is_unseen() -> None:
    shown = written(lambda stream: stream.write(f"{HOSTILE}\tz\n"))
    assert shown.endswith("\tz\r\n")
    assert [character for character in shown.replace("\r\n", "") if first_unseen(character)] == []


def test_print_and_writelines_take_the_same_way() -> None:
    assert "\x1b" not in written(lambda stream: print(HOSTILE, file=stream))
    assert "\x1b" not in written(lambda stream: stream.writelines([HOSTILE, "\n"]))


def test_only_painted_text_keeps_its_escapes() -> None:
    assert written(lambda stream: stream.write(terminal.Painted("\x1b[1mx\x1b[0m"))) == "\x1b[1mx\x1b[0m"
    assert written(lambda stream: stream.write(terminal.Painted("\x1b[1m") + "x")) == "^[[1mx"


@pytest.mark.parametrize(
    ("environment", "colors"),
    [
        ({}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
    ],
)
def test_empty_no_color_is_unset(environment: dict[str, str], colors: bool) -> None:
    assert terminal.has_colors(environment) is colors


def test_prompt_and_menus_cannot_steer_the_terminal() -> None:
    def write(stream: terminal.TerminalText) -> None:
        output = HarmlessOutput(stream, lambda: Size(24, 80))
        output.write(HOSTILE.replace("\r", "") + "\r\n")
        output.write_raw("\x1b[1m")
        output.flush()

    shown = written(write)
    assert shown.endswith("\r\n\x1b[1m")
    assert [character for character in shown.split("\r")[0] if first_unseen(character)] == []
