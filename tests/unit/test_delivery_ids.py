"""The ids of commands, and the texts that count as one command."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.cluster.ids import command_id, made_at_ms, named_id
from eccmgr.cluster.publishing import digest

WALL_MS = st.integers(0, 2**45)
CHANCE = st.integers(0, 1023)
ALPHABET = set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


@given(WALL_MS, CHANCE)
def test_id_is_twelve_unmistakable_characters(wall_ms: int, chance: int) -> None:
    made = command_id(wall_ms, chance)
    assert (named_id(f"#{made.lower()}"), made_at_ms(made)) == (made, wall_ms)
    assert len(made) == 12
    assert set(made) <= ALPHABET


@given(st.tuples(WALL_MS, CHANCE), st.tuples(WALL_MS, CHANCE))
def test_ids_sort_by_time(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (command_id(*one) < command_id(*other)) == (one < other)


@given(WALL_MS, CHANCE, CHANCE)
def test_ids_of_one_moment_differ_by_chance(wall_ms: int, one: int, other: int) -> None:
    assert (command_id(wall_ms, one) == command_id(wall_ms, other)) == (one == other)


@pytest.mark.parametrize("text", ["flush cache", "  flush   cache ", "flush\tcache"])
def test_white_space_between_words_makes_no_difference(text: str) -> None:
    assert digest(text) == digest("flush cache")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('say "a  b"', 'say "a b"'),
        ("say 'a  b'", "say 'a b'"),
        ("say a\\  b", "say a\\ b"),
        ("flush cache", "Flush cache"),
        ("flush cache", "flushcache"),
    ],
)
def test_quoted_space_and_case_make_a_difference(one: str, other: str) -> None:
    assert digest(one) != digest(other)


@given(st.text())
def test_white_space_before_a_command_is_ignored(text: str) -> None:
    assert digest(f" \t{text}") == digest(text)
