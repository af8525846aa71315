"""A gather in batches: the time at which each node is told, and the end of the gather."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.cluster import results
from eccmgr.cluster.results import Entry, Sent, State
from eccmgr.cluster.view import EVERYONE, Seat, View
from eccmgr.cluster.waiting import News, Pace, Published, Waiting

ISSUED, EXPIRES = 1000, 61_000
SEATS = [Seat(f"#ec0-{n}#n{n}", f"n{n}", "default") for n in range(1, 13)]
ALIVE = View(1, {seat.key: seat for seat in SEATS}, {})


def waiting(pace: Pace, nodes: int = 4, waited_ms: int = 90_000) -> Waiting:
    sent = Sent("01KB3ZC0WV9Y", "pid", EVERYONE, "root", 1, ISSUED, 0, EXPIRES, waited_ms, rolling=True)
    return Waiting(Published(sent, SEATS[:nodes], []), pace)


def answers(names: Sequence[str], state: State = State.OK, clock: int = 2000, now: View = ALIVE) -> News:
    private = {seat.key: seat.private_name for seat in SEATS}
    return News(clock, now, {name: Entry(state, private[name], clock) for name in names})


def tell(gather: Waiting, expires_ms: int = EXPIRES) -> list[str]:
    due = gather.due()
    gather.told(due, expires_ms)
    return due


@pytest.mark.parametrize(
    ("pace", "nodes", "width"),
    [
        (Pace(3), 10, 3),
        (Pace(30), 10, 30),
        (Pace(30, percent=True), 10, 3),
        (Pace(25, percent=True), 10, 3),
        (Pace(1, percent=True), 10, 1),
        (Pace(100, percent=True), 7, 7),
    ],
)
def test_batch_is_a_number_or_share_of_nodes(pace: Pace, nodes: int, width: int) -> None:
    assert pace.width(nodes) == width


@given(st.integers(1, 999_999_999), st.booleans(), st.none() | st.integers(0, 999_999_999))
def test_pace_is_read_as_it_is_kept(batch: int, percent: bool, limit: int | None) -> None:
    pace = Pace(batch, percent, limit)
    assert Pace.read(pace.kept) == pace


@pytest.mark.parametrize("kept", ["", "3", "0 -", "3 x", "3% 1 ", "-1 -", "3 -\n", "9999999999 -"])
def test_garbled_pace_is_refused(kept: str) -> None:
    with pytest.raises(ValueError, match="is not a pace"):
        Pace.read(kept)


def test_gather_driven_elsewhere_releases_nothing() -> None:
    gather = waiting(Pace(1, max_failures=0), nodes=3)
    gather.elsewhere = True
    assert gather.due() == []
    gather.told_elsewhere({"n1": EXPIRES, "n2": EXPIRES + 1, "n9": EXPIRES})
    assert gather.untold == 1
    gather.settle(answers(["n1"], State.FAILED))
    gather.settle(answers(["n2"], now=ALIVE))
    assert not gather.over, "its driver decides that nothing more is released"
    gather.elsewhere = False
    assert gather.over


def test_job_outlives_the_session_that_began_it() -> None:
    gather = waiting(Pace(2), nodes=2)
    tell(gather)
    gather.note_running({"n1": Entry(State.RUNNING, SEATS[0].private_name, 1500, 0, "40 %", "ab12")})
    again = {
        **ALIVE.live,
        "n1": replace(SEATS[0], private_name="#ec0-99#n1"),
        "n2": replace(SEATS[1], private_name="#ec0-98#n2"),
    }
    assert [o.node for o in gather.settle(News(2000, View(2, again, {}), {}))] == ["n2"]


def test_settled_node_makes_room_for_the_next_name() -> None:
    gather = waiting(Pace(2), nodes=12)
    assert tell(gather) == ["n1", "n2"]
    assert gather.due() == []
    gather.settle(answers(["n2"]))
    assert tell(gather) == ["n3"]
    gather.settle(answers(["n1", "n3"]))
    assert tell(gather) == ["n4", "n5"]


@pytest.mark.parametrize("state", [State.FAILED, State.REFUSED])
def test_too_many_failures_skip_others_but_await_running(state: State) -> None:
    gather = waiting(Pace(2, max_failures=1))
    tell(gather)
    gather.settle(answers(["n1"], state))
    assert tell(gather) == ["n3"]
    gather.settle(answers(["n2"], state))
    assert gather.due() == []
    assert not gather.over
    gather.settle(answers(["n3"]))
    assert gather.over
    assert not gather.answered
    assert [o.state.value for o in gather.report().outcomes] == [state.value, state.value, "ok", "skipped"]


def test_node_that_dies_before_its_turn_counts_lost() -> None:
    gather = waiting(Pace(1, max_failures=0))
    tell(gather)
    gather.settle(News(1500, ALIVE, {}))
    left = View(2, {key: seat for key, seat in ALIVE.live.items() if key != "n4"}, {})
    gather.settle(News(2000, left, {}))
    gather.settle(answers(["n1"], now=left))
    assert gather.over
    assert [o.state.value for o in gather.report().outcomes] == ["ok", "skipped", "skipped", "lost"]


def test_a_nodes_time_counts_from_its_own_turn() -> None:
    gather = waiting(Pace(1), nodes=2)
    tell(gather, 10_000)
    assert not gather.unsure(News(9_999, ALIVE, {}))
    late = News(10_000, ALIVE, {})
    assert gather.unsure(late)
    assert not gather.unsure(late)
    (missed,) = gather.settle(News(10_000, ALIVE, {}, frozenset({"n1"})))
    assert missed.state is State.MISSED
    tell(gather, 20_000)
    assert not gather.unsure(News(19_999, ALIVE, {}))
    assert gather.unsure(News(20_000, ALIVE, {}))


@given(
    st.integers(1, 12),
    st.integers(1, 5),
    st.none() | st.integers(0, 3),
    st.lists(st.booleans(), min_size=12, max_size=12),
    st.randoms(use_true_random=False),
)
def test_pacing_tells_each_node_once_within_the_batch(
    nodes: int, batch: int, limit: int | None, fails: list[bool], chance: object
) -> None:
    gather = waiting(Pace(batch, max_failures=limit), nodes)
    told: list[str] = []
    at_it: list[str] = []
    while not gather.over:
        due = tell(gather)
        told += due
        at_it += due
        assert len(at_it) <= batch
        assert at_it
        chance.shuffle(at_it)  # type: ignore[attr-defined]
        name = at_it.pop()
        gather.settle(answers([name], State.FAILED if fails[int(name[1:]) - 1] else State.OK))
    assert len(told) == len(set(told))
    states = {o.node: o.state for o in gather.report().outcomes}
    assert len(states) == nodes
    assert {name for name, state in states.items() if state is State.SKIPPED} == states.keys() - set(told)
    failed = sum(state is State.FAILED for state in states.values())
    assert len(told) == nodes or (limit is not None and failed > limit)


@given(
    st.permutations(range(len(SEATS))),
    st.lists(st.sampled_from([State.OK, State.FAILED, State.REFUSED]), min_size=12, max_size=12),
    st.integers(1, 12),
)
def test_finished_gather_reports_what_retrieve_would(order: list[int], states: list[State], at_once: int) -> None:
    sent = Sent("01KB3ZC0WV9Y", "pid", EVERYONE, "root", 1, ISSUED, 0, EXPIRES, 90_000)
    gather = Waiting(Published(sent, *ALIVE.expected(EVERYONE)))
    entries: dict[str, Entry] = {}
    for at in range(0, len(order), at_once):
        some = [SEATS[number] for number in order[at : at + at_once]]
        found = {
            seat.key: Entry(states[int(seat.key[1:]) - 1], seat.private_name, 2000 + at, 1, seat.name) for seat in some
        }
        entries |= found
        gather.settle(News(2000 + at, ALIVE, found))
    assert gather.answered
    assert gather.report() == results.report(sent, ALIVE, ALIVE, entries, 5000)
