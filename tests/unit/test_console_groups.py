"""Groups of answers: equal ones, similar ones, their differences, and the last line about them."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.console.differences import differences
from cli.console.glance import LiveGather
from cli.console.groups import grouped
from cli.console.likeness import Folding
from cli.console.region import region
from cli.console.spans import drawn
from cli.console.summary import last_line
from eccmgr.cluster.results import Outcome, State


def ok(node: str, text: str, seconds: float = 1.0) -> Outcome:
    return Outcome(node, "", State.OK, seconds, text)


def similar(*outcomes: Outcome) -> list[str]:
    return [group.line() for group in grouped(outcomes, Folding.SIMILAR).as_they_came]


def test_similar_answers_show_ranges_and_outliers() -> None:
    times = [(f"west{number}", number, 59 - number) for number in (*range(1, 9), *range(10, 50))]
    lines = similar(*(ok(node, f"up {minutes} m {seconds} s") for node, minutes, seconds in times), ok("east1", "down"))
    assert lines == [
        "west[1-8,10-49]: up {1…49} m {10…58} s   (48 alike but for numbers; least west1, most west49)",
        "east1: down",
    ]


def test_own_name_makes_no_difference() -> None:
    assert similar(ok("east1", "EAST1 is up"), ok("east2", "east2 is up"), ok("east3.example.com", "east3 is up")) == [
        "east[1-2],east3.example.com: {node} is up   (3 alike but for the node's name)"
    ]
    (line,) = similar(ok("east1", "host east1.example.com: 7"), ok("east2", "host east2.example.com: 9"))
    assert line.split("   ") == [
        "east[1-2]: host {node}.example.com: {7…9}",
        "(2 alike but for numbers and the node's name; least east1, most east2)",
    ]
    # The name of another node is a text like any other.
    assert len(similar(ok("a", "a leads"), ok("b", "a leads"), ok("c", "c leads"))) == 2


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (("7", "7"), "7"),
        (("free 1.5 of 2", "free 10.25 of 2"), "free {1.5…10.25} of 2"),
        (("1.10.0", "1.9.0"), "1.{9…10}.0"),
        (("10.79.0.9", "10.79.0.20"), "10.79.0.{9…20}"),
        (("007", "7"), "{007…7}"),
        (("load 9.5e-05", "load 0.5"), "load {9.5e-05…0.5}"),
        (("9" * 5000, "1"), f"{{1…{'9' * 5000}}}"),
        (("a\nb 1", "a\nb 2"), "\n  a\n  b {1…2}\n  (2 alike"),
    ],
)
def test_numbers_of_similar_answers(texts: tuple[str, str], shown: str) -> None:
    (line,) = similar(ok("n1", texts[0]), ok("n2", texts[1]))
    assert line.replace("n[1-2]:", "").strip(" ").startswith(shown)


def test_states_jobs_and_lateness_part_similar_answers() -> None:
    alike = ok("a", "x 1")
    outcomes = [
        alike,
        alike._replace(node="b", state=State.FAILED),
        alike._replace(node="c", late_s=4.0),
        alike._replace(node="d", late_s=9.0),
        alike._replace(node="e", state=State.RUNNING, job="j1"),
        alike._replace(node="f", state=State.RUNNING, job="j2"),
        alike._replace(node="g", state=State.ABSENT, since_ms=0),
        alike._replace(node="h", state=State.ABSENT, since_ms=10**12),
    ]
    assert len(similar(*outcomes)) == len(outcomes)


NAMES = st.sampled_from([f"{stem}{number}" for stem in ("east", "west") for number in range(12)])
TEXTS = st.text("ab1 9.\n", max_size=6)
LATE = st.one_of(st.none(), st.floats(0, 9))
OUTCOMES = st.lists(
    st.builds(
        lambda node, state, text, late_s: Outcome(node, "", state, 1.0, text, late_s),
        *(NAMES, st.sampled_from(list(State)), TEXTS, LATE),
    ),
    max_size=12,
)


@given(OUTCOMES, st.sampled_from(list(Folding)))
def test_groups_part_the_nodes(outcomes: list[Outcome], folding: Folding) -> None:
    grouping = grouped(outcomes, folding)
    latest = {outcome.node: outcome for outcome in outcomes}
    members = [node for group in grouping.by_size for node in group.nodes]
    assert sorted(members) == sorted(latest)
    for group in grouping.by_size:
        assert {latest[node].state for node in group.nodes} == {group.state}
        if folding is not Folding.SIMILAR:
            assert {latest[node].text.rstrip("\n") for node in group.nodes} == {group.text.rstrip("\n")}
    sizes = [len(group) for group in grouping.by_size]
    assert sizes == sorted(sizes, reverse=True)


EXPECTED = [f"node{number}" for number in range(20)]
TOLD = st.one_of(
    st.builds(
        lambda node, state, text: {"event": "response", "node": node, "state": state, "seconds": 1.0, "text": text},
        st.sampled_from(EXPECTED[:16]),
        st.sampled_from([state.value for state in State if state.final]),
        st.sampled_from(["a", "b", ""]),
    ),
    st.builds(
        lambda running, untold: {"event": "progress", "counts": {"running": running}, "untold": untold, "open": []},
        st.integers(0, 30),
        st.integers(0, 30),
    ),
)


@given(st.lists(TOLD, max_size=20))
def test_each_expected_node_counts_once(events: list[dict[str, object]]) -> None:
    gather = LiveGather(Folding.ON, lambda: 0.0)
    absent = [{"node": node, "state": "absent", "seconds": 0.0, "text": ""} for node in EXPECTED[16:]]
    gather.take({"event": "progress", "command_id": "ID", "expected": 20, "nodes": EXPECTED[:16], "absent": absent})
    for event in events:
        gather.take(event)
        glance = gather.now()
        assert sum(glance.counts.values()) == glance.expected
        settled = Counter(node for group in glance.groups for node in group.nodes)
        assert set(settled.values()) == {1}
        assert settled.total() + sum(glance.counts.get(state, 0) for state in ("running", "pending", "not sent")) == 20


ODD = st.sampled_from([None, "x", -1, 1e400, [], {}, [1], {"state": "silent", "nodes": "a", "count": "many"}])
FIELDS = ("node", "state", "seconds", "text", "command_id", "expected", "nodes", "absent", "counts", "untold")
MORE_FIELDS = ("waited_s", "ends_in_s", "batch", "open", "late", "since", "line")


@given(st.lists(st.dictionaries(st.sampled_from([*FIELDS, *MORE_FIELDS]), ODD), max_size=5))
def test_odd_events_disturb_nothing(events: list[dict[str, object]]) -> None:
    gather = LiveGather(Folding.SIMILAR, lambda: 0.0)
    gather.take({"event": "progress", "command_id": "ID", "expected": 2, "nodes": ["a", "b"], "absent": []})
    for number, event in enumerate(events):
        gather.take({**event, "event": "response" if number % 2 else "progress"})
        gather.take({"node": "a", "state": "ok", "seconds": 1.0, "text": "1", **event, "event": "response"})
        for line in region(gather.now(), 80, 24, grouping=True, keys=True):
            assert drawn(line, 79, color=False).isprintable()
    gather.left()
    assert gather.finish_with("b: (lost)").startswith("= ")


def test_differences_are_against_the_largest_ok_group() -> None:
    outcomes = [
        *(Outcome(f"west{number}", "", State.LOST, 1.0) for number in range(3)),
        *(ok(f"east{number}", "one\ntwo\nthree") for number in range(2)),
        ok("east7", "one\n2\nthree"),
        Outcome("east8", "", State.FAILED, 1.0, "no such file"),
    ]
    assert differences(grouped(outcomes).as_they_came) == [
        *("east[0-1]:\n  one\n  two\n  three", "--- 2 ok (the reference)", "+++ east7  (1 ok)", "@@ -1,3 +1,3 @@"),
        *(" one", "-two", "+2", " three", "--- 2 ok (the reference)", "+++ east8  (1 failed)", "@@ -1,3 +1 @@"),
        *("-one", "-two", "-three", "+no such file", "west[0-2]: (lost)"),
    ]


def test_differences_have_bounds_and_name_every_node() -> None:
    outcomes = [ok(f"n{number}", f"answer {number // 2}") for number in range(100)]
    outcomes[7] = ok("n7", "\n".join(map(str, range(3000))))
    lines = differences(grouped(outcomes).as_they_came)
    assert len([line for line in lines if line.startswith("+++")]) == 20
    assert lines[-1].startswith("30 more groups: n[")
    assert differences(grouped([outcomes[7], ok("x", "1"), ok("y", "1")]).as_they_came)[1].startswith("Only the first")


def test_without_an_ok_answer_nothing_is_compared() -> None:
    lines = differences(grouped([Outcome("a", "", State.LOST, 1.0)]).as_they_came)
    assert lines == ["a: (lost)", "No node answered ok, so there is no reference to compare with"]
    assert differences(grouped([ok("a1", "1"), ok("a2", "1")]).as_they_came) == ["a[1-2]: 1", "All answers are equal"]


def last(*outcomes: Outcome) -> str:
    counts = Counter(outcome.state for outcome in outcomes)
    sizes = [len(group) for group in grouped(outcomes).by_size if group.state is State.OK]
    return last_line(counts, sizes, [outcome for outcome in outcomes if outcome.state.answered])


def test_last_line_counts_states_groups_and_times() -> None:
    outcomes = [ok(f"node{number}", "3" if number < 942 else "2", 0.9) for number in range(994)]
    outcomes[77] = ok("node77", "3", 4.1)
    outcomes[900:960] = [outcome._replace(seconds=1.9) for outcome in outcomes[900:960]]
    outcomes += [Outcome(f"f{number}", "", State.FAILED, 1.0, "no") for number in range(3)]
    outcomes += [Outcome(f"l{number}", "", State.LOST, 9.0) for number in range(3)]
    assert last(*outcomes) == (
        "= 994 ok in 2 groups (942, 52), 3 failed, 3 lost; median 0.9 s, p95 1.9 s, slowest node77 4.1 s"
    )


@pytest.mark.parametrize(
    ("outcomes", "line"),
    [
        ([], "= no node"),
        ([ok("a", "1", 0.04)], "= 1 ok; a 40 ms"),
        ([ok("a", "1"), ok("b", "1")], "= 2 ok in 1 group; median 1.0 s, p95 1.0 s, slowest b 1.0 s"),
        ([ok("a", "1"), ok("b", "2")], "= 2 ok, no two alike; median 1.0 s, p95 1.0 s, slowest b 1.0 s"),
        ([Outcome("a", "", State.LOST, 1.0)], "= 1 lost"),
    ],
)
def test_last_line_of_few_nodes(outcomes: list[Outcome], line: str) -> None:
    assert last(*outcomes) == line
