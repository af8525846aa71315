"""The progress of a gather: every expected node is in one state, and silent nodes say when they are settled."""

from hypothesis import given
from hypothesis import strategies as st

from eccmgr.cluster.calls.answers import OpenStanding
from eccmgr.cluster.progress import LEASES_READ, OpenState, gather_progress, leases_wanted
from eccmgr.cluster.results import Entry, Sent, State
from eccmgr.cluster.view import EVERYONE, Seat, View
from eccmgr.cluster.waiting import News, Pace, Published, Waiting

ISSUED, EXPIRES = 1000, 61_000
SEATS = [Seat(f"#ec0-{n}#n{n}", f"n{n}", "default") for n in range(1, 31)]
ABSENT = [Seat("", f"gone{n}", "default", absent=True) for n in (1, 2)]
ALIVE = View(1, {seat.key: seat for seat in SEATS}, {})


def gather(nodes: int, pace: Pace | None = None) -> Waiting:
    sent = Sent("01KB3ZC0WV9Y", "pid", EVERYONE, "root", 1, ISSUED, 0, EXPIRES, 90_000, rolling=pace is not None)
    return Waiting(Published(sent, SEATS[:nodes], ABSENT), pace)


def entry(seat: Seat, state: State, text: str = "", job: str = "") -> Entry:
    return Entry(state, seat.private_name, 2000, 1, text, job)


@given(
    st.integers(1, 30),
    st.none() | st.integers(1, 10),
    st.lists(st.sampled_from(["ok", "failed", "running", "job", "silent"]), min_size=30, max_size=30),
    st.integers(0, 5000),
)
def test_every_expected_node_is_counted_once(nodes: int, batch: int | None, fates: list[str], lease_ms: int) -> None:
    waiting = gather(nodes, None if batch is None else Pace(batch))
    waiting.told(waiting.due(), EXPIRES)
    begun = [seat for seat in SEATS[:nodes] if waiting.may_begin_until(seat.key) is not None]
    fate = dict(zip((seat.key for seat in SEATS), fates, strict=True))
    done = {seat.key: entry(seat, State(fate[seat.key])) for seat in begun if fate[seat.key] in ("ok", "failed")}
    waiting.settle(News(3000, ALIVE, done))
    running = {
        seat.key: entry(seat, State.RUNNING, "40 %", "ab12" if fate[seat.key] == "job" else "")
        for seat in begun
        if fate[seat.key] in ("running", "job")
    }
    leases = leases_wanted(waiting, running)
    assert len(leases) <= LEASES_READ
    ends = {name: 3000 + number * lease_ms for number, name in enumerate(leases)}
    made = gather_progress(waiting, OpenStanding(3000, running, ends), 20.0)
    assert sum(made.counts.values()) + made.untold == nodes + len(ABSENT)
    assert made.told + made.untold == nodes
    named = [name for group in made.open for name in group.nodes]
    assert sorted(named) == sorted(seat.name for seat in waiting.open.values())
    assert {state for group in made.open for state in [group.state] if group.job} <= {OpenState.RUNNING}
    bounded = [name for group in made.open if group.settles_in_s is not None for name in group.nodes]
    assert len(bounded) == len(leases)


def test_nodes_of_one_death_are_one_group() -> None:
    waiting = gather(4)
    ends = {SEATS[0].private_name: 4400, SEATS[1].private_name: 4450, SEATS[2].private_name: 5000}
    made = gather_progress(waiting, OpenStanding(3000, {}, ends), None)
    assert [(group.nodes, group.settles_in_s) for group in made.open] == [
        (("n1", "n2"), 1.45),
        (("n3",), 2.0),
        (("n4",), None),
    ]
    assert {group.seconds for group in made.open} == {2.0}


def test_node_past_its_time_to_begin_settles_sooner() -> None:
    waiting = gather(1)
    made = gather_progress(waiting, OpenStanding(EXPIRES - 500, {}, {SEATS[0].private_name: EXPIRES + 2000}), None)
    assert [group.settles_in_s for group in made.open] == [0.5]


def test_a_job_shows_its_percent() -> None:
    waiting = gather(2)
    running = {
        seat.key: entry(seat, State.RUNNING, text, "ab12") for seat, text in zip(SEATS, ("40 %", ""), strict=False)
    }
    made = gather_progress(waiting, OpenStanding(3000, running, {}), None)
    assert [(group.job, group.percent) for group in made.open] == [("ab12", 40.0), ("ab12", None)]
    assert made.counts == {State.ABSENT: 2, State.RUNNING: 2}


def test_batches_are_numbered_as_they_begin() -> None:
    waiting = gather(10, Pace(4))
    waiting.told(waiting.due(), EXPIRES)
    assert waiting.batch == (1, 3)
    waiting.settle(News(2000, ALIVE, {"n1": entry(SEATS[0], State.OK)}))
    waiting.told(waiting.due(), EXPIRES)
    assert (waiting.batch, waiting.untold) == ((2, 3), 5)
    assert gather(10).batch is None
