"""What the full screen shows: rows, order, filter, places of the panes, and what the keys change. Pure."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from cli.top.drawing import Circumstances, fitted, frame
from cli.top.layout import COLUMNS_MIN, FOOTER, HEADER, LINES_MIN, boxes
from cli.top.rows import LATE, PANES, Pane, PaneRow, fitting, in_order, node_rows
from cli.top.seen import TOPICS, FeedSeen
from cli.top.state import TopState
from tests.fed import NOW, ago, change, example, member

NOW_MS = round(NOW.timestamp() * 1000)
NODES, VIPS, COMMANDS, JOBS, SCHEDULES, EVENTS = PANES


def seen_of(*events: dict[str, object]) -> FeedSeen:
    seen = FeedSeen()
    for event in events or example():
        seen.take(event, 0.0)
    return seen


def rows_of(seen: FeedSeen, pane: Pane, column: int | None = None) -> list[PaneRow]:
    return in_order(pane.rows(seen, NOW_MS), column)


def keys_of(rows: Sequence[PaneRow]) -> list[str]:
    return [row.key for row in rows]


def test_trouble_comes_first_in_each_pane() -> None:
    seen = seen_of()
    firsts = [rows_of(seen, pane)[0].cells[0] for pane in PANES]
    assert firsts[:5] == ["west", "10.79.0.103", "01KB3ZD4P1QX", "east2", "3fa9c1"]
    assert rows_of(seen, EVENTS)[0].cells[1].startswith("10.79.0.101 taken by north4")


def test_names_are_sorted_as_numbers() -> None:
    seen = seen_of(change("members", [member(f"e{number}", "East") for number in (10, 2, 1)], full=True))
    assert keys_of(in_order(node_rows(seen, "east"), None)) == ["e1", "e2", "e10"]


def test_changes_and_gone_items_are_followed() -> None:
    seen = seen_of(change("members", [member("e1", "east"), member("e2", "east")], full=True))
    seen.take(change("members", [member("e1", "east", "late", lease_age_ms=1900)], gone=["e2"]), 1.0)
    (row,) = node_rows(seen, LATE)
    assert row.cells[:4] == ("e1", "east", "late", "1.9 s")
    frozen = seen.frozen()
    seen.take(change("members", [], full=True), 2.0)
    assert len(list(node_rows(frozen, "east"))) == 1
    assert list(node_rows(seen, "east")) == []


def test_strange_events_change_nothing() -> None:
    seen = seen_of(
        {"event": "resync", "topic": "members"},
        {"event": "feed", "topic": "novelty", "items": []},
        {"event": "feed", "topic": "members", "items": 7},
        {"event": "feed", "topic": "vips", "full": True, "items": [7, {"address": "x", "since": "no time"}], "gone": 1},
    )
    assert seen.topics["members"] == {}
    assert keys_of(rows_of(seen, VIPS)) == ["x"]


@pytest.mark.parametrize(
    ("words", "kept"),
    [("", 6), ("east", 5), ("EAST move", 1), ("!held", 1), ("held !east", 1), ("! held", 5), ("nothing", 0)],
)
def test_filter_wants_each_word_and_not_those_negated(words: str, kept: int) -> None:
    assert len(fitting(rows_of(seen_of(), VIPS), words)) == kept


def test_every_pane_sorts_by_every_column() -> None:
    seen = seen_of()
    for pane in PANES:
        for column in range(len(pane.headings)):
            assert sorted(keys_of(rows_of(seen, pane, column))) == sorted(keys_of(rows_of(seen, pane)))


@given(st.integers(COLUMNS_MIN, 300), st.integers(LINES_MIN, 120), st.sampled_from(PANES), st.booleans(), st.data())
def test_panes_fill_the_screen_without_overlap(
    columns: int, lines: int, chosen: Pane, alone: bool, data: st.DataObject
) -> None:
    wants = {pane.digit: data.draw(st.integers(2, 200)) for pane in PANES}
    placed = boxes(columns, lines, wants, chosen, alone=alone)
    assert chosen in [box.pane for box in placed]
    cells = [(box.column, line) for box in placed for line in range(box.line, box.line + box.height)]
    assert len(cells) == len(set(cells))
    assert {line for _, line in cells} == set(range(HEADER, lines - FOOTER))
    assert all(box.column + box.width <= columns for box in placed)


def test_small_screen_drops_the_last_panes() -> None:
    wants = {pane.digit: 5 for pane in PANES}
    shown = {
        size: "".join(box.pane.digit for box in boxes(*size, wants, NODES, alone=False))
        for size in ((80, 24), (100, 30), (160, 50))
    }
    assert shown == {(80, 24): "1234", (100, 30): "12345", (160, 50): "135246"}
    assert [box.pane for box in boxes(80, 24, wants, EVENTS, alone=False)][-1] is EVENTS


@given(st.integers(1, 200), st.integers(1, 60), st.sampled_from(["", *"123456", "?", "w", "/"]))
def test_every_line_has_the_width_of_the_screen(columns: int, lines: int, key: str) -> None:
    seen, state = seen_of(), TopState()
    if key.isdigit():
        state.choose(key)
    elif key:
        {"?": lambda: setattr(state, "help", True), "w": state.show_late, "/": state.begin_filter}[key]()
    inside = in_order(node_rows(seen, state.inside), None)
    rows = {pane.digit: rows_of(seen, pane) for pane in PANES} | ({"1": inside} if state.inside else {})
    drawn = frame(seen, state, lambda pane: rows[pane.digit], Circumstances(columns, lines, NOW_MS, 0.0))
    assert len(drawn) <= lines
    assert {sum(get_cwidth(text) for _, text in line) for line in drawn} <= {columns}


def test_texts_are_cut_by_their_width() -> None:
    assert fitted("日本語", 5) == "日本…"
    assert fitted("日本語", 4) == "日… "
    assert fitted("a\x1b[31mb", 8) == "a\ufffd[31mb "


def test_enter_opens_and_escape_returns() -> None:
    seen, state = seen_of(), TopState()
    state.move(rows_of(seen, NODES), 1)
    state.open(rows_of(seen, NODES))
    assert state.inside == "north"
    nodes = in_order(node_rows(seen, "north"), None)
    state.move(nodes, 3)
    state.open(nodes)
    assert state.detail == nodes[3].key
    state.back()
    state.back()
    assert (state.detail, state.inside, state.index(NODES, rows_of(seen, NODES))) == ("", "", 1)


def test_selected_row_stays_selected_when_others_come() -> None:
    state = TopState(chosen=VIPS)
    rows = rows_of(seen_of(), VIPS)
    state.move(rows, 2)
    assert state.index(VIPS, [rows[5], *rows]) == 3


def test_sort_goes_through_the_columns_and_back() -> None:
    state = TopState()
    columns = []
    for _ in range(len(NODES.headings) + 1):
        state.sort()
        columns.append(state.order(NODES))
    assert columns == [*range(len(NODES.headings)), None]


def test_same_digit_gives_the_whole_screen() -> None:
    state = TopState()
    state.choose("6")
    assert (state.chosen, state.alone) == (EVENTS, False)
    state.choose("6")
    assert state.alone
    state.back()
    assert not state.alone


def test_filter_is_kept_by_enter_alone() -> None:
    state = TopState()
    for keep, kept in ((False, ""), (True, "east")):
        state.begin_filter()
        state.typing = "east "
        assert state.filter(NODES) == "east "
        state.end_filter(keep=keep)
        assert state.filter(NODES) == kept


FIELDS = sorted(
    {field for event in example() for item in event["items"] for field in item} | {"versions", "lease_ages"}
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just(ago(5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(TOPICS), st.lists(st.dictionaries(st.sampled_from(FIELDS), VALUES), max_size=3), st.booleans())
def test_items_of_any_kind_are_drawn(topic: str, items: list[dict[str, object]], inside: bool) -> None:
    seen = seen_of(change(topic, items, full=True))
    state = TopState(inside=LATE if inside else "")
    for pane in PANES:
        for detail in ("", next(iter(seen.topics[pane.topics[-1]]), "")):
            state.chosen, state.detail = pane, detail
            rows = in_order(node_rows(seen, LATE), None) if inside else rows_of(seen, NODES)
            at = Circumstances(160, 50, NOW_MS, 0.0)
            drawn = frame(seen, state, lambda pane, rows=rows: rows if pane is NODES else rows_of(seen, pane), at)
            assert len(drawn) == 50
