"""The normal form: every spelling of a command has one, and it is the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.commands.normal_form import DEEPEST, normal_form
from eccmgr.commands.secrets import same_command
from eccmgr.commands.table import COMMAND, Call, Carries, Command, Param, Table, prompt
from eccmgr.errors import UsageError
from eccmgr.text import words


async def _answer(_call: Call) -> str:
    return ""


def _table() -> Table:
    table = Table()
    table.add(
        prompt("pid", "", lambda: ""),
        Command("broadcast", "", _answer, (COMMAND,), carries=Carries.FOR_NODES),
        Command("unicast", "", _answer, (Param("NODE"), COMMAND), carries=Carries.FOR_NODES),
        Command("sched in", "", _answer, (Param("SECONDS"), COMMAND), carries=Carries.FOR_ITSELF),
        Command("gather", "", _answer, (Param("[OPTIONS] COMMAND", rest=True),), carries=Carries.FOR_NODES),
        Command("config set", "", _answer, (Param("SETTING", rest=True),)),
    )
    return table


TABLE = _table()


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("PID", "pid"),
        ("json XML pid", "pid"),
        ('CON\\fig "Set"  Some Value', "config set Some Value"),
        ("config set a 'b c' \"\"", 'config set a "b c" ""'),
        ("Broadcast 'json CONFIG  set a b'", "broadcast config set a b"),
        ("unicast East1 Sieve:One Flush Cache", "unicast East1 sieve:one flush Cache"),
        ("sched in 5 BROADCAST xml PID", "sched in 5 broadcast pid"),
        ('gather --timeout 5 @East "CLUSTER Info"', "gather --timeout 5 @East cluster info"),
        ("gather east1 PID", "gather east1 pid"),
        ("gather '@all -- PID x'", "gather @all -- pid x"),
        ("gather PID now", "gather pid now"),
        ("broadcast sched every 5 ecelerity CONFIG set a b", "broadcast sched every 5 ecelerity config set a b"),
        ("nonsense 'A b'", 'nonsense "A b"'),
        ('"config set" a b', '"config set" a b'),
        ("pid\tnow", "pid now"),
        ("say \u00e9 '\u00a0'", 'say \u00e9 "\u00a0"'),
        ("", ""),
    ],
)
def test_spellings_of_a_command_have_one_form(line: str, form: str) -> None:
    assert str(normal_form(line, TABLE)) == form


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("config se\u200bt a b", "control character U\\+200B"),
        ("broadcast say \u202etxt", "U\\+202E"),
        ("pid \x1b[2J", "U\\+001B"),
        ("pid\u2028pid", "U\\+2028"),
        ("\u00a0pid", "blank U\\+00A0"),
        ("config\u3000set a b", "blank U\\+3000"),
        ("broadcast 'config\u00a0set a b'", "blank U\\+00A0"),
        ("config set a '\t'", "tab"),
        ("broadcast say 'x", "quote is never closed"),
        ('broadcast "say \'x"', "quote is never closed"),
        ("sched in 1 sched in 2 sched in 3 sched in 4 broadcast pid", "nested too deep"),
        ("broadcast " + words.quote(words.quote(words.quote(words.quote("config set a")))), "nested too deep"),
    ],
)
def test_a_line_without_a_form_is_refused(line: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        normal_form(line, TABLE)


def test_the_deepest_nesting_is_still_admitted() -> None:
    line = "sched in 1 " * (DEEPEST - 1) + "broadcast pid"
    assert str(normal_form(line, TABLE)) == line


# Characters and words that split, quote, carry or ask for a form, in any order.
SPELLED = st.lists(
    st.sampled_from(
        [
            *(
                "config",
                "SET",
                "pid",
                "broadcast",
                "gather",
                "unicast",
                "sched",
                "in",
                "json",
                "xml",
                "--",
                "--timeout",
            ),
            *("@east", "east[1-2]", "5", "=", "a", "", " ", "\u00a0", '"', "'", "\\", "a b", "sieve:s", "ecelerity"),
        ]
    ),
    max_size=8,
).flatmap(lambda parts: st.sampled_from(["".join(parts), " ".join(parts), " ".join(map(words.quote, parts))]))
LINES = st.one_of(st.text(), SPELLED, st.builds(lambda a, b: f"{a} {words.quote(b)}", SPELLED, SPELLED))


@given(LINES)
def test_a_normal_form_is_its_own_form(line: str) -> None:
    for table in (TABLE, None):
        try:
            form = str(normal_form(line, table))
        except UsageError:
            continue
        assert str(normal_form(form, table)) == form


@given(LINES)
def test_the_form_is_found_by_the_same_entry(line: str) -> None:
    try:
        form = normal_form(line, TABLE)
    except UsageError:
        return
    meant = [word.text for word in words.split(line)]
    while meant and meant[0].lower() in ("json", "xml"):
        del meant[0]
    command, named = TABLE.named(meant)
    again, same = TABLE.named([word.text for word in words.split(str(form))])
    assert (command, named) == (again, same)
    if command is not None and command.carries is None:
        assert list(form.arguments) == meant[named:]


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
        ("config set a_password one", "config set a_password two"),
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
        ("json pid", "pid"),
    ],
)
def test_values_keep_their_case_and_their_blanks(one: str, other: str) -> None:
    assert same_command(one) != same_command(other)


# A blank at the very end of a line is dropped before escapes are read.
WORD = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1).filter(lambda w: w == w.rstrip())


@given(st.lists(WORD, min_size=2))
def test_how_a_word_is_quoted_makes_no_difference(typed: list[str]) -> None:
    escaped = " ".join("".join(f"\\{character}" for character in word) for word in typed)
    assert same_command(escaped) == same_command(" ".join(words.quote(word) for word in typed))


@given(st.text())
def test_a_spelling_stands_for_itself(typed: str) -> None:
    assert same_command(same_command(typed)) == same_command(typed)
