"""The rendering of a report: the exact lines that operators and scripts read."""

from dataclasses import replace

import pytest

from eccmgr.cluster.results import Outcome, Report, Sent, State
from eccmgr.cluster.view import EVERYONE, Seat, Target, TargetKind
from eccmgr.cluster.waiting import Published
from eccmgr.commands import rendering
from eccmgr.commands.answer import Format, Status

SENT = Sent("01KB3ZC0WV9Y", "sieve:sieve1 flush cache", EVERYONE, "root", 1, 0, 1_700_000_000_000, 60_000)


def clock(wall_ms: int) -> str:
    assert wall_ms == SENT.issued_wall_ms
    return "12:33:20"


def node(
    state: State, text: str = "", seconds: float = 2.0, late_s: float | None = None, name: str = "east1"
) -> Outcome:
    return Outcome(name, "default", state, seconds, text, late_s)


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (node(State.OK, "flushed 3 entries"), "east1: flushed 3 entries"),
        (node(State.OK, "flushed\n"), "east1: flushed"),
        (node(State.OK), "east1: (no output)"),
        (node(State.OK, "\n\n"), "east1: (no output)"),
        (node(State.FAILED, "timed out after 60 s"), "east1: failed: timed out after 60 s"),
        (node(State.REFUSED, "too many"), "east1: refused: too many"),
        (node(State.PENDING, seconds=2.4), "east1: (pending, 2 s)"),
        (node(State.RUNNING, seconds=61.0), "east1: (running, 61 s)"),
        (node(State.LOST), "east1: (lost)"),
        (node(State.MISSED), "east1: (missed)"),
        (node(State.SKIPPED), "east1: (skipped)"),
        (node(State.ABORTED), "east1: (aborted)"),
        (node(State.OK, "done", late_s=4.2), "east1: done (late, 4 s)"),
        (node(State.OK, late_s=4.2), "east1: (no output) (late, 4 s)"),
        (node(State.FAILED, "no", late_s=1.0), "east1: failed: no (late, 1 s)"),
        (node(State.OK, "one\n\n two\n"), "east1:\n  one\n\n   two"),
        (node(State.OK, "one\ntwo", late_s=4.0), "east1:\n  one\n  two\n  (late, 4 s)"),
        (node(State.FAILED, "one\ntwo", late_s=4.0), "east1: failed:\n  one\n  two\n  (late, 4 s)"),
        (node(State.ABSENT), "east1: (absent, never seen)"),
        (node(State.FAILED, "one\ntwo"), "east1: failed:\n  one\n  two"),
    ],
)
def test_a_node_is_shown_as(outcome: Outcome, line: str) -> None:
    assert rendering.line(outcome) == line


def test_every_state_has_a_line() -> None:
    assert all(rendering.line(node(state, "text")).startswith("east1: ") for state in State)


def test_header_names_command_and_counts_answers() -> None:
    header = rendering.header(Report(SENT, (node(State.OK), node(State.PENDING))), clock)
    assert header == "# 01KB3ZC0WV9Y  sieve:sieve1 flush cache  12:33:20  1 of 2 answered"


def test_the_header_counts_what_went_wrong() -> None:
    states = (State.OK, State.FAILED, State.FAILED, State.REFUSED, State.LOST, State.ABSENT, State.MISSED)
    header = rendering.header(Report(SENT, tuple(map(node, states))), clock)
    assert header.endswith("4 of 7 answered, 2 failed, 1 refused, 1 lost, 1 absent")


def test_answer_is_header_and_nodes_in_report_order() -> None:
    report = Report(SENT, tuple(node(State.OK, name, name=name) for name in ("east2", "east10")))
    answer = rendering.answer(report, Format.TEXT, clock=clock)
    assert answer.text.splitlines() == [rendering.header(report, clock), "east2: east2", "east10: east10"]
    assert answer.status is Status.OK


def test_failed_node_makes_the_answer_partial() -> None:
    for state in set(State) - {State.OK}:
        assert rendering.answer(Report(SENT, (node(state),)), Format.TEXT, clock=clock).status is Status.PARTIAL


def test_stream_client_gets_other_lines_and_header() -> None:
    report = Report(SENT, (node(State.OK, "a"), node(State.LOST, name="east2")))
    answer = rendering.answer(report, Format.TEXT, frozenset({"east1"}), clock)
    assert answer.tail == f"east2: (lost)\n{rendering.header(report, clock)}"


def test_the_json_form_has_the_same_facts() -> None:
    report = Report(SENT, (node(State.OK, "a", seconds=0.12345), node(State.PENDING, name="east2")))
    facts = dict(rendering.facts(report))
    assert facts.pop("issued").startswith("2023-11-1")
    assert facts == {
        "id": "01KB3ZC0WV9Y",
        "target": "@all",
        "sent": "sieve:sieve1 flush cache",
        "expected": 2,
        "answered": 1,
        "nodes": [
            {"node": "east1", "state": "ok", "seconds": 0.123, "text": "a"},
            {"node": "east2", "state": "pending", "seconds": 2.0, "text": ""},
        ],
    }


EAST = [Seat(f"#ec0-1#east{number}", f"east{number}", "default") for number in range(1, 101)]


@pytest.mark.parametrize(
    ("nodes", "absent", "line"),
    [
        (1, [], "to 1 node"),
        (3, [], "to 3 nodes"),
        (3, EAST[1:3], "to 3 nodes; 2 absent: east[2-3]"),
        (1, EAST[::2], f"to 1 node; 50 absent: east[{','.join(map(str, range(1, 100, 2)))}]"),
    ],
)
def test_broadcast_answers_its_id_and_its_nodes(nodes: int, absent: list[Seat], line: str) -> None:
    assert rendering.sent_line(Published(SENT, EAST[:nodes], absent)) == f"Broadcast 01KB3ZC0WV9Y {line}"


def test_unicast_answers_its_id_and_its_node() -> None:
    sent = replace(SENT, target=Target(TargetKind.NODE, "east1"))
    assert rendering.sent_line(Published(sent, EAST[:1], [])) == "Sent 01KB3ZC0WV9Y to east1"


def test_json_says_since_when_a_node_is_absent() -> None:
    lately = node(State.ABSENT)._replace(since_ms=SENT.issued_wall_ms)
    assert rendering.node_facts(lately)["since"].startswith("2023-11-1")
    assert rendering.node_facts(node(State.ABSENT))["since"] is None
