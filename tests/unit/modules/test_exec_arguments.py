"""Arguments that a caller adds to a program: each fits the pattern as a whole, and the pattern has to name an
option."""

import pytest

from worker.modules.exec_arguments import ArgumentRule


@pytest.mark.parametrize(
    ("pattern", "argument"),
    [
        (".+", "file"),
        ("[a-z]+", "abc"),
        ("-v", "-v"),
        (r"\-v", "-v"),
        ("^-v$", "-v"),
        ("-v|[a-z]+", "-v"),
        ("-v|[a-z]+", "abc"),
        ("[a-z]+|--force", "--force"),
        ("(-v|--verbose|[a-z]+)", "--verbose"),
        ("^(?:[a-z]+|-q)$", "-q"),
        ("(?i)[a-z]+|-v", "-V"),
        ("(?i:-v|x)", "-V"),
        ("(?P<name>-n|-m)=[0-9]+", "-m=12"),
        ("((-a)|(b|(-c)))x", "-cx"),
        ("-?[0-9]+", "-12"),
        (r"[a|b]|-[|)]|\Q|-q\E", "-|"),
        ("[]|-]x|-y", "-y"),
        ("[[:alpha:]|]+|-z", "-z"),
        ("-v|.+", "-v"),
    ],
)
def test_argument_that_the_pattern_names_is_allowed(pattern: str, argument: str) -> None:
    assert ArgumentRule.parse(pattern).fault_of(argument) == ""


@pytest.mark.parametrize(
    ("pattern", "argument"),
    [
        (".+", "-rf"),
        (".*", "-"),
        (".*", "--"),
        (".*", "--checkpoint-action=exec=sh"),
        ("[^x]+", "-rf"),
        (r"\S+", "-rf"),
        ("[-a-z]+", "-rf"),
        ("[a-z-]+", "-rf"),
        (r"[\w-]+|.+", "-rf"),
        ("-v|.+", "-rf"),
        ("(-v|.+)", "-rf"),
        ("(?:|x)-v|.+", "-v"),
        ("a|b-|.*", "-rf"),
        (r"\Q|-rf\E|.+", "-rf"),
        ("[|-]rf|.+", "-rf"),
        (r"x\|-rf|.+", "-rf"),
        ("(a|-rf)?b|.+", "-rf"),
        ("", "-"),
    ],
)
def test_option_that_no_alternative_names_is_refused(pattern: str, argument: str) -> None:
    assert ArgumentRule.parse(pattern).fault_of(argument)


@pytest.mark.parametrize("argument", ["a\nb", "a\0", "\x1b[2J", "a\tb", "a\u202eb", "a\u2028", "\udcff", "-v\n"])
def test_argument_with_an_unprintable_character_is_refused(argument: str) -> None:
    assert ArgumentRule.parse(r"(?s).*|-(?s:.*)").fault_of(argument) == "an argument has printable characters only"


def test_pattern_is_fitted_as_a_whole() -> None:
    assert ArgumentRule.parse("a|b").fault_of("ab") == "an argument must fit a|b"
    assert ArgumentRule.parse("-v|a").fault_of("-vx")
    assert ArgumentRule.parse("(a+)+b").fault_of("a" * 1000)
