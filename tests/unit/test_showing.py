"""What pages show of answers: their differences, and the charts of them."""

import datetime as dt

from eccmgr.web import charts, showing


def answered(node: str, text: str, state: str = "ok", seconds: float = 0.1) -> dict[str, object]:
    return {"node": node, "text": text, "state": state, "seconds": seconds}


def test_largest_good_answer_is_the_reference() -> None:
    nodes = [answered("a1", "up\n1"), answered("a2", "up\n1"), answered("a3", "up\n2"), answered("a4", "no", "failed")]
    reference, others = showing.differences([*nodes, answered("a5", "", "lost")])
    assert reference is not None
    assert (reference.nodes, reference.number) == ("a[1-2]", 2)
    assert [(group.nodes, group.lines[-2:]) for group in others] == [("a4", ["-1", "+no"]), ("a3", ["-1", "+2"])]


def test_without_a_good_answer_nothing_is_compared() -> None:
    assert showing.differences([answered("a1", "no", "failed")]) == (None, ())


def test_curve_rises_at_an_answer_and_not_before() -> None:
    drawn = str(charts.answer_curve([answered("a1", "", seconds=1.0), answered("a2", "", seconds=2.0)]))
    points = drawn.partition('points="')[2].partition('"')[0].split()
    assert points == ["40.0,102.0", "40.0,102.0", "340.0,102.0", "340.0,58.0", "640.0,58.0", "640.0,14.0", *points[6:]]


def test_holders_of_a_short_history_fill_the_chart() -> None:
    now = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
    changes = [
        {"at": (now - dt.timedelta(seconds=100)).isoformat(), "change": "granted", "node": "east1"},
        {"at": (now - dt.timedelta(seconds=50, milliseconds=12)).isoformat(), "change": "released", "node": "east1"},
        {"at": (now - dt.timedelta(seconds=50)).isoformat(), "change": "granted", "node": "<west1>"},
    ]
    drawn = str(charts.owners(changes, now))
    assert "<title>east1 from 2026-11-28 11:58:20.000 UTC for 49.988 s</title>" in drawn
    assert "&lt;west1&gt; from 2026-11-28 11:59:10.000 UTC for 50.000 s" in drawn
    assert ">2026-11-28 11:58:18</text>" in drawn
