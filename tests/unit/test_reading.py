"""What stands in Redis is read strictly: whatever is not what we write is Unreadable, and nothing else is raised."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.cluster.members import Member
from eccmgr.cluster.results import Entry, Sent
from eccmgr.cluster.view import Seat
from eccmgr.errors import Unreadable
from eccmgr.schedules.schedule import Firing, Schedule
from worker.duravip.beliefs import parts_of
from worker.duravip.model.records import Record
from worker.duravip.model.table import unpack
from worker.duravip.statements import Statement
from worker.jobs.records import Record as JobRecord

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
        lambda raw: Record.parse(raw.decode(errors="replace")),
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


def test_a_name_with_a_line_break_forges_no_line() -> None:
    with pytest.raises(Unreadable):
        Seat.parse(b"#ec0-1-a#b\tb\nwest1: ok\teast\t1\t")
