"""The sink of a log never raises, tries again, and reports dropped lines."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from eccmgr.host.streams import Sink


@pytest.fixture
def full() -> Iterator[int]:
    """A descriptor on a device that is full."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


def told(lines: int, reason: str) -> str:
    return f"dropped {lines}: {reason}"


def put_on(descriptor: int, path: str | Path) -> None:
    """Replace the descriptor by one of the file at `path`."""
    fresh = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(fresh, descriptor)
    os.close(fresh)


def test_sink_reports_dropped_lines_once_there_is_space(full: int, folder: Path) -> None:
    sink = Sink(full, told)
    for line in ("one\n", "two\n"):
        sink.write(line)
    put_on(full, folder / "log")
    for line in ("three\n", "four\n"):
        sink.write(line)
    assert (folder / "log").read_text() == "dropped 2: No space left on device\nthree\nfour\n"
    put_on(full, "/dev/full")
    sink.write("five\n")
    assert (sink.lost, sink.reason) == (3, "No space left on device")


def test_report_of_dropped_lines_is_not_dropped(full: int, folder: Path) -> None:
    sink = Sink(full, told)
    for line in ("one\n", "two\n", "three\n"):
        sink.write(line)
    put_on(full, folder / "log")
    sink.write("four\n")
    assert (folder / "log").read_text().startswith("dropped 3: ")


def test_torn_line_does_not_run_into_the_next() -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    try:
        sink = Sink(theirs, told)
        sink.write("x" * 1_000_000 + "\n")
        torn = os.read(ours, 1_000_000)
        assert set(torn) == {ord("x")}
        sink.write("next\n")
        assert os.read(ours, 1000).decode().split("\n")[-3:] == [
            "dropped 1: Resource temporarily unavailable",
            "next",
            "",
        ]
    finally:
        os.close(ours)
        os.close(theirs)


def test_closed_descriptor_cannot_be_written(folder: Path) -> None:
    descriptor = os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
    os.close(descriptor)
    sink = Sink(descriptor, told)
    sink.write("one\n")
    assert sink.lost == 1
