"""Names: which are allowed, their order, the folding of sets, and the names that a word means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.cluster import names, nodeset
from eccmgr.errors import CommandError, SettingsError

NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)
NUMBERED = st.builds("{}{}".format, st.sampled_from(["east", "west-", "n0"]), st.integers(0, 200))


@pytest.mark.parametrize("name", ["a", "9", "East1", "east1.example.com", "a_b-c.d", "x" * 63])
def test_name_may_hold_letters_digits_and_three_signs(name: str) -> None:
    assert names.check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", ".a", "_a", "a b", "a/b", "a\n", "#a", "größe", "a[1]", "a,b", "x" * 64])
def test_any_other_name_is_refused_and_named(name: str) -> None:
    with pytest.raises(SettingsError, match=r"^Subcluster name '"):
        names.check_name(name, "Subcluster")


def test_names_compare_numbers_as_numbers_without_case() -> None:
    listed = ["west1", "east10", "East2", "east1", "east1b", "10", "9"]
    assert sorted(listed, key=names.natural) == ["9", "10", "east1", "east1b", "East2", "east10", "west1"]


@given(st.lists(NAME, max_size=6))
def test_any_names_can_be_ordered(listed: list[str]) -> None:
    assert sorted(sorted(listed, key=names.natural)) == sorted(listed)


def test_names_are_folded_in_ranges() -> None:
    assert names.fold(["west1", "east2", "east1", "east10"]) == "east[1-2,10],west1"
    assert names.fold(["east1.example.com", "east2.example.com"]) == "east[1-2].example.com"


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("a8 a9 a10 a11", "a[8-11]"),
        ("a08 a09 a10 a11", "a[08-11]"),
        ("a8 a9 a10 a08 a09 a12", "a[8-9,08-10,12]"),
        ("a0 a1 a00 a01", "a[0-1,00-01]"),
        ("r1n1 r1n2 r2n1 r2n2", "r[1-2]n[1-2]"),
        ("r1n1 r1n2 r2n1", "r1n[1-2],r2n1"),
        ("1 2 3", "[1-3]"),
        ("A1 a2 a3", "A1,a[2-3]"),
    ],
)
def test_only_numbers_written_alike_form_a_range(written: str, folded: str) -> None:
    assert names.fold(written.split()) == folded


def test_names_of_several_numbers_are_folded_fast() -> None:
    # Comparing them with each other takes longer than the test may.
    listed = [f"a{number}b{number * number % 97}c{number % 7}" for number in range(20_000)]
    assert names.fold(listed)


def test_of_many_ranges_the_first_are_shown() -> None:
    listed = [f"{letter}1" for letter in "abcdefghijklmnopqrstuvwxyz"]
    folded = names.fold(listed, 20)
    assert folded.startswith("a1,b1,")
    assert folded.endswith(",t1 and 6 more ranges")
    assert names.fold([f"n{number}" for number in range(1000)], 20) == "n[0-999]"


@given(st.lists(st.one_of(NAME, NUMBERED), min_size=1, max_size=30, unique=True))
def test_what_was_folded_unfolds_to_the_same_names(listed: list[str]) -> None:
    assert sorted(nodeset.spell_out(nodeset.parts(names.fold(listed)))) == sorted(listed)


@given(st.lists(NUMBERED, min_size=1, max_size=30, unique=True))
def test_a_folded_set_falls_apart_into_its_ranges(listed: list[str]) -> None:
    folded = names.fold(listed)
    assert ",".join(names.split_folded(folded)) == folded


class TestResolve:
    def test_a_whole_name_wins_without_case(self) -> None:
        assert names.resolve("EAST1", ["East1", "east1.example.com"]) == "East1"

    def test_a_qualified_name_finds_the_short_one(self) -> None:
        assert names.resolve("east1.example.com", ["East1", "east10"]) == "East1"

    def test_a_short_name_finds_the_only_qualified_one(self) -> None:
        assert names.resolve("east1", ["east1.example.com", "east10.example.com"]) == "east1.example.com"

    def test_a_short_name_that_fits_several_lists_them(self) -> None:
        with pytest.raises(CommandError, match=r"^Node 'east1' fits several: east1\.a, east1\.b; give the whole name$"):
            names.resolve("east1", ["east1.b", "east1.a", "west1"])

    def test_qualified_names_of_different_domains_are_different_nodes(self) -> None:
        with pytest.raises(CommandError, match=r"^Unknown node 'east1\.a'"):
            names.resolve("east1.a", ["east1.b"])

    @pytest.mark.parametrize("name", ["east", "east11", "ast1", "east1x"])
    def test_a_part_of_a_name_finds_nothing(self, name: str) -> None:
        with pytest.raises(CommandError, match=r"^Unknown node"):
            names.resolve(name, ["east1"])

    def test_unknown_node_is_answered_with_known_ones_folded(self) -> None:
        with pytest.raises(CommandError) as caught:
            names.resolve("nobody", ["west1", "east1", "east2"])
        assert str(caught.value) == "Unknown node 'nobody'; known: east[1-2],west1"

    def test_where_none_is_known_it_says_so(self) -> None:
        with pytest.raises(CommandError, match=r"^Unknown subcluster 'east'; none is known$"):
            names.resolve("east", [], "subcluster")

    @given(st.lists(NAME, min_size=1, max_size=8, unique_by=str.lower), st.data())
    def test_every_node_is_found_by_any_spelling(self, listed: list[str], data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(listed))
        assert names.resolve(name.swapcase(), listed) == name


class TestResolveSet:
    def test_names_match_without_case_else_by_first_label(self) -> None:
        index = names.NameIndex(["East1", "west1.example.com", "west2"])
        assert sorted(index.find_all(["EAST1", "west1", "west2.example.com", "east1"])) == [
            "East1",
            "west1.example.com",
            "west2",
        ]

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            (["nobody"], "Unknown node 'nobody'; known: a.x,a.y,b"),
            (["n1", "b", "n2"], "Unknown nodes 'n[1-2]'; known: a.x,a.y,b"),
            (["a"], "Node 'a' fits several: a.x, a.y; give the whole name"),
        ],
    )
    def test_an_unknown_name_is_told_the_known_ones(self, wanted: list[str], said: str) -> None:
        with pytest.raises(CommandError) as caught:
            names.NameIndex(["a.x", "a.y", "b"]).find_all(wanted)
        assert str(caught.value) == said


class TestPrivateNames:
    def test_it_tells_role_process_and_host(self) -> None:
        assert names.private_name("ec0", 20768, "pono", "1f9a") == "#ec0-20768-1f9a#pono"

    def test_two_lives_of_one_process_differ(self) -> None:
        assert names.private_name("ec0", 1, "pono") != names.private_name("ec0", 1, "pono")

    @given(NAME)
    def test_the_host_is_read_back_whole(self, name: str) -> None:
        assert names.public_name(names.private_name("ec0", 1, name)) == name
