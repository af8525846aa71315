"""The parsing of a gather: its options, its target, and the beginning of its command."""

import pytest

from eccmgr.cluster.view import EVERYONE, Seat, Target, TargetKind, View
from eccmgr.cluster.waiting import Pace
from eccmgr.commands.carried import FIRST_WORDS
from eccmgr.commands.gather import GatherWish, in_doubt
from eccmgr.errors import CommandError, UsageError

VIEW = View(
    1,
    {"east1": Seat("#a#east1", "east1", "East"), "pid": Seat("#b#pid", "pid", "east")},
    {"gone.example.com": Seat("#c#gone.example.com", "gone.example.com", "west")},
)
EAST = Target(TargetKind.SUBCLUSTER, "East")


def on(name: str) -> Target:
    return Target(TargetKind.NODE, name)


def a_set(folded: str) -> Target:
    return Target(TargetKind.SET, folded)


@pytest.mark.parametrize(
    ("line", "target", "text"),
    [
        ("uptime", EVERYONE, "uptime"),
        ("@all uptime", EVERYONE, "uptime"),
        ("@ALL uptime", EVERYONE, "uptime"),
        ("@east uptime", EAST, "uptime"),
        ("@EAST  module list", EAST, "module list"),
        ("east1 uptime", on("east1"), "uptime"),
        ("EAST1 uptime", on("east1"), "uptime"),
        ("east1.example.com uptime", on("east1"), "uptime"),
        ("gone.example.com uptime", on("gone.example.com"), "uptime"),
        ("east1", EVERYONE, "east1"),
        ("pid", EVERYONE, "pid"),
        ("pid pid", on("pid"), "pid"),
        ("gone uptime", on("gone.example.com"), "uptime"),
        ("gone", EVERYONE, "gone"),
        ("shop price apple", EVERYONE, "shop price apple"),
        ("json pid", EVERYONE, "json pid"),
        ('"cluster nodename"', EVERYONE, "cluster nodename"),
        ('"@east pid"', EAST, "pid"),
        ("@east 'cluster nodename'", EAST, "cluster nodename"),
        ("-- east9 pid", EVERYONE, "east9 pid"),
        ("-- -x", EVERYONE, "-x"),
        ("-- @east", EVERYONE, "@east"),
        ("east1 -- @east pid", on("east1"), "@east pid"),
        ("east1 pid pid", on("east1"), "pid pid"),
        ("sieve:sieve1 flush  cache", EVERYONE, "sieve:sieve1 flush  cache"),
        ("config show [1,2]", EVERYONE, "config show [1,2]"),
        ('@all say "a  b" ', EVERYONE, 'say "a  b"'),
        ("east[1] uptime", on("east1"), "uptime"),
        ("EAST1,pid,gone  module list", a_set("east1,gone.example.com,pid"), "module list"),
        ("@east,gone uptime", a_set("east1,gone.example.com,pid"), "uptime"),
        ("pid,@ALL uptime", a_set("east1,gone.example.com,pid"), "uptime"),
        ("east1!pid uptime", on("east1"), "uptime"),
        ("(@east) -- @east uptime", a_set("east1,pid"), "@east uptime"),
        ('"@east ! pid" uptime', on("east1"), "uptime"),
        ("'@east!pid uptime'", on("east1"), "uptime"),
        ('" @east" uptime', EAST, "uptime"),
    ],
)
def test_first_word_is_target_or_begins_the_command(line: str, target: Target, text: str) -> None:
    wish = GatherWish.parse(line, VIEW)
    assert (wish.target, wish.text, wish.timeout_s) == (target, text, 30.0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-h", "gather has no option -h. Usage: gather "),
        ("-x pid", "gather has no option -x. Usage: gather "),
        ("east* pid", r"'east\*' is not a TARGET: write "),
        ("east? pid", r"'east\?' is not a TARGET: write "),
        ("!east1 pid", "'!east1' is not a TARGET: write "),
        ('"!east1" pid', "'!east1' is not a TARGET: write "),
        ("east1 !pid pid", "'!pid' is not a TARGET: write "),
        (
            "east & west pid",
            "'&' is not a TARGET: write the whole TARGET without blanks, or in quotes; to send it as a ",
        ),
        ("east !east1 pid", "'!east1' is not a TARGET: write the whole TARGET without blanks \\(east!east1\\), or in "),
        (
            "@east !pid pid",
            "'!pid' is not a TARGET: write the whole TARGET without blanks \\(@east!pid\\), or in quotes; ",
        ),
        ("@east & @west pid", "'&' is not a TARGET: write the whole TARGET without blanks, or in quotes; "),
        ("@east& @west pid", "'@east&' is not a TARGET: write the whole TARGET without blanks \\(@east&@west\\), or "),
        ('"@east @west" pid', "'@east @west' is not a TARGET: write one of , & ! \\^ between '@east' and '@west'"),
        ("role:mta pid", "Unknown node 'role:mta'; known: .*\\. For nodes with a tag write @role:mta\\. To send it "),
        ("@east @west pid", "gather takes one TARGET; write the two as one: @east,@west"),
        ("east1 gone uptime", "gather takes one TARGET; write the two as one: east1,gone"),
        ("east33 pid", r"Unknown node 'east33'; known: .*\. To send it as a command: gather -- east33 pid"),
        ("'east33 pid'", "Unknown node 'east33'; known: "),
        ("west9.example.com uptime", "Unknown node 'west9.example.com'; known: "),
        ("db1 sieve:s1 flush cache", "Unknown node 'db1'; known: "),
        ("db1 -- anything", "Unknown node 'db1'; known: "),
        ("db two words", "Node 'db' fits several: db.example.com, db.example.org; give the whole name"),
    ],
)
def test_a_mistyped_target_becomes_no_command_for_everybody(line: str, said: str) -> None:
    two = {name: Seat(f"#d#{name}", name, "west") for name in ("db.example.com", "db.example.org")}
    view = View(1, {**VIEW.live, **two}, VIEW.absent)
    with pytest.raises(CommandError, match=rf"^{said}"):
        GatherWish.parse(line, view, FIRST_WORDS | {"sieve:s1"})


@pytest.mark.parametrize(
    ("line", "doubt"),
    [
        ("pid", False),
        ("@east price apple", False),
        ("east1 price apple", False),
        ("-- price apple", False),
        ("price apple", True),
        ("--timeout 5 east33 pid", True),
        ('"east33 pid"', True),
    ],
)
def test_live_nodes_words_are_fetched_only_when_needed(line: str, doubt: bool) -> None:
    assert in_doubt(line, VIEW) == doubt


@pytest.mark.parametrize(
    ("line", "timeout_s", "text"),
    [
        ("--timeout 5 uptime", 5.0, "uptime"),
        ("--timeout=0.5   uptime", 0.5, "uptime"),
        ("--timeout 5 --timeout 7 uptime", 7.0, "uptime"),
        ("--timeout 5 config --timeout 7", 5.0, "config --timeout 7"),
    ],
)
def test_options_come_first(line: str, timeout_s: float, text: str) -> None:
    wish = GatherWish.parse(line, VIEW)
    assert (wish.timeout_s, wish.text) == (timeout_s, text)


def test_option_and_target_may_both_be_given() -> None:
    assert GatherWish.parse("--timeout 5 @east pid", VIEW) == GatherWish(5.0, EAST, "pid")


@pytest.mark.parametrize(
    "line", ["--timeout", "--timeout 5", "--timeout=5", "@all", "@east ", "east[1-3]", "east1,pid "]
)
def test_without_a_command_it_answers_its_usage(line: str) -> None:
    with pytest.raises(UsageError, match=r"^Usage: gather "):
        GatherWish.parse(line, VIEW)


@pytest.mark.parametrize("value", ["0", "-1", "x", "", "1e3", "nan", "inf", "86401", "9" * 400])
def test_a_timeout_that_makes_no_sense_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match=r"^--timeout takes seconds, at most 86400; not '.{0,80}'$"):
        GatherWish.parse(f"--timeout={value} pid", VIEW)


def test_an_unknown_option_is_refused_and_named() -> None:
    with pytest.raises(UsageError, match=r"^gather has no option --fast\. Usage: "):
        GatherWish.parse("--fast pid", VIEW)


def test_an_unknown_subcluster_is_told_the_known_ones() -> None:
    with pytest.raises(CommandError, match=r"^Unknown subcluster 'north'; known: East,west$"):
        GatherWish.parse("@north pid", VIEW)


@pytest.mark.parametrize(
    ("line", "pace"),
    [
        ("pid pid", None),
        ("--batch 5 pid pid", Pace(5)),
        ("--batch=5% --timeout 7 pid pid", Pace(5, percent=True)),
        ("--max-failures 0 --batch 100% pid pid", Pace(100, percent=True, max_failures=0)),
        ("--max-failures=2 pid pid", None),
    ],
)
def test_batches_and_failures_set_the_pace(line: str, pace: Pace | None) -> None:
    wish = GatherWish.parse(line, VIEW)
    assert (wish.pace, wish.target, wish.text) == (pace, on("pid"), "pid")


@pytest.mark.parametrize("value", ["0", "-1", "x", "", "%", "0%", "101%", "5 %", "1.5", "1e3", "9" * 400])
def test_a_batch_that_makes_no_sense_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match=r"^--batch takes a number of nodes, or up to 100% of them; not '"):
        GatherWish.parse(f'--batch="{value}" pid', VIEW)


@pytest.mark.parametrize("value", ["-1", "x", "", "5%", "9" * 400])
def test_invalid_number_of_failures_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match=r"^--max-failures takes a number of nodes, not '"):
        GatherWish.parse(f"--max-failures={value} pid", VIEW)
