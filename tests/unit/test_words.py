"""The splitting of a command line: words, quotes, escapes, and text that is passed on as typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.errors import UsageError
from eccmgr.text import words

lines = st.text(alphabet=st.sampled_from(" \t\"'\\abé#\n"), max_size=40) | st.text(max_size=40)
arguments = st.lists(st.text(max_size=12) | st.text(alphabet="\"'\\ \t\na", max_size=12), min_size=2, max_size=6)


def texts(line: str) -> list[str]:
    return [word.text for word in words.split(line)]


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("", []),
        ("  \t ", []),
        ("a b", ["a", "b"]),
        ("  a \t b  ", ["a", "b"]),
        ('"a b" c', ["a b", "c"]),
        ("'a b' c", ["a b", "c"]),
        ("a\\ b", ["a b"]),
        ('"say \\"hi\\""', ['say "hi"']),
        ('"it\'s" \'a "b"\'', ["it's", 'a "b"']),
        ('a"b c"d', ["ab cd"]),
        ('""', [""]),
        ("'' x", ["", "x"]),
        ("a\\", ["a\\"]),
        ("\\", ["\\"]),
        ("\\\\", ["\\"]),
        ("'a\\'b'", ["a'b"]),
        ("a\u00a0b", ["a", "b"]),
    ],
)
def test_words_quotes_and_escapes(line: str, meant: list[str]) -> None:
    assert texts(line) == meant


@pytest.mark.parametrize("line", ['"', "'", 'a "b', "it's", '"a\\"', 'a"b'])
def test_a_quote_that_is_never_closed_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match="A quote is never closed"):
        words.split(line)


@given(lines)
def test_any_line_is_words_or_refused(line: str) -> None:
    try:
        found = words.split(line)
    except UsageError:
        return
    outside = line
    for word in reversed(found):
        outside = outside[: word.start] + outside[word.end :]
    assert not outside.strip()


@given(arguments)
def test_joined_arguments_are_the_same_words_again(given_arguments: list[str]) -> None:
    assert texts(words.join(given_arguments)) == given_arguments


def test_one_argument_goes_as_it_is() -> None:
    assert words.join(['broadcast config set a "b c"']) == 'broadcast config set a "b c"'


@given(st.text(max_size=30))
def test_a_quoted_argument_is_one_word(argument: str) -> None:
    assert texts(words.quote(argument)) == [argument]


@given(lines)
def test_folding_twice_is_folding_once(line: str) -> None:
    assert words.fold(words.fold(line)) == words.fold(line)


@given(lines)
def test_folding_leaves_the_words_as_they_are(line: str) -> None:
    try:
        meant = texts(line)
    except UsageError:
        return
    assert texts(words.fold(line)) == meant


def test_folding_leaves_white_space_inside_quotes_alone() -> None:
    assert words.fold("  a   \"b   c\" 'd   e'  f\\  g ") == 'a "b   c" "d   e" "f " g'


def test_line_with_an_open_quote_still_folds() -> None:
    assert words.fold("it's   fine") == "it's fine"


@given(st.text(max_size=40))
def test_the_rest_is_passed_on_as_typed(typed: str) -> None:
    assert words.rest(f"broadcast {typed}", len("broadcast")) == typed.strip()


@pytest.mark.parametrize(
    ("kind", "number"),
    [("a", 1), ("\\", 1), ("\\a", 1), ('"', 1), ("'", 1), ("a\\ ", 1), ('"a', 1), ('"" ', 2**18), ("\u00a0", 0)],
)
def test_many_of_one_kind_take_one_pass(kind: str, number: int) -> None:
    # If the parser tried any part twice, this would take longer than the test may.
    assert len(words.split(kind * 2**18)) == number


def test_open_quote_before_a_megabyte_takes_one_pass() -> None:
    with pytest.raises(UsageError) as raised:
        words.split("'" + "\\'" * 2**19)
    assert len(str(raised.value)) < 100
