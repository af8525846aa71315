"""What a broadcast carries: which text is sent, and which spellings of it are one command."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr import words
from eccmgr.commands.carried import carried, same_command
from eccmgr.errors import UsageError


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("pid", "pid"),
        ('"shutdown now"', "shutdown now"),
        ("'flush  cache' ", "flush  cache"),
        ('"pid"', "pid"),
        ('say "a  b"', 'say "a  b"'),
        (r'"say \"a  b\""', 'say "a  b"'),
        ('"a" "b"', '"a" "b"'),
    ],
)
def test_one_quoted_word_is_the_command_inside(typed: str, sent: str) -> None:
    assert carried(typed) == sent


@pytest.mark.parametrize("typed", ["", "json", "XML json", 'json ""', '"xml"', '""', "' '", '"  "', r'"\"\""', "'' ''"])
def test_an_empty_command_is_refused(typed: str) -> None:
    with pytest.raises(UsageError, match="The command is empty"):
        carried(typed)


@pytest.mark.parametrize("typed", ['say "x', "'", '"say \'x"'])
def test_an_open_quote_is_refused(typed: str) -> None:
    with pytest.raises(UsageError, match="quote is never closed"):
        carried(typed)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("shutdown now", '"shutdown now"'),
        ("flush cache", "flush   'cache'"),
        ("PID", "pid"),
        ("Cluster Duravip Move 10.1.1.1 to East", "cluster duravip move 10.1.1.1 to East"),
        ("Sieve:Sieve1 Flush cache", "sieve:sieve1 flush cache"),
        ("JSON pid", "json PID"),
        ("SCHED List", "sched list"),
    ],
)
def test_spellings_of_one_command_are_alike(one: str, other: str) -> None:
    assert same_command(one) == same_command(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("price Apple", "price apple"),
        ("config get binding A", "config get binding a"),
        ('say "a  b"', 'say "a b"'),
        ("flush cache", "flushcache"),
    ],
)
def test_values_keep_their_case_and_their_blanks(one: str, other: str) -> None:
    assert same_command(one) != same_command(other)


# A blank at the very end of a line is dropped before anybody asks whether it is escaped.
WORD = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1).filter(lambda w: w == w.rstrip())


@given(st.lists(WORD, min_size=2))
def test_how_a_word_is_quoted_makes_no_difference(typed: list[str]) -> None:
    escaped = " ".join("".join(f"\\{character}" for character in word) for word in typed)
    assert same_command(escaped) == same_command(" ".join(words.quote(word) for word in typed))


@given(st.text())
def test_a_spelling_stands_for_itself(typed: str) -> None:
    assert same_command(same_command(typed)) == same_command(typed)
