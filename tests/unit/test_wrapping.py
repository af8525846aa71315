"""The wrapping of help on a terminal."""

from hypothesis import given
from hypothesis import strategies as st

from cli.console.wrapping import wrapped

HELP = """gather [--timeout S] [TARGET] COMMAND   sends COMMAND to every node, and waits for the answers
version                                 the banner

Usage: subcluster broadcast NAME COMMAND [--and-more]
  the same for the nodes of one subcluster; an unknown subcluster is an error"""
LINE = st.lists(st.sampled_from(["help", "[--timeout", "S]", "a-hyphened-word", " ", "  ", "…", "x" * 30])).map(
    " ".join
)


def test_rest_of_a_line_stands_under_its_column() -> None:
    assert wrapped("version  prints the banner of this daemon", 24).split("\n") == [
        "version  prints the",
        "         banner of this",
        "         daemon",
    ]


def test_without_room_the_rest_stands_below() -> None:
    assert wrapped(HELP, 30).split("\n")[:5] == [
        "gather [--timeout S] [TARGET]",
        "    COMMAND   sends COMMAND to",
        "    every node, and waits for",
        "    the answers",
        "version",
    ]


def test_lines_that_fit_stay_as_they_are() -> None:
    assert wrapped(HELP, 120) == HELP


@given(st.lists(LINE).map("\n".join), st.integers(1, 100))
def test_words_stay_whole_at_any_width(text: str, width: int) -> None:
    shown = wrapped(text, width)
    assert shown.split() == text.split()
    assert all(len(line) <= width or len(line.split()) == 1 for line in shown.split("\n"))
    assert wrapped(shown, width).split() == text.split()
