"""A console whose transaction was lost with its connection does not change the live configuration instead."""

import pytest

from eccmgr.control.client.transaction import OpenTransaction, config_command
from eccmgr.errors import TransactionLost


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("config begin", "begin"),
        ('  JSON  "config"  Begin from scratch', "begin"),
        ("xml config set x 1", "set"),
        ("config", None),
        ("gather config begin", None),
        ('"config begin', None),
        ("", None),
    ],
)
def test_config_command_is_recognized_in_every_spelling(line: str, command: str | None) -> None:
    assert config_command(line) == command


def session(*commands: str, script: bool = False) -> OpenTransaction:
    """A session in which these commands have succeeded."""
    made = OpenTransaction(script=script)
    for command in commands:
        made.allow(command)
        made.send(command)
        made.answered(ok=True)
    return made


def is_refused(made: OpenTransaction, command: str | None) -> bool:
    try:
        made.allow(command)
    except TransactionLost:
        return True
    return False


def test_interactive_console_refuses_the_next_command_only() -> None:
    made = session("begin", "set")
    made.broken()
    assert [is_refused(made, each) for each in (None, "set", "set", "commit")] == [False, True, False, False]


def test_script_is_refused_the_rest_of_a_transaction() -> None:
    made = session("begin", "set", script=True)
    made.broken()
    given = ("set", "get", "unset", "commit", "set", "begin", "set", "commit")
    assert [is_refused(made, each) for each in given] == [True, False, True, True, False, False, False, False]
    made = session("begin", script=True)
    made.broken()
    assert [is_refused(made, each) for each in ("set", "begin", "set")] == [True, False, False]


@pytest.mark.parametrize("commands", [(), ("set",), ("begin", "commit"), ("begin", "set", "rollback")])
def test_nothing_is_lost_where_no_transaction_was_open(commands: tuple[str, ...]) -> None:
    made = session(*commands)
    made.broken()
    assert not is_refused(made, "set")


def test_begin_without_an_answer_is_lost_too() -> None:
    made = session()
    made.send("begin")
    made.broken()
    assert is_refused(made, "set")


def test_commit_without_an_answer_may_have_happened() -> None:
    made = session("begin")
    made.send("commit")
    made.broken()
    with pytest.raises(TransactionLost, match="look with config get whether it was"):
        made.allow("set")


def test_a_begin_that_was_refused_opens_nothing() -> None:
    made = session()
    made.send("begin")
    made.answered(ok=False)
    made.broken()
    assert not is_refused(made, "set")
