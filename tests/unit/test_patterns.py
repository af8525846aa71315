"""Regular expressions that people write: taken or refused, and never slow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.patterns import Pattern, PatternError


@given(st.text(max_size=50), st.text(max_size=50))
def test_any_text_is_a_pattern_or_refused(text: str, subject: str) -> None:
    try:
        pattern = Pattern.parse(text)
    except PatternError:
        return
    assert pattern.is_in(subject) >= pattern.is_all_of(subject)


def test_a_pattern_is_found_anywhere_or_fits_all() -> None:
    pattern = Pattern.parse("b+")
    assert pattern.is_in("abbc")
    assert not pattern.is_all_of("abbc")
    assert pattern.is_all_of("bbb")


@pytest.mark.parametrize("text", [r"(\w+\s?)*$", "(a+)+$", "(a|aa)*$", "(.*)*=.*$"])
def test_a_runaway_pattern_ends_on_a_megabyte(text: str) -> None:
    # A backtracking matcher would not end before the test's time is up.
    Pattern.parse(text).is_in("a" * 2**20 + "!")


@pytest.mark.parametrize("text", ["(", "(?=x)", r"(a)\1", "a{2000}", "x" * 1001, "(a{1000}){1000}"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(PatternError, match=r"\w"):
        Pattern.parse(text)


def test_what_is_no_character_is_no_fault() -> None:
    assert Pattern.parse("\udcff").is_in("a\ufffdb")
