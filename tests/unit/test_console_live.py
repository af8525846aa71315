"""The region on a terminal: when it is drawn, erased, and left out."""

import contextlib
import os
import pty
import termios
from collections.abc import Iterator
from typing import TextIO

import pytest

from cli.console.live import FIRST_S, PAUSE_S, Region, can_show
from cli.console.spans import SIGNS, Span
from tests.screens import shown
from tests.waiting import wait_until_sync


class HandClock:
    """A clock that a test moves on."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Tty:
    """A terminal that keeps all writes, each for itself."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        self.stream: TextIO = open(self.slave, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
        self.writes: list[str] = []
        write = self.stream.write
        self.stream.write = lambda text: (self.writes.append(text), write(text))[1]  # type: ignore[method-assign]

    @property
    def text(self) -> str:
        return shown("".join(self.writes), 40, 20).text

    def hang_up(self) -> None:
        os.close(self.master)
        self.master = -1

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.stream.close()
        os.close(self.slave)
        if self.master >= 0:
            os.close(self.master)


@pytest.fixture
def tty() -> Iterator[Tty]:
    made = Tty()
    yield made
    made.close()


def region_on(tty: Tty, clock: HandClock, keys: int | None = None) -> Region:
    def draw(width: int, height: int) -> list[list[Span]]:
        return [[Span("one █")], [Span(f"two {clock.now_s:g}")]]

    return Region(tty.stream, draw, lambda key: f"key {key}" if key == "x" else "", keys, clock, color=False)


def test_answers_wait_for_the_next_drawing(tty: Tty) -> None:
    clock = HandClock()
    region = region_on(tty, clock)
    region.start()
    region.above("first")
    assert tty.text == "first"
    clock.now_s += FIRST_S
    region.above("second")
    wait_until_sync(lambda: "two" in tty.text, "it is drawn")
    drawn = len(tty.writes)
    for number in range(100):
        region.above(f"answer {number}")
    assert len(tty.writes) == drawn
    clock.now_s += PAUSE_S
    region.above("last")
    wait_until_sync(lambda: "last" in tty.text, "what waited is written")
    assert len(tty.writes) == drawn + 1
    assert tty.text.split("\n")[-4:] == ["answer 99", "last", "one █", "two 100.5"]
    region.above("behind")
    region.end()
    assert tty.text.split("\n")[-3:] == ["answer 99", "last", "behind"]


def test_quick_command_is_never_drawn_over(tty: Tty) -> None:
    region = region_on(tty, HandClock())
    region.start()
    region.above("answer")
    region.end()
    region.end()
    assert tty.writes == ["answer\n"]


def test_keys_are_heard_and_given_back(tty: Tty) -> None:
    clock = HandClock()
    region = region_on(tty, clock, tty.slave)
    before = termios.tcgetattr(tty.slave)
    region.start()
    clock.now_s += FIRST_S
    wait_until_sync(lambda: "two" in tty.text, "it is drawn")
    assert not termios.tcgetattr(tty.slave)[3] & (termios.ICANON | termios.ECHO)
    os.write(tty.master, b"axb")

    def heard() -> bool:
        clock.now_s += PAUSE_S
        return tty.text.split("\n")[0] == "key x"

    wait_until_sync(heard, "the key shows its effect")
    region.end()
    assert termios.tcgetattr(tty.slave) == before
    assert tty.text == "key x"


def test_gone_terminal_ends_the_drawing(tty: Tty) -> None:
    clock = HandClock()
    region = region_on(tty, clock)
    region.start()
    tty.hang_up()
    clock.now_s += FIRST_S
    wait_until_sync(lambda: region._thread is not None and not region._thread.is_alive(), "the thread ends")
    with pytest.raises(OSError, match="Input/output error"):
        region.above("an answer")
    region.end()


def test_signs_are_asked_of_the_encoding(tty: Tty) -> None:
    assert can_show(SIGNS, tty.stream)
    with open(os.devnull, "w", encoding="latin-1") as stream:
        assert not can_show(SIGNS, stream)
