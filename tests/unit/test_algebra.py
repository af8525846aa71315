"""Targets with operators: the sets that they mean, and what is said of those that mean none."""

import functools
import operator
import re
from collections.abc import Set

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eccmgr.cluster import algebra, nodeset
from eccmgr.cluster.view import EVERYONE, Seat, Target, TargetKind, View
from eccmgr.commands.gather import GatherWish
from eccmgr.commands.normal_form import normal_form
from eccmgr.commands.target import one_node, read_target
from eccmgr.errors import CommandError, UsageError
from eccmgr.text import words
from eccmgr.text.target_words import looks_like_a_target

ROLES = {"east1": "mta", "east2": "mta", "east3": "db", "West1": "mtx", "west2": ""}


def seat(name: str) -> Seat:
    role = f" role={ROLES[name]}" if ROLES[name] else ""
    return Seat(f"#ec0-1#{name}", name, name[:4].lower(), tag_line=f"os=linux{role}")


VIEW = View(1, {name.lower(): seat(name) for name in ROLES if name != "west2"}, {"west2": seat("west2")})
EVERY = frozenset(map(str.lower, ROLES))
GROUPS = {
    "@all": EVERY,
    "@ALL": EVERY,
    "@east": frozenset({"east1", "east2", "east3"}),
    "@West": frozenset({"west1", "west2"}),
    "@role:mta": frozenset({"east1", "east2"}),
    "@Role:MT*": frozenset({"east1", "east2", "west1"}),
    "role:?b": frozenset({"east3"}),
    "@os:*": EVERY,
    "east[1-2]": frozenset({"east1", "east2"}),
    "WEST1": frozenset({"west1"}),
    "east3": frozenset({"east3"}),
}
MEANING = {",": operator.or_, "&": operator.and_, "!": operator.sub, "^": operator.xor}


def combined(first: tuple[str, Set[str]], more: list[tuple[str, tuple[str, Set[str]]]]) -> tuple[str, Set[str]]:
    """A text with operators, and what Python's own sets make of it from left to right."""
    text = first[0] + "".join(f"{sign}{written}" for sign, (written, _) in more)
    meant = functools.reduce(lambda so_far, step: MEANING[step[0].strip()](so_far, step[1][1]), more, first[1])
    return text, meant


SIGNS = st.sampled_from([*MEANING, *(f" {sign} " for sign in MEANING)])
SETS = st.recursive(
    st.sampled_from(sorted(GROUPS)).map(lambda text: (text, GROUPS[text])),
    lambda inner: st.builds(
        combined,
        inner.map(lambda drawn: (f"({drawn[0]})", drawn[1])) | inner.filter(lambda drawn: drawn[0] in GROUPS),
        st.lists(
            st.tuples(SIGNS, inner.map(lambda drawn: drawn if drawn[0] in GROUPS else (f"({drawn[0]})", drawn[1]))),
            min_size=1,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(SETS)
def test_a_target_means_what_sets_mean(drawn: tuple[str, Set[str]]) -> None:
    text, meant = drawn
    assert algebra.nodes_of(algebra.parse(text), VIEW) == meant
    if not meant:
        with pytest.raises(CommandError, match=r"^No node is in "):
            read_target(text, VIEW)
        return
    live, absent = VIEW.expected(read_target(text, VIEW))
    assert {seat.key for seat in (*live, *absent)} == meant


@given(SETS)
def test_a_node_knows_whether_it_is_meant(drawn: tuple[str, Set[str]]) -> None:
    text, meant = drawn
    where = algebra.parse(algebra.written(algebra.parse(text), VIEW))
    assert {seat.key for seat in VIEW if algebra.holds(where, seat)} == meant


def test_only_found_nodes_are_told_where() -> None:
    assert read_target("@role:MT*!West1", VIEW).where == "@role:mt*!(West1)"
    assert read_target("@role:db", VIEW).where == "@role:db"
    assert read_target("@all!east[1-2]", VIEW).where == ""
    assert read_target("east1,west1", VIEW).where == ""


@given(SETS, st.sampled_from(["pid", "JSON pid", "'cluster nodename'", 'config set a "b  c"', "@east pid"]), st.data())
def test_normal_form_carries_what_the_handler_runs(
    drawn: tuple[str, Set[str]], command: str, data: st.DataObject
) -> None:
    text, meant = drawn
    assume(meant)
    quoted = words.quote(text)
    assume(looks_like_a_target(text))
    dashes = data.draw(st.sampled_from(["", "-- "])) if not command.startswith("@") else "-- "
    line = f"{data.draw(st.sampled_from(['', '--timeout 5 ']))}{quoted} {dashes}{command}"
    wish = GatherWish.parse(line, VIEW)
    assert {seat.key for seat in VIEW.listed(wish.target)} == meant
    form = normal_form(f"gather {line}")
    assert str(form.carried) == str(normal_form(wish.text))
    assert str(normal_form(str(form))) == str(form)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("@all", EVERYONE),
        ("@WEST", Target(TargetKind.SUBCLUSTER, "west")),
        ("west1", Target(TargetKind.NODE, "West1")),
        ("@east&role:mta!east1", Target(TargetKind.NODE, "east2")),
        ("@east&role:mta", Target(TargetKind.SET, "east[1-2]")),
        ("@role:mt*", Target(TargetKind.SET, "West1,east[1-2]")),
        ("west1,east1&@east", Target(TargetKind.NODE, "east1")),
        ("west1,(east1&@east)", Target(TargetKind.SET, "West1,east1")),
        ("@all!@west", Target(TargetKind.SET, "east[1-3]")),
        (" ( @east ^ east[1-2] ) ", Target(TargetKind.NODE, "east3")),
    ],
)
def test_targets_become_nodes_when_they_are_read(text: str, target: Target) -> None:
    read = read_target(text, VIEW)
    assert (read.kind, sorted(read.name.split(","))) == (target.kind, sorted(target.name.split(",")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("!east3", "'!east3' is not a TARGET: write a set before the '!', such as @all!east3"),
        ("&@east", "'&@east' is not a TARGET: write a set before the '&', such as @all&@east"),
        (",east1", "',east1' is not a TARGET: write a set before the ','"),
        ("east1,,east2", "'east1,,east2' is not a TARGET: write a set before the ','"),
        ("@east!", "'@east!' is not a TARGET: write a set behind the '!', without a blank between them"),
        ("@east @west", "'@east @west' is not a TARGET: write one of , & ! ^ between '@east' and '@west'"),
        ("(@east)@west", "'(@east)@west' is not a TARGET: write one of , & ! ^ between ')' and '@west'"),
        ("(@east", "'(@east' is not a TARGET: a '(' is never closed; write a ')' behind the last set in it"),
        ("@east)", "'@east)' is not a TARGET: the ')' closes nothing; write a '(' before it"),
        ("()", "'()' is not a TARGET: write a set before the ')'"),
        (
            "@all&east*",
            "'@all&east*' is not a TARGET: write @NAME, a node's name, or a set such as east[1-3,7],west1; ",
        ),
        ("@ea*", "'@ea*' is not a TARGET: write @NAME, a node's name, or a set such as east[1-3,7],west1; only the "),
        ("@", "'@' is not a TARGET: '' cannot name a subcluster; write @all, or @NAME such as @east"),
        ("@role:", "'@role:' is not a TARGET: write a value behind '@role:', such as @role:mta, or * for any"),
        ("@role:m=a", "'@role:m=a' is not a TARGET: no tag has a value like 'm=a'; write a tag like @role:mta or "),
        ("@1:a", "'@1:a' is not a TARGET: '1' cannot name a tag; write a tag like @role:mta"),
        ("east[1-", "Not a node set: 'east[1-'; write it like east[1-3,7],west1"),
        ("", "Not a node set: ''; write it like east[1-3,7],west1"),
        ("@all!north[1-2]", "Unknown nodes 'north[1-2]'; known: East"),
        ("@all!role:prod", "No node has the tag role:prod; known: role:db,role:mta,role:mtx"),
        ("@rol:mta", "Unknown tag 'rol'; known: os,role"),
        ("@role", "Unknown subcluster 'role'; known: east,west. For the tag write @role:VALUE"),
        ("@east&@west", "No node is in @east&@west"),
        ("(" * 30 + "@all" + ")" * 30, "at most 20 parentheses may stand within each other"),
        ("@all" + ",@all" * 100, "it names more than 100 groups of nodes"),
        ("n[1-9999]&m[1-9999]", "A node set may name at most 10000 nodes"),
    ],
)
def test_a_text_that_is_no_target_says_why(text: str, said: str) -> None:
    with pytest.raises(CommandError) as error:
        read_target(text, VIEW)
    assert said.lower() in str(error.value).lower()


@pytest.mark.parametrize(
    "text", ["a," * 2**19, "(" * 2**20, "@" * 2**20, "a!" * 2**19, "[" * 2**20, " " * 2**20 + "a b"]
)
def test_megabyte_of_operators_takes_one_pass(text: str) -> None:
    # If the parser tried any part twice, this would take longer than the test may.
    with pytest.raises(UsageError):
        algebra.parse(text)


def test_one_node_may_be_named_by_any_target() -> None:
    assert one_node("@role:db", VIEW) == one_node("east3", VIEW) == Target(TargetKind.NODE, "east3")
    with pytest.raises(
        CommandError, match=re.escape("One node is wanted, but @role:mta means 2: east[1-2]; use gather")
    ):
        one_node("@role:mta", VIEW)


def test_ten_thousand_names_are_a_target() -> None:
    seats = {f"n{i}": Seat(f"#ec0-1#n{i}", f"n{i}", "east") for i in range(nodeset.MAX_NAMES + 1)}
    view = View(1, seats, {})
    assert read_target("@all!n0", view) == Target(TargetKind.SET, "n[1-10000]")
    with pytest.raises(UsageError, match="at most 10000 nodes"):
        read_target("@all,n1", view)
