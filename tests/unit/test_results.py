"""The outcome of a command on each node: every expected node is accounted for, and settled once."""

import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.cluster.calls.answers import entries
from eccmgr.cluster.options import RESPONSE_BYTES_MAX
from eccmgr.cluster.results import Entry, Sent, State, outcome, pack_body, report
from eccmgr.cluster.view import EVERYONE, Seat, Target, TargetKind, View
from eccmgr.cluster.waiting import News, Published, Waiting
from eccmgr.errors import Unreadable

ISSUED, EXPIRES = 1000, 61_000
EAST1, EAST2, WEST1 = (
    Seat(f"#ec0-{number}#{name}", name, name[:4]) for number, name in enumerate(("east1", "east2", "west1"))
)


ROUNDS = 6
ROUND = st.none() | st.integers(0, ROUNDS - 1)


def seats(*found: Seat) -> dict[str, Seat]:
    return {seat.key: seat for seat in found}


def sent(target: Target = EVERYONE, waited_ms: int | None = None) -> Sent:
    return Sent("01KB3ZC0WV9Y", "pid", target, "root", 1, ISSUED, 0, EXPIRES, waited_ms)


def entry(seat: Seat, state: State = State.OK, at_ms: int = 3000, text: str = "") -> Entry:
    return Entry(state, seat.private_name, at_ms, 5, text)


ALIVE = View(1, seats(EAST1, EAST2, WEST1), {})
DEAD = View(2, seats(EAST2, WEST1), seats(EAST1))


class TestOutcome:
    @pytest.mark.parametrize(
        ("aborted", "state"),
        [(None, State.SKIPPED), (2999, State.ABORTED), (3000, State.ABORTED), (3001, State.SKIPPED)],
    )
    def test_unreached_node_is_skipped_unless_withdrawn(self, aborted: int | None, state: State) -> None:
        rolling = replace(sent(waited_ms=3000), rolling=True, aborted_ms=aborted)
        assert outcome(rolling, EAST1, ALIVE, None, 9000).state == state

    @pytest.mark.parametrize(
        ("now", "kept", "clock", "state", "seconds"),
        [
            (ALIVE, None, 3000, State.PENDING, 2.0),
            (ALIVE, None, EXPIRES - 1, State.PENDING, 59.999),
            (ALIVE, None, EXPIRES, State.MISSED, 60.0),
            (ALIVE, entry(EAST1, State.RUNNING, 2000), 5000, State.RUNNING, 3.0),
            (ALIVE, entry(EAST1, State.RUNNING, 2000), EXPIRES, State.RUNNING, 59.0),
            (ALIVE, entry(EAST1, State.OK), 9000, State.OK, 2.0),
            (ALIVE, entry(EAST1, State.FAILED), 9000, State.FAILED, 2.0),
            (ALIVE, entry(EAST1, State.REFUSED), 9000, State.REFUSED, 2.0),
            (ALIVE, entry(EAST1, State.MISSED), 9000, State.MISSED, 2.0),
            (DEAD, None, 3000, State.LOST, 2.0),
            (DEAD, entry(EAST1, State.RUNNING, 2000), 5000, State.LOST, 4.0),
            (DEAD, entry(EAST1, State.OK), 9000, State.OK, 2.0),
            (DEAD, None, EXPIRES, State.LOST, 60.0),
        ],
    )
    def test_state_follows_from_entry_sessions_and_clock(
        self, now: View, kept: Entry | None, clock: int, state: State, seconds: float
    ) -> None:
        found = outcome(sent(), EAST1, now, kept, clock)
        assert (found.state, found.seconds) == (state, seconds)

    def test_entry_of_another_life_is_not_this_ones(self) -> None:
        foreign = Entry(State.OK, "#ec0-9#east1", 2000)
        assert outcome(sent(), EAST1, ALIVE, foreign, 3000).state is State.PENDING
        assert outcome(sent(), EAST1, DEAD, foreign, 3000).state is State.LOST

    def test_an_answer_after_the_senders_wait_is_late(self) -> None:
        waited = sent(waited_ms=2000)
        assert outcome(waited, EAST1, ALIVE, entry(EAST1, at_ms=2000), 9000).late_s is None
        assert outcome(waited, EAST1, ALIVE, entry(EAST1, at_ms=6000), 9000).late_s == 4.0
        assert outcome(sent(), EAST1, ALIVE, entry(EAST1, at_ms=6000), 9000).late_s is None

    def test_what_cannot_be_waited_for_is_final(self) -> None:
        assert {state for state in State if not state.final} == {State.PENDING, State.RUNNING}
        assert {state for state in State if state.answered} == {State.OK, State.FAILED, State.REFUSED}


class TestReport:
    def test_every_expected_node_is_listed_by_name(self) -> None:
        east10 = Seat("#ec0-7#east10", "east10", "east")
        then = View(1, seats(east10, EAST2, WEST1), seats(replace(EAST1, absent=True)))
        found = report(sent(), then, then, {"east2": entry(EAST2)}, 3000)
        assert [(o.node, o.state.value) for o in found.outcomes] == [
            ("east1", "absent"),
            ("east2", "ok"),
            ("east10", "pending"),
            ("west1", "pending"),
        ]
        assert found.answered == 1
        assert not found.complete

    def test_entries_of_unexpected_nodes_are_left_out(self) -> None:
        found = report(sent(Target(TargetKind.NODE, "east2")), ALIVE, ALIVE, {"east1": entry(EAST1)}, 3000)
        assert [o.node for o in found.outcomes] == ["east2"]

    def test_it_is_complete_when_all_answered_well(self) -> None:
        answers = {seat.key: entry(seat) for seat in (EAST1, EAST2, WEST1)}
        assert report(sent(), ALIVE, ALIVE, answers, 3000).complete
        answers["east1"] = entry(EAST1, State.FAILED)
        failed = report(sent(), ALIVE, ALIVE, answers, 3000)
        assert (failed.complete, failed.answered) == (False, 3)

    def test_part_of_a_report_covers_subcluster_or_node(self) -> None:
        found = report(sent(), ALIVE, ALIVE, {}, 3000)
        assert [o.node for o in found.only(Target(TargetKind.SUBCLUSTER, "EAST")).outcomes] == ["east1", "east2"]
        assert [o.node for o in found.only(Target(TargetKind.NODE, "West1")).outcomes] == ["west1"]


class TestBody:
    def test_a_small_one_is_kept_as_it_is(self) -> None:
        assert pack_body("grün", 1000) == ("", "grün".encode())

    def test_a_large_one_is_compressed(self) -> None:
        flags, body = pack_body("x" * 100_000, 1_000_000)
        assert flags == "z"
        assert zlib.decompress(body) == b"x" * 100_000

    @given(st.text(max_size=400), st.integers(60, 300))
    def test_answer_over_the_limit_is_cut_visibly(self, text: str, limit: int) -> None:
        flags, body = pack_body(text, limit)
        size = len(text.encode("utf-8", "replace"))
        assert len(body) <= limit
        assert flags == ""
        shown = body.decode()
        if size <= limit:
            assert body == text.encode("utf-8", "replace")
        else:
            assert shown.endswith(f"\n(cut: {size} bytes, limit {limit})")

    def test_cut_after_a_line_leaves_no_empty_line(self) -> None:
        _, body = pack_body("line\n" * 100, 92)
        assert body.decode().endswith("\nline\n(cut: 500 bytes, limit 92)")

    @given(st.text(max_size=200), st.sampled_from(sorted(State)))
    def test_an_entry_is_read_as_it_was_written(self, text: str, state: str) -> None:
        text = text.encode("utf-8", "replace").decode()
        flags, body = pack_body(text, 10_000)
        raw = f"{state}\t#ec0-1#east1\t3000\t5\t{flags}\n".encode() + body
        assert Entry.parse(raw) == Entry(
            State(state), "#ec0-1#east1", 3000, 5, text.encode("utf-8", "replace").decode()
        )

    def test_body_larger_than_memory_is_not_unpacked(self) -> None:
        packer = zlib.compressobj(9)
        bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(RESPONSE_BYTES_MAX >> 20)) + packer.compress(
            b"x"
        )
        with pytest.raises(Unreadable, match="too long"):
            Entry.parse(b"ok\t#ec0-1#east1\t3000\t5\tz\n" + bomb + packer.flush())

    @pytest.mark.parametrize("raw", [b"", b"x", b"ok\t#ec0-1#east1\t3000\t5\tz\nno zlib", b"\xff\t\t\t\t\n"])
    def test_unreadable_answer_is_its_nodes_failure(self, raw: bytes) -> None:
        (outcome, *_) = report(sent(), ALIVE, ALIVE, entries({b"east1": raw}), 2000).outcomes
        assert (outcome.state, outcome.text) == (State.FAILED, "the record of its answer in Redis cannot be read")


class TestWaiting:
    """The bookkeeping of a gather."""

    def test_it_is_over_when_every_node_has_answered(self) -> None:
        waiting = Waiting(Published(sent(), [EAST1, EAST2], []))
        assert [o.node for o in waiting.settle(News(2000, ALIVE, {"east1": entry(EAST1)}))] == ["east1"]
        assert not waiting.over
        waiting.settle(News(2000, ALIVE, {"east2": entry(EAST2)}))
        assert waiting.answered
        assert waiting.report().complete

    def test_a_node_that_dies_is_not_waited_for(self) -> None:
        waiting = Waiting(Published(sent(), [EAST1], []))
        assert waiting.settle(News(2000, ALIVE, {})) == []
        (lost,) = waiting.settle(News(2500, DEAD, {}))
        assert (lost.node, lost.state) == ("east1", State.LOST)
        assert waiting.over
        assert not waiting.answered

    def test_death_is_noticed_despite_equal_number_after_restart(self) -> None:
        waiting = Waiting(Published(sent(), [EAST1], []))
        waiting.settle(News(2000, ALIVE, {}))
        waiting.settle(News(2500, View(ALIVE.number, {}, {}), {}))
        assert waiting.over

    def test_absent_node_is_reported_without_waiting(self) -> None:
        waiting = Waiting(Published(sent(), [EAST2], [replace(EAST1, absent=True, since_ms=7)]))
        waiting.settle(News(2000, DEAD, {"east2": entry(EAST2)}))
        assert waiting.over
        assert waiting.answered
        assert [(o.state, o.since_ms) for o in waiting.report().outcomes] == [(State.ABSENT, 7), (State.OK, None)]

    @given(st.lists(st.tuples(ROUND, ROUND), min_size=1, max_size=8))
    def test_any_order_of_news_settles_nodes_once(self, fates: list[tuple[int | None, int | None]]) -> None:
        nodes = {Seat(f"#ec0-{n}#n{n}", f"n{n}", "default"): fate for n, fate in enumerate(fates)}
        waiting = Waiting(Published(sent(), list(nodes), []))
        settled: dict[str, State] = {}
        for number in range(ROUNDS + 1):
            clock = ISSUED + number * (EXPIRES - ISSUED) // ROUNDS
            living = [s for s, (_, dies) in nodes.items() if dies is None or dies > number]
            speaking = {s.key: entry(s, at_ms=clock) for s, (speaks, _) in nodes.items() if speaks == number}
            silent = {s.key for s, (speaks, _) in nodes.items() if speaks is None or speaks > number}
            missed = frozenset(silent if clock >= EXPIRES else ())
            outcomes = waiting.settle(News(clock, View(number, seats(*living), {}), speaking, missed))
            assert not settled.keys() & {found.node for found in outcomes}
            settled |= {found.node: found.state for found in outcomes}
        assert waiting.over
        assert settled.keys() == {seat.name for seat in nodes}
        assert all(state.final for state in settled.values())
        assert [found.node for found in waiting.report().outcomes] == [seat.name for seat in nodes]
