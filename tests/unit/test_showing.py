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
    drawn = str(charts.owners(changes, now=now))
    assert "<title>east1 from 2026-11-28 11:58:20.000 UTC for 49.988 s</title>" in drawn
    assert "&lt;west1&gt; from 2026-11-28 11:59:10.000 UTC for 50.000 s" in drawn
    assert ">2026-11-28 11:58:18</text>" in drawn


def test_holder_that_died_held_nothing_until_the_takeover() -> None:
    now = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
    died, taken = now - dt.timedelta(seconds=52, milliseconds=500), now - dt.timedelta(seconds=50)
    changes = [
        {"at": (now - dt.timedelta(seconds=100)).isoformat(), "change": "granted", "node": "east1"},
        {"at": taken.isoformat(), "change": "granted", "node": "west1"},
    ]
    events = [{"at": changes[0]["at"], "took_ms": None}, {"at": changes[1]["at"], "took_ms": 2500}]
    drawn = str(charts.owners(changes, showing.outages(events), now))
    assert f"for {(died - now).total_seconds() + 100:.3f} s</title>" in drawn
    assert "west1 from 2026-11-28 11:59:10.000 UTC for 50.000 s" in drawn


def participant(node: str, belief: str, owner: str | None = None, *, absent: bool = False) -> dict[str, object]:
    believes = None if owner is None else {"owner": owner, "ownership": "owned", "agreement": "safe"}
    return {"node": node, "belief": belief, "believes": believes, "absent": absent}


def test_nodes_that_believe_otherwise_come_first() -> None:
    rows = [
        participant("a1", "same", "a1"),
        participant("a2", "unsaid"),
        participant("a3", "differs", "a2"),
        participant("a4", "unaware"),
    ]
    shown = showing.believing(rows)
    assert [row["node"] for row in shown.rows] == ["a3", "a4", "a1", "a2"]
    assert shown[1:] == (2, "a[3-4]", "a2")
    assert [showing.belief_text(row) for row in shown.rows] == [
        "owned,safe by a2",
        "it does not know the VIP",
        "owned,safe by a1",
        "it has not said what it believes",
    ]


def test_page_settles_when_live_nodes_agree() -> None:
    gone, live = participant("a1", "differs", "a1", absent=True), participant("a2", "same", "a2")
    assert showing.beliefs_settled({"participants": [gone, live]})
    assert not showing.beliefs_settled({"participants": [gone, {**live, "belief": "unsaid"}]})
    assert showing.beliefs_settled({})


def test_difference_is_grave_once_a_change_is_old() -> None:
    held = {"ownership": "owned", "held_s": 60.0}
    assert showing.difference(held) == "bad"
    assert showing.difference({**held, "held_s": 0.5}) == "open"
    assert showing.difference({"ownership": "moving", "held_s": None}) == "open"
