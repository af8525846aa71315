"""A backlog keeps the order, has bounds, and counts what it drops."""

from eccmgr.logs.backlog import Backlog


def test_items_beyond_the_bounds_are_counted() -> None:
    backlog: Backlog[str] = Backlog(3, 10, len)
    for item in ("a", "bb", "x" * 8, "c", "d"):
        backlog.put(item)
    assert backlog.take(2) == (["a", "bb"], 2)
    assert (backlog.take(5), len(backlog)) == ((["c"], 0), 0)
    backlog.put("x" * 10)
    assert backlog.take(1) == (["x" * 10], 0)
