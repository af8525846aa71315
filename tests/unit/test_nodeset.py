"""Node sets: which texts are sets, and how many names a set may hold."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.cluster import names, nodeset
from eccmgr.errors import UsageError

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("east1", ["east1"]),
        ("east[1-3,7],west1", ["east1", "east2", "east3", "east7", "west1"]),
        ("e[08-10]", ["e08", "e09", "e10"]),
        ("e[1-5/2]", ["e1", "e3", "e5"]),
        ("r[1-2]n[1-2].example.com", [f"r{r}n{n}.example.com" for r in (1, 2) for n in (1, 2)]),
        ("a,a,a", ["a"]),
        ("n1[5-10]", ["n15", "n16", "n17", "n18", "n19", "n110"]),
        ("n[1-3]5", ["n15", "n25", "n35"]),
        ("n1[05-06]", ["n105", "n106"]),
        ("a1[1-2]b2[3-4]", ["a11b23", "a11b24", "a12b23", "a12b24"]),
        ("n[0-1]", ["n0", "n1"]),
        ("n[00-01]", ["n00", "n01"]),
        ("n[9-10,007]", ["n007", "n9", "n10"]),
    ],
)
def test_a_set_stands_for_its_names(text: str, found: list[str]) -> None:
    assert sorted(nodeset.spell_out(nodeset.parts(text)), key=names.natural) == sorted(found, key=names.natural)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "a,",
        ",a",
        "a,,b",
        "a[",
        "a]",
        "a[]",
        "a[1",
        "a[1-]",
        "a[x]",
        "a[3-1]",
        "a[1-3]]",
        "a[[1]]",
        "a*",
        "a!b",
        "a&b",
        "a^b",
        "a b",
        "a[1-9999999999999999999999999999999999999999999999999999999999999999]",
        "a[1-010]",
        "%s",
        "a[-1]",
        "ä1",
    ],
)
def test_what_is_no_set_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^Not a node set: '"):
        nodeset.spell_out(nodeset.parts(text))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("east[3-1]", "'east[3-1]'; 3-1 runs backwards, write 1-3"),
        ("a,b[7,9-2/2]", "'b[7,9-2/2]'; 9-2/2 runs backwards, write 2-9/2"),
        ("a[1-3/0]", "'a[1-3/0]'; 1-3/0 has a step of 0"),
        ("a[01-3]", "'a[01-3]'; 01-3 is padded unevenly, write 01-03"),
        ("a[1-010]", "'a[1-010]'; 1-010 is padded unevenly, write 001-010"),
        ("a[1-2][3-4]", "'a[1-2][3-4]'; write it like east[1-3,7],west1"),
    ],
)
def test_a_range_that_is_none_says_why(text: str, why: str) -> None:
    with pytest.raises(UsageError) as raised:
        nodeset.spell_out(nodeset.parts(text))
    assert str(raised.value) == f"Not a node set: {why}"


@pytest.mark.parametrize(
    "text",
    [
        "a[0-10000]",
        "a[1-999999999]",
        "a[1-999]b[1-999]c[1-999]",
        "a[1-9999],b,c",
        "a[1-999999999/2]",
        "a70000[11-105],a[1-10000]",
    ],
)
def test_set_of_too_many_names_is_not_expanded(text: str) -> None:
    with pytest.raises(UsageError, match=r"^A node set may name at most 10000 nodes$"):
        nodeset.spell_out(nodeset.parts(text))


PIECES = st.one_of(
    st.from_regex(r"[a-z0-9.-]{1,3}", fullmatch=True).map(lambda text: (text, [text])),
    st.tuples(st.integers(0, 120), st.integers(0, 12), st.integers(0, 3)).map(
        lambda drawn: (
            f"[{drawn[0]:0{drawn[2]}}-{drawn[0] + drawn[1]:0{drawn[2]}}]",
            [f"{number:0{drawn[2]}}" for number in range(drawn[0], drawn[0] + drawn[1] + 1)],
        )
    ),
)


@given(st.lists(PIECES, min_size=1, max_size=4))
def test_a_set_means_what_it_looks_like(pieces: list[tuple[str, list[str]]]) -> None:
    text = "".join(written for written, _ in pieces)
    naive = ["".join(chosen) for chosen in itertools.product(*(names for _, names in pieces))]
    try:
        assert nodeset.spell_out(nodeset.parts(text)) == list(dict.fromkeys(naive))
    except UsageError:
        assert "][" in text or "padded unevenly" in _refusal(text) or len(naive) > nodeset.MAX_NAMES


def _refusal(text: str) -> str:
    with pytest.raises(UsageError) as raised:
        nodeset.spell_out(nodeset.parts(text))
    return str(raised.value)


@given(st.sets(NAMES, min_size=1, max_size=30))
def test_what_folding_writes_is_read_back(given_names: set[str]) -> None:
    assert set(nodeset.spell_out(nodeset.parts(names.fold(given_names)))) == given_names


@pytest.mark.parametrize(
    "text", ["[" * 2**20, "a[" + "1," * 2**19, "a" * 2**20 + "]", "[1]" * 2**18, "1-" * 2**19 + "["]
)
def test_megabyte_of_brackets_takes_one_pass(text: str) -> None:
    # If the parser tried any part twice, this would take longer than the test may.
    with pytest.raises(UsageError):
        nodeset.spell_out(nodeset.parts(text))


@given(st.sets(NAMES, min_size=1, max_size=30))
def test_folded_set_keeps_its_names(given_names: set[str]) -> None:
    assert nodeset.members(names.fold(given_names)) == {name.lower() for name in given_names}


def test_set_of_overlong_names_is_not_expanded() -> None:
    assert len(nodeset.spell_out(["a" * 62 + "[1-9]"])) == 9
    with pytest.raises(UsageError, match="at most 63 characters"):
        nodeset.spell_out(["a" * 60_000 + "[1-9999]"])
