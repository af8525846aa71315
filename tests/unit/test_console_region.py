"""The region below a gather's answers: what it shows at each width, and that it never is more than ten lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.console.glance import Glance, OpenPart
from cli.console.groups import Group, grouped
from cli.console.region import LINES_MAX, in_view, region, shares
from cli.console.spans import SIGNS, Look, Span, columns, cut, drawn, in_ascii
from eccmgr.cluster.outcomes import Outcome, State

WIDTHS = (80, 100, 160)


def groups_of(*sizes: tuple[int, State, str]) -> list[Group]:
    outcomes = [
        Outcome(f"n{kind}-{number}", "", state, 1.0, text)
        for kind, (size, state, text) in enumerate(sizes)
        for number in range(size)
    ]
    return list(grouped(outcomes).by_size)


PARTS = st.builds(
    OpenPart,
    st.sampled_from(["running", "silent", "pending"]),
    st.sampled_from(["node[1-3]", "x", "n" * 300]),
    st.just(3),
    st.one_of(st.none(), st.floats(0, 99999)),
    st.one_of(st.none(), st.floats(0, 99999)),
    st.sampled_from(["", "3f2a"]),
    st.one_of(st.none(), st.floats(0, 100)),
)
TEXTS = st.sampled_from(["Reopened 3 log files", "a\nb\nc", "", "名前" * 90, "\x1b[2J\u202e", "x" * 500])
KINDS = st.tuples(st.integers(1, 5), st.sampled_from([state for state in State if state.final]), TEXTS)
COUNTS = st.dictionaries(st.sampled_from([*(state.value for state in State), "not sent"]), st.integers(1, 10**6))


@given(
    st.builds(
        lambda counts, batch, parts, kinds: Glance(
            *("01KB3ZD4P1QX", sum(counts.values()), counts, 2.1, 30.0, batch, parts, groups_of(*kinds))
        ),
        *(COUNTS, st.sampled_from([None, (4, 4), (10**5, 10**6)]), st.lists(PARTS, max_size=30)),
        st.lists(KINDS, max_size=20),
    ),
    *(st.sampled_from([*WIDTHS, 20, 1]), st.integers(0, 30), st.booleans(), st.booleans()),
)
def test_region_keeps_within_its_lines_and_columns(
    glance: Glance, width: int, height: int, grouping: bool, color: bool
) -> None:
    lines = region(glance, width, height, grouping=grouping, keys=True)
    assert len(lines) <= min(height, LINES_MAX)
    for line in lines:
        text = drawn(line, width, color=False)
        assert columns(text) <= width
        assert text.isprintable()


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=5), st.integers(5, 40))
def test_bar_is_shared_out_wholly(numbers: list[int], cells: int) -> None:
    sizes = shares(numbers, cells)
    assert sum(sizes) == (cells if any(numbers) else 0)
    assert all(bool(size) == bool(number) for size, number in zip(sizes, numbers, strict=True))


def test_groups_that_are_not_ok_stay_in_view() -> None:
    groups = groups_of(
        *((9, State.OK, "a"), (8, State.OK, "b"), (7, State.OK, "c"), (2, State.FAILED, "x"), (1, State.LOST, ""))
    )
    assert in_view(groups, 5) == groups
    shown = [(len(group), group.state) for group in in_view(groups, 4)]
    assert shown == [(9, State.OK), (2, State.FAILED), (1, State.LOST)]
    assert [group.state for group in in_view(groups, 2)] == [State.FAILED]


def test_groups_without_a_place_are_counted() -> None:
    kinds = [(number, State.OK, str(number)) for number in range(1, 20)]
    glance = Glance("ID", 190, {"ok": 190}, 1.0, None, None, (), groups_of(*kinds))
    lines = [drawn(line, 79, color=False) for line in region(glance, 79, 24, grouping=True, keys=False)]
    assert len(lines) == LINES_MAX
    assert lines[2].split()[:3] == ["19", "ok", "19"]
    assert lines[-2].strip() == "and 13 more groups: 91 ok"


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("plain", 5, "plain"),
        ("plain", 4, "pla…"),
        ("名前", 4, "名前"),
        ("名前", 3, "名…"),
        ("e\u0301e", 1, "…"),
        ("x", 0, ""),
    ],
)
def test_text_is_cut_by_columns(text: str, width: int, shown: str) -> None:
    assert cut(text, width) == shown
    assert columns(shown) <= width


def test_colours_are_escapes_around_words() -> None:
    line = (Span("3 failed", Look.RED), Span("  "), Span("rest"))
    assert drawn(line, 80, color=True) == "\x1b[31m3 failed\x1b[0m  rest"
    assert drawn(line, 5, color=True) == "\x1b[31m3 fa…\x1b[0m"
    assert drawn(line, 80, color=False) == "3 failed  rest"


def test_signs_have_stand_ins_of_their_width() -> None:
    assert in_ascii(SIGNS).isascii()
    assert columns(in_ascii(SIGNS)) == columns(SIGNS)
