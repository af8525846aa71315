"""What the console does with the last gather: send it anew to some nodes, compare it with the run before."""

import json

import pytest

from cli.console.comparing import changes, told
from cli.console.reports import KeptReport, NodeAnswer, read_report, run_before
from cli.console.resending import chosen, sent_anew, why
from cli.console.watching import WatchedCommand, watched
from eccmgr.cluster.results import State
from eccmgr.errors import UsageError


def report(command_id: str, **answers: str) -> KeptReport:
    """A report; an answer in parentheses is a state."""
    read = (
        NodeAnswer(name, State(text.strip("()")), "") if text.startswith("(") else NodeAnswer(name, State.OK, text)
        for name, text in answers.items()
    )
    return KeptReport(command_id, tuple(read))


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("failed", ["a1", "a2"]),
        ("lost", ["a3", "a4"]),
        ("silent", ["a5"]),
        ("skipped", ["a6"]),
        ("", ["a1", "a2", "a3", "a4", "a5", "a6"]),
    ],
)
def test_only_nodes_in_these_states_are_chosen(word: str, names: list[str]) -> None:
    states = "failed refused lost missed pending skipped running absent ok aborted"
    answers = [NodeAnswer(f"a{n}", State(state), "") for n, state in enumerate(states.split(), 1)]
    assert [answer.node for answer in chosen(answers, word)] == names


def test_chosen_nodes_are_counted_by_state() -> None:
    assert why(report("X", a="(failed)", b="(lost)", c="(lost)").nodes) == "1 failed, 2 lost"


@pytest.mark.parametrize(
    ("line", "command", "anew"),
    [
        ("gather reopen logs", "reopen logs", "gather east[1-2] -- reopen logs"),
        ("gather @west reopen logs", "reopen logs", "gather east[1-2] -- reopen logs"),
        ("json  gather -- reopen  logs", "reopen  logs", "gather east[1-2] -- reopen  logs"),
        ("gather east1 -- pid", "pid", "gather east[1-2] -- pid"),
        ('gather "reopen logs"', "reopen logs", "gather east[1-2] -- reopen logs"),
        ("gather pid pid", "pid", "gather east[1-2] -- pid"),
        (
            "gather --batch 25% --timeout=5 @all config set a_password = S3CR3T",
            "config set a_password = ********",
            "gather --batch 25% --timeout=5 east[1-2] -- config set a_password = S3CR3T",
        ),
    ],
)
def test_gather_is_sent_anew_as_typed(line: str, command: str, anew: str) -> None:
    assert sent_anew(line, command, ["east2", "east1"]) == anew


def test_report_is_read_from_its_json_form() -> None:
    body = {"id": "X", "nodes": [{"node": "a", "state": "failed", "text": "no"}]}
    assert read_report(json.dumps(body)) == KeptReport("X", (NodeAnswer("a", State.FAILED, "no"),))
    for strange in ("", "[]", '{"body": "x"}', '{"id": "X", "nodes": [{"node": "a", "state": "odd", "text": ""}]}'):
        assert read_report(strange) is None


def test_run_before_has_the_same_text() -> None:
    past = [{"id": name, "command": text} for name, text in zip("ABCD", ("pid", "uptime", "pid", "pid"), strict=True)]
    body = json.dumps({"commands": past})
    assert [run_before(body, name) for name in "ABCDX"] == ["", "", "A", "C", ""]
    assert run_before("no json", "A") == ""


def test_nodes_with_the_same_change_are_one() -> None:
    before = report("A", East1="7", east2="7", east10="7", west1="(lost)", west2="9")
    now = report("B", East1="8", east2="7", east10="8", west1="9", west3="9")
    assert [(change.nodes, change.before, change.now) for change in changes(before, now)] == [
        (("East1", "east10"), "7", "8"),
        (("west1",), "(lost)", "9"),
        (("west2",), "9", None),
        (("west3",), None, "9"),
    ]
    assert told(before, now).splitlines() == [
        "B against A: 3 of 5 nodes changed",
        "East1,east10: 7  →  8",
        "west1: (lost)  →  9",
        "west2: only in the run before",
        "west3: only in the run now",
    ]
    assert told(now, now) == "B against B: no node changed its answer"


def test_changed_lines_of_long_answers_are_shown() -> None:
    lines = told(report("A", a="one\ntwo\nthree\nfour"), report("B", a="one\ntwo\n3\nfour")).splitlines()
    assert lines == [
        *("B against A: 1 of 1 node changed", "a:"),
        *("  @@ -2,3 +2,3 @@", "   two"),
        *("  -three", "  +3", "   four"),
    ]


def test_watch_takes_seconds_and_command() -> None:
    assert watched("", "pid") == (2, "pid")
    assert watched("5", "pid") == (5, "pid")
    assert watched("gather pid", "") == (2, "gather pid")
    assert watched("0.5 gather pid", "") == (0.5, "gather pid")
    for text in ("", "0 pid", "86401 pid", "2 \\again"):
        with pytest.raises(UsageError):
            watched(text, "")


def test_watch_marks_what_changed() -> None:
    answers = WatchedCommand("every 2 s: gather pid")
    answers.take("# 01M8HN3GDW9F  pid  18:01:30  2 of 2 answered\na: 1\nb: 2\nb: 2", "18:01:30")
    assert answers.changed == frozenset()
    answers.take("# 01M8HN3GDW9G  pid  18:01:32  2 of 2 answered\nb: 2\na: 3\nb: 2\nb: 2", "18:01:32")
    assert answers.changed == {2, 4}
    assert answers.screen(10)[0] == (False, "every 2 s: gather pid  18:01:32  2 changed  (Ctrl-C ends)")
    assert answers.screen(4)[1:] == [
        *((False, "# 01M8HN3GDW9G  pid  18:01:32  2 of 2 answered"), (False, "b: 2")),
        (True, "… 3 more lines, 2 of them changed"),
    ]
    answers.fail("Cannot connect", "18:01:34")
    assert answers.screen(10)[0][1].startswith("every 2 s: gather pid  18:01:34  Cannot connect")
    assert answers.screen(10)[1:] == [(n in {2, 4}, line) for n, line in enumerate(answers.lines)]
