"""Any sequence of writes, rotations and reads gives each line once, in order."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings

from eccmgr.logs.collection.pieces import CUT_MARK, GOES_ON_MARK, PIECE_MAX
from tests.unit.logs.playing import HEADERS, STEPS, STEPS_THAT_DELETE, Step, play
from tests.unit.logs.reader import WrittenLog


def played(header: bytes, steps: list[Step]) -> WrittenLog:
    """A log after these steps; it is closed."""
    with tempfile.TemporaryDirectory() as folder:
        log = WrittenLog(Path(folder), header)
        try:
            play(log, steps)
        finally:
            log.close()
    return log


@pytest.mark.parametrize("header", HEADERS, ids=len)
@given(steps=STEPS)
@settings(max_examples=150)
def test_each_line_comes_once_in_order(header: bytes, steps: list[Step]) -> None:
    log = played(header, steps)
    assert log.taken.splitlines(keepends=True) == log.written
    assert log.lost == 0


@pytest.mark.parametrize("header", HEADERS, ids=len)
@given(steps=STEPS_THAT_DELETE)
@settings(max_examples=150)
def test_what_deletions_took_is_counted(header: bytes, steps: list[Step]) -> None:
    log = played(header, steps)
    lines = [line for line in log.taken.splitlines(keepends=True) if line != header]
    assert lines == sorted(set(lines))
    assert set(lines) <= set(log.written)
    assert log.lost == sum(map(len, log.written)) - len(log.taken)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[WrittenLog]:
    made = WrittenLog(tmp_path)
    yield made
    made.close()


def test_copy_and_cut_between_two_looks_loses_nothing(log: WrittenLog) -> None:
    log.write(3)
    log.read_all()
    log.write(3)
    log.copy_and_cut()
    log.write(2)
    log.read_all()
    assert log.taken.splitlines(keepends=True) == log.written


def test_many_cuts_between_two_looks_lose_nothing(log: WrittenLog) -> None:
    log.write(3)
    log.read_all()
    for lines in range(1, 4):
        log.write(lines)
        log.copy_and_cut()
    log.write(1)
    log.read_all()
    assert log.taken.splitlines(keepends=True) == log.written


@pytest.mark.parametrize("restarts", [False, True])
def test_cuts_of_an_empty_file_lose_nothing(log: WrittenLog, restarts: bool) -> None:
    log.write(3)
    log.read(1)
    log.rename()
    log.reopen()
    log.read_all()
    if restarts:
        log.restart()
        log.read_all()
    for lines in range(1, 4):
        log.write(lines)
        log.copy_and_cut()
    log.write(1)
    log.read_all()
    assert log.taken.splitlines(keepends=True) == log.written


def test_copy_of_an_emptied_file_comes_at_once(log: WrittenLog) -> None:
    log.write(3)
    log.read_all()
    log.rename()
    log.reopen()
    log.read_all()
    log.write(2)
    log.copy_and_cut()
    log.read_all()
    assert log.taken.splitlines(keepends=True) == log.written


def test_removed_file_is_counted_to_the_byte(log: WrittenLog) -> None:
    log.write(3)
    log.read_all()
    log.write(4)
    assert log.follower is not None
    log.follower.read(0)
    for reading in log.follower._open:
        reading.look()
        log.follower.turns.note(reading)
    log.restart()
    moved = log.rename()
    log.reopen()
    moved.unlink()
    log.write(1)
    log.read_all()
    assert log.lost == sum(map(len, log.written[3:7]))
    assert log.taken.splitlines(keepends=True) == log.written[:3] + log.written[7:]


def test_unread_files_are_counted_after_a_look(log: WrittenLog) -> None:
    log.write(3)
    log.read_all()
    assert log.follower is not None
    for lines in (4, 5):
        log.write(lines)
        log.rename()
        log.reopen()
        log.write(1)
        assert log.follower.look() == []
    for rotated in log.folder.glob("main.log.*"):
        rotated.unlink()
    log.restart()
    log.read_all()
    assert log.taken == b"".join((*log.written[:3], *log.written[-1:]))
    assert log.lost == sum(map(len, log.written[3:-1]))


def test_deleted_file_that_is_open_is_read(log: WrittenLog) -> None:
    log.write(3)
    log.read_all()
    log.write(3)
    log.path.unlink()
    log.reopen()
    log.write(1)
    log.read_all()
    assert log.taken.splitlines(keepends=True) == log.written


def test_deleted_file_that_is_open_is_sent_again(log: WrittenLog) -> None:
    log.write(3)
    log.read_all()
    log.write(2)
    rotated = log.rename()
    log.reopen()
    log.write(1)
    log.read_all()
    asked = log.places[0][0]
    log.rename().unlink()
    log.reopen()
    log.write(1)
    log.restart(asked)
    log.read(1)
    rotated.unlink()
    log.ask_again(asked)
    log.taken, log.place = log.taken[: log.places[0][1]], asked
    log.read_all()
    assert log.taken == b"".join((*log.written[:5], log.written[-1]))
    assert log.lost == len(log.written[5])


def test_file_found_under_two_turns_comes_once(log: WrittenLog) -> None:
    log.write(3)
    log.read_all()
    asked = log.place
    assert asked is not None
    log.write(2)
    # A node that knows nothing any more begins with the file that is there.
    log.forget()
    assert log.follower is not None
    log.follower.read(1)
    log.ask_again(asked)
    log.read_all()
    log.write(1)
    log.read_all()
    assert log.taken == b"".join(log.written)


def test_file_told_under_two_turns_is_not_lost(log: WrittenLog) -> None:
    log.write(3)
    log.read_all()
    asked = log.place
    assert asked is not None
    log.rename()
    log.reopen()
    log.write(1)
    assert log.follower is not None
    log.follower.look()
    told = log.follower.turns.dump()
    # The next node cannot ask what was told, and looks at a file that has grown meanwhile.
    log.write(5)
    log.forget()
    log.follower.look()
    log.follower.go_to(asked, told)
    log.read_all()
    assert (log.lost, log.taken) == (0, b"".join(log.written))


def test_file_that_was_read_before_is_not_lost(log: WrittenLog) -> None:
    log.write(3)
    log.read_all()
    asked = log.place
    assert asked is not None
    assert log.follower is not None
    # Redis and the node know nothing any more, so the node tells of the file under a later turn, and dies.
    log.forget()
    log.follower.look()
    told = log.follower.turns.dump()
    log.rename().unlink()
    log.reopen()
    log.write(1)
    log.forget()
    log.follower.go_to(asked, told)
    log.read_all()
    assert (log.lost, log.taken) == (0, b"".join(log.written))


@pytest.mark.parametrize("has_begun", [True, False], ids=["in a file", "at its beginning"])
def test_files_after_a_forgotten_one_are_found(log: WrittenLog, has_begun: bool) -> None:
    log.write(3)
    os.utime(log.path, (1000, 1000))
    log.read_all()
    log.rename()
    log.reopen()
    log.write(2)
    os.utime(log.path, (2000, 2000))
    assert log.follower is not None
    step, rest = log.follower.read(1)
    for record in (step, rest) if has_begun else (step,):
        log.take(record)
    asked = log.place
    assert asked is not None
    gone = log.rename()
    log.reopen()
    log.write(2)
    os.utime(log.path, (3000, 3000))
    log.rename()
    log.reopen()
    log.write(1)
    # Redis and the node know nothing any more of the file that is gone.
    gone.unlink()
    log.forget()
    log.follower.read(1)
    log.ask_again(asked)
    log.read_all()
    assert log.taken == b"".join((*log.written[: 5 if has_begun else 3], *log.written[5:]))


@pytest.mark.parametrize("restarts", [False, True])
def test_log_behind_a_link_is_followed_there(tmp_path: Path, restarts: bool) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "main.log").symlink_to("data/current")
    log = WrittenLog(tmp_path)
    log.write(3)
    log.read_all()
    for number in (1, 2):
        log.write(2)
        (tmp_path / "data" / "current").rename(tmp_path / "data" / f"current.{number}")
        log.reopen()
    if restarts:
        log.restart()
    log.write(1)
    log.read_all()
    log.close()
    assert (log.lost, log.taken) == (0, b"".join(log.written))


@pytest.mark.parametrize("folder", [".", "data"])
def test_link_that_moves_on_repeats_nothing(tmp_path: Path, folder: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "main.log").symlink_to(f"{folder}/main-1.log")
    log = WrittenLog(tmp_path)
    log.write(3)
    log.read_all()
    for number in (2, 3):
        log.write(2)
        (tmp_path / "main.log").unlink()
        (tmp_path / "main.log").symlink_to(f"{folder}/main-{number}.log")
        log.reopen()
    log.write(1)
    log.read_all()
    log.close()
    assert (log.lost, log.taken) == (0, b"".join(log.written))


def test_cut_without_copy_is_counted(log: WrittenLog) -> None:
    log.write(3)
    log.read_all()
    os.truncate(log.path, 0)
    log.write(1)
    log.read_all()
    assert (log.lost, log.taken.splitlines(keepends=True)) == (0, log.written)


def test_long_line_is_cut_into_marked_parts(log: WrittenLog) -> None:
    line = b"y" * (3 * PIECE_MAX + 17)
    log.writer.write(b"before\n" + line + b"\nafter\n")
    log.read(1)
    log.restart()
    log.read_all()
    assert log.taken.replace(CUT_MARK + GOES_ON_MARK, b"") == b"before\n" + line + b"\nafter\n"
    assert log.taken.count(CUT_MARK) == 3


def test_huge_sparse_file_is_read_in_bounded_steps(log: WrittenLog) -> None:
    log.write(1)
    os.truncate(log.path, 10 << 30)
    assert log.follower is not None
    for _ in range(3):
        records = log.follower.read(1 << 20)
        assert sum(len(record.data) for record in records) <= 2 << 20
        assert all(len(record.data) <= PIECE_MAX for record in records)


def test_binary_bytes_come_unchanged(log: WrittenLog) -> None:
    data = bytes(range(256)) * 700 + b"\n"
    log.writer.write(data)
    log.read_all()
    assert log.taken == data


def test_pipe_in_place_of_a_log_is_refused(log: WrittenLog) -> None:
    os.mkfifo(log.folder / "fifo")
    log.path.unlink()
    log.path.symlink_to(log.folder / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        log.read()


def test_unended_last_line_waits_for_its_end(log: WrittenLog) -> None:
    log.writer.write(b"begun")
    log.read_all()
    assert log.taken == b""
    log.writer.write(b" and ended\n")
    log.read_all()
    assert log.taken == b"begun and ended\n"
    log.writer.write(b"never ended")
    log.rename()
    log.reopen()
    log.writer.write(b"next\n")
    log.read_all()
    assert log.taken == b"begun and ended\nnever ended\nnext\n"
