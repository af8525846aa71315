"""Statements of nodes about their VIPs, and statements that cannot be read."""

import pytest

from eccmgr.duravip.shares import Share
from eccmgr.duravip.statements import Said, Statement
from eccmgr.errors import Unreadable

SHARES = {"10.1.1.1": Share(("duravip-1",), "east1", None, "abc"), "fd00::1": Share()}


def test_a_statement_is_read_as_it_was_written() -> None:
    statement = Statement(7, 1.25, 1.5, SHARES)
    assert Statement.parse(statement.dump()) == statement


@pytest.mark.parametrize("text", ["x", "", "{}", Statement(1, 0.0, 1.5, SHARES).dump()[:-5]])
def test_one_that_is_broken_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="cannot be read"):
        Statement.parse(text)


def test_what_is_said_last_counts() -> None:
    said = Said()
    unable = "10.1.1.1 10.1.1.2\teth1 is down\n10.1.1.3\tno quota"
    for name, text in (("@a1", "raw"), ("~a1", unable), ("!a1", "1"), ("!a2", "1"), ("!a2", "")):
        said.hear(name, text)
    assert (said.unread, said.unable, said.drained) == (
        {"a1": "raw"},
        {"a1": {"10.1.1.1": "eth1 is down", "10.1.1.2": "eth1 is down", "10.1.1.3": "no quota"}},
        {"a1"},
    )
    said.hear("@a1", "")
    assert not said.unread
