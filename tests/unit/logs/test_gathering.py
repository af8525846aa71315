"""What a manager takes, where it goes on, and which nodes it has."""

import errno
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.logs.collection.gathering.checkpoint import Checkpoint, Note, Notes, start
from eccmgr.logs.collection.gathering.sharing import LogShare, decide
from eccmgr.logs.collection.gathering.stand import Stand, Unit
from eccmgr.logs.collection.gathering.targets import LogTarget, Modes, Targets
from eccmgr.logs.collection.gathering.writing import WriteBatch, Writer, Writing
from eccmgr.logs.collection.news import Wishes
from eccmgr.logs.collection.pieces import Edge, cut
from eccmgr.logs.collection.pipe.calls import LogLease, PipeKeys
from eccmgr.logs.collection.places import FileIdentity, LogPlace, digest
from eccmgr.logs.collection.records import Packer, Record, unpacked
from eccmgr.redis.keys import Keys

FILE = FileIdentity(1, 2, 0, digest(b""))
MODES = Modes(0o640, 0o755)
WORDS = (b"b", b"e", b"t", b"f", b"l", b"d")


def place(offset: int, turn: int = 7) -> LogPlace:
    return LogPlace(turn, FILE, offset, digest(b""))


def entry(record: Record, number: int) -> tuple[bytes, dict[bytes, bytes]]:
    words = (word if isinstance(word, bytes) else str(word).encode() for word in Packer().words(record))
    return b"%d-1" % number, dict(zip(WORDS, words, strict=True))


def stand(at: LogPlace | None, epoch: int = 1, target: LogTarget | None = None, number: int = 0) -> Stand:
    unit = Unit("master", "east1", "x")
    lease = LogLease("master", "#mgr-1#m", epoch)
    return Stand(unit, PipeKeys.of(Keys("c"), "east1", "x"), lease, at, target, number, {})


@given(st.binary(max_size=400), st.integers(1, 50))
def test_however_a_log_is_cut_its_bytes_stay(data: bytes, width: int) -> None:
    data = data.replace(b"x", b"\n") + b"y" * width
    pieces = list(cut(data, is_last=True))
    assert sum(piece.size for piece in pieces) == len(data)
    assert all(not piece.edges & Edge.UNENDED for piece in pieces[:-1])


@given(st.integers(0, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(1, 10)), max_size=8))
def test_records_that_overlap_give_each_byte_once(begin: int, spans: list[tuple[int, int]]) -> None:
    log = bytes(range(40))
    entries = [
        entry(Record(place(at), place(at + size), 0, log[at : at + size]), number)
        for number, (at, size) in enumerate(spans, 1)
    ]
    taking = stand(place(begin)).take(entries, lambda _ms: "/x")
    assert taking.end is not None
    assert b"".join(taking.data) == log[begin : taking.end.offset]


def test_gap_is_noticed_and_nothing_behind_it_taken() -> None:
    entries = [entry(Record(place(0), place(2), 0, b"a\n"), 1), entry(Record(place(4), place(6), 0, b"c\n"), 2)]
    taking = stand(place(0)).take(entries, lambda _ms: "/x")
    assert (taking.gap, taking.data, taking.cursor) == (True, [b"a\n"], b"1-1")


def test_lines_of_two_days_are_written_apart() -> None:
    entries = [entry(Record(place(0), place(2), 1, b"a\n"), 1), entry(Record(place(2), place(4), 2, b"b\n"), 2)]
    taking = stand(place(0)).take(entries, lambda ms: f"/{ms}")
    assert (taking.path, taking.data, taking.gap) == ("/1", [b"a\n"], False)


def test_what_nobody_wrote_is_sent_again() -> None:
    taking = stand(place(0)).take([(b"1-1", {b"b": b"nonsense"})], lambda _ms: "/x")
    assert taking.gap


def note(number: int, epoch: int, length: int, before: int) -> Note:
    return Note(place(length).dump(), number, epoch, "/x", length, before, 1, 2)


def test_server_that_forgot_does_not_move_us_back() -> None:
    kept = Checkpoint(place(10).dump(), 1, epoch=5, store="s", stores={"s": 1})
    begin = start(kept, note(2, 5, 20, 10), "s")
    assert (begin.place, begin.target and begin.target.length) == (place(20), 20)
    begin = start(None, note(2, 5, 20, 10), "s")
    assert (begin.place, begin.target and begin.target.length) == (place(20), 20)


def test_what_another_manager_has_is_cut_off_here() -> None:
    kept = Checkpoint(place(40).dump(), 4, epoch=6, store="t", stores={"s": 1, "t": 4})
    begin = start(kept, note(2, 5, 20, 10), "s")
    assert (begin.place, begin.target and begin.target.length) == (place(40), 10)


def test_forged_checkpoint_does_not_shorten_a_target() -> None:
    forged = Checkpoint(place(0).dump(), 9, epoch=9, store="s", path="/etc/passwd", length=0, stores={"s": 9})
    begin = start(forged, note(2, 5, 20, 10), "s")
    assert begin.target == LogTarget("/x", 20, 1, 2)


def test_lost_bytes_count_once_whatever_redis_forgot() -> None:
    ours = msgspec.structs.replace(note(2, 5, 20, 10), lost=7)
    assert start(None, ours, "s").lost == 7
    assert start(Checkpoint(place(10).dump(), 1, epoch=5, store="s", stores={"s": 1}, lost=3), ours, "s").lost == 7
    later = Checkpoint(place(40).dump(), 4, epoch=6, store="t", stores={"s": 1, "t": 4}, lost=3)
    assert start(later, ours, "s").lost == 3
    assert start(later, None, "s").lost == 3


def test_time_of_a_place_goes_with_the_place() -> None:
    ours = msgspec.structs.replace(note(2, 5, 20, 10), wall_ms=7)
    assert start(None, ours, "s").wall_ms == 7
    earlier = Checkpoint(place(10).dump(), 1, epoch=5, store="s", stores={"s": 1}, wall_ms=3)
    assert start(earlier, ours, "s").wall_ms == 7
    later = Checkpoint(place(40).dump(), 4, epoch=6, store="t", stores={"s": 1, "t": 4}, wall_ms=9)
    assert start(later, ours, "s").wall_ms == 9
    assert start(later, None, "s").wall_ms == 9


def test_torn_note_counts_as_none(tmp_path: Path) -> None:
    notes = Notes(str(tmp_path / "notes"), 0o755)
    notes.write("master", "east1", "x", note(1, 1, 5, 0))
    assert notes.read("master", "east1", "x") == note(1, 1, 5, 0)
    file = tmp_path / "notes" / "master" / "east1" / "x"
    file.write_bytes(file.read_bytes()[:40])
    assert notes.read("master", "east1", "x") is None
    assert Notes(str(tmp_path / "notes"), 0o755).store == notes.store


def test_first_bytes_are_noted_before_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    monkeypatch.setattr("os.fdatasync", full)
    writer = Writer(Targets(2, 300), Notes(str(tmp_path / "notes"), 0o755), MODES)
    begun = stand(None)
    taking = begun.take([entry(Record(place(3), place(5), 0, b"a\n"), 1)], lambda _ms: str(tmp_path / "x"))
    writing = Writing(begun, taking)
    writer.write(WriteBatch([writing]))
    assert writing.fault
    kept = writer.notes.read("master", "east1", "x")
    assert kept is not None
    assert (kept.at(), kept.length) == (place(3), 0)
    writer.targets.close()


def test_manager_that_lost_the_lease_writes_nothing(tmp_path: Path) -> None:
    def written(writer: Writer, having: Stand, data: bytes) -> Writing:
        assert having.place is not None
        record = Record(having.place, place(having.place.offset + len(data)), 0, data)
        writing = Writing(having, having.take([entry(record, 1)], lambda _ms: str(tmp_path / "x")))
        writer.write(WriteBatch([writing]))
        return writing

    slow, next_one = (Writer(Targets(2, 300), Notes(str(tmp_path / "notes"), 0o755), MODES) for _ in range(2))
    first = stand(place(0))
    assert not written(slow, first, b"1\n").is_fenced
    # Redis was not told. The manager that goes on cuts what does not count, and writes more than the slow one.
    noted = next_one.notes.read("master", "east1", "x")
    assert noted is not None
    begin = start(None, noted, next_one.notes.store)
    assert begin.target is not None
    target = next_one.begin(first.unit, begin, begin.target, 2)
    second = stand(begin.place, 2, target, begin.number)
    assert not written(next_one, second, b"2\n3\n").is_fenced
    assert written(slow, first, b"1\n").is_fenced
    assert (tmp_path / "x").read_bytes() == b"1\n2\n3\n"
    kept = slow.notes.read("master", "east1", "x")
    assert kept is not None
    assert (kept.epoch, kept.length) == (2, 6)
    for writer in (slow, next_one):
        writer.targets.close()


def test_older_note_and_later_checkpoint_are_not_mixed() -> None:
    kept = Checkpoint(place(40).dump(), 4, epoch=6, store="s", path="/x", length=40, stores={"s": 4})
    begin = start(kept, note(2, 5, 20, 10), "s")
    assert (begin.place, begin.target and begin.target.length) == (place(40), 40)
    # Of the next day's file the note knows nothing, and Redis may not name a file.
    begin = start(msgspec.structs.replace(kept, path="/y"), note(2, 5, 20, 10), "s")
    assert (begin.place, begin.target and begin.target.length) == (place(20), 20)


def test_target_is_cut_back_wherever_it_was_moved(tmp_path: Path) -> None:
    targets, path = Targets(2, 300), tmp_path / "day" / "east1"
    _, target = targets.write(targets.begin(str(path), MODES), b"valid\n", MODES)
    targets.write(target, b"not valid\n", MODES)
    path.rename(path.with_suffix(".1"))
    assert targets.restore(target, MODES).length == 0
    assert path.with_suffix(".1").read_bytes() == b"valid\n"
    targets.close()


def test_same_bytes_written_twice_change_nothing(tmp_path: Path) -> None:
    targets = Targets(2, 300)
    begun = targets.begin(str(tmp_path / "x"), MODES)
    for data in (b"one\ntwo\n", b"one\n", b"one\ntwo\n"):
        _, target = targets.write(begun, data, MODES)
        assert target.length == len(data)
        assert (tmp_path / "x").read_bytes() == data
    targets.close()


def test_few_files_are_open_at_once(tmp_path: Path) -> None:
    targets = Targets(3, 300)
    for number in range(20):
        targets.begin(str(tmp_path / str(number)), MODES)
    assert len(targets) == 3
    targets.close()


@given(st.integers(1, 4), st.integers(0, 12), st.lists(st.integers(0, 3), max_size=12))
def test_managers_come_to_share_all_nodes_evenly(managers: int, nodes: int, first: list[int]) -> None:
    names = [f"#mgr-{number}#m{number}" for number in range(managers)]
    wishes = {name: Wishes(name, ("master",)) for name in names}
    holders: dict[LogShare, str | None] = {LogShare("master", f"n{number:02}"): None for number in range(nodes)}
    for share, number in zip(holders, first, strict=False):
        holders[share] = names[number % managers]
    for _ in range(3 * nodes + 3):
        for name in names:
            decision = decide(name, wishes, holders)
            holders |= dict.fromkeys(decision.give_back, None)
            holders |= dict.fromkeys(decision.take, name)
    counts = [list(holders.values()).count(name) for name in names]
    assert sum(counts) == nodes
    assert max(counts) - min(counts) <= 1


def test_records_are_read_as_they_were_written() -> None:
    for data in (b"a\n" * 4000, bytes(range(256)) * 2, b"x\n"):
        record = Record(place(0), place(len(data)), 5, data, Edge.GOES_ON)
        assert unpacked(entry(record, 1)[1]) == record
