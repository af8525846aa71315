"""Tags: what may be one, from wherever it comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.cluster.facts import facts
from eccmgr.cluster.view import Seat
from eccmgr.config.live.options import overrides
from eccmgr.errors import SettingsError, Unreadable
from eccmgr.text.tags import FACTS, MAX_TAGS, TagError, as_value, given_tags, line_of, read_line

NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z0-9._-]{0,31}\Z")
VALUES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._+-]{0,30}\Z")


@given(st.dictionaries(NAMES.map(str.lower).filter(lambda name: name not in FACTS), VALUES, max_size=10))
def test_written_tags_are_read_as_they_were(tags: dict[str, str]) -> None:
    assert read_line(line_of(given_tags(tags.items()))) == tags


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        ([("1st", "x")], "'1st' cannot name a tag; a name is 1-32 of A-Z a-z 0-9 . _ -, a letter first"),
        ([("n" * 33, "x")], "cannot name a tag"),
        ([("role", "m ta")], "'m ta' cannot be the value of the tag 'role'; a value is 1-63 of"),
        ([("role", "")], "'' cannot be the value"),
        ([("role", "mt*")], "cannot be the value"),
        ([("role", "v" * 64)], "cannot be the value"),
        ([("role", "a"), ("Role", "b")], "the tag 'Role' is given twice"),
        ([("OS", "plan9")], "the tag 'os' is a fact that the node states itself"),
        ([(f"t{i}", "x") for i in range(MAX_TAGS + 1)], "17 tags; a node has at most 16"),
        ([(f"t{i:030}", "x" * 60) for i in range(MAX_TAGS)], "the tags take more than 768 characters"),
    ],
)
def test_a_wrong_tag_is_refused_with_the_rule(pairs: list[tuple[str, str]], why: str) -> None:
    with pytest.raises(TagError) as error:
        given_tags(pairs)
    assert why in str(error.value)


def test_a_wrong_flag_names_itself() -> None:
    with pytest.raises(SettingsError, match="--tag: 'mta' is not a tag; write it like role=mta"):
        overrides({"tag": ("mta",)}, {})
    with pytest.raises(SettingsError, match="ECCMGR_TAG: the tag 'os' is a fact"):
        overrides({}, {"tag": ("os=x",)})


def test_facts_fit_into_tags() -> None:
    assert tuple(facts()) == FACTS
    assert read_line(line_of(facts())) == facts()


@given(st.text())
def test_whatever_the_system_says_becomes_a_value(text: str) -> None:
    assert read_line(f"os={as_value(text)}")


@pytest.mark.parametrize(
    ("raw", "absent", "tags"),
    [
        ("#ec0-1#e\te\teast\t7\t", False, {}),
        ("#ec0-1#e\te\teast\t7\t\trole=mta", False, {"role": "mta"}),
        ("#ec0-1#e\te\teast\t7\t\t1700000000000", True, {}),
        ("#ec0-1#e\te\teast\t7\t\trole=mta\t1700000000000", True, {"role": "mta"}),
        ("\te\teast\t0\t\t", True, {}),
    ],
)
def test_lines_with_and_without_tags_are_read(raw: str, absent: bool, tags: dict[str, str]) -> None:
    seat = Seat.parse(raw.encode(), absent=absent)
    assert (seat.name, dict(seat.tags)) == ("e", tags)
    assert (seat.since_ms is not None) == raw.endswith("00")


@pytest.mark.parametrize("more", ["role=m\x1bta", "role=mta role=db", "=", "role=mta\t\t", "t=" + "x" * 2000])
def test_lines_with_faulty_tags_are_not_read(more: str) -> None:
    with pytest.raises(Unreadable):
        Seat.parse(f"#ec0-1#e\te\teast\t7\t\t{more}".encode())
