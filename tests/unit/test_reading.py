"""Records in Redis are read strictly: a record that we do not write raises Unreadable, and nothing else."""

import contextlib
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.cluster.members import Identity, Life, Member, Role
from eccmgr.cluster.results import Entry, Sent
from eccmgr.cluster.view import Seat
from eccmgr.duravip.beliefs import parts_of, unpack
from eccmgr.duravip.records import VipRecord
from eccmgr.duravip.statements import Statement
from eccmgr.errors import Unreadable
from eccmgr.redis import reading
from eccmgr.redis.reading import LONGEST, Dropped
from eccmgr.schedules.schedule import Firing, Schedule
from eccmgr.schedules.times import Every
from worker.jobs.records import JobRecord

NASTY = st.sampled_from(
    [
        *(b"", b"\xff", b"{}", b"[]", b"null", b"1", b"[" * 100_000, b'{"id":' * 100_000, b'{"id": NaN}'),
        *(b"9" * 5000, b"\t\t\t\t", b"a\t9" + b"9" * 20 + b"\t1\t\t", b"#a\tb\nc\td\t1\t"),
        b'{"id": "a", "text": "b", "user": "c", "every": NaN}',
        b'{"id": "a", "text": "b", "user": "c", "every": 0}',
        b'{"id": "a", "text": "b", "user": "c", "cron": "* *", "zone": "UTC"}',
        b'{"id": "a", "text": "b", "user": "c", "cron": "* * * * *", "zone": "No/Where"}',
    ]
)


@pytest.mark.parametrize(
    "parse",
    [
        *(Seat.parse, Member.parse, Schedule.parse, Firing.parse, JobRecord.parse, unpack, parts_of, Entry.parse),
        lambda raw: VipRecord.parse(raw.decode(errors="replace")),
        lambda raw: Statement.parse(raw.decode(errors="replace")),
        lambda raw: Sent.parse({b"id": raw, b"view": raw, b"kind": raw}),
    ],
    ids=lambda parse: getattr(parse, "__qualname__", "?"),
)
def test_what_nobody_wrote_is_unreadable_and_nothing_else(parse: Callable[[bytes], object]) -> None:
    @given(raw=NASTY | st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
    def example(raw: bytes) -> None:
        with contextlib.suppress(Unreadable):
            parse(raw)

    example()


def test_name_with_a_line_break_forges_no_line() -> None:
    with pytest.raises(Unreadable):
        Seat.parse(b"#ec0-1-a#b\tb\nwest1: ok\teast\t1\t")


RECORDS = [
    Identity(Role.NODE, "east1", "east", "1.0", "h:1", ("g",), 1.5).member("#ec0-1-a#east1"),
    Schedule("a", "uptime", "root", Every(2.5)),
    Firing("a", "uptime", "root", 1, "#mgr-1-a#pono", 2),
    JobRecord("a1", "b", "uptime", "root", Life("#ec0-1-a#east1", 3), 9.5, 1, "root"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_read_back_as_it_was(record: Any) -> None:
    assert type(record).parse(record.dump().encode()) == record


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
@pytest.mark.parametrize("wrong", [True, {}, [[]], -1, 1e300], ids=str)
def test_a_field_of_another_type_is_unreadable(record: Any, wrong: object) -> None:
    kept = json.loads(record.dump())
    for name in kept:
        if (name, wrong) == ("limited", True):
            continue  # a flag
        with pytest.raises(Unreadable):
            type(record).parse(json.dumps({**kept, name: wrong}).encode())


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_that_is_too_long_is_unreadable(record: Any) -> None:
    with pytest.raises(Unreadable, match="longer than"):
        type(record).parse(record.dump().encode() + b" " * LONGEST)


def test_the_log_names_few_of_many_dropped_records(monkeypatch: pytest.MonkeyPatch) -> None:
    places, now = list[str](), [0.0]
    monkeypatch.setattr(reading, "log", SimpleNamespace(warning=lambda _event, where, reason: places.append(where)))
    dropped = Dropped("record", lambda: now[0])
    for number in range(1000):
        dropped.say(f"key{number}", b"junk", "it is junk")
    assert len(places) < 100
    assert places[-1] == "many places"
    now[0] = 61.0
    dropped.say("another", b"junk", "it is junk")
    assert places[-1] == "another"
