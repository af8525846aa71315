"""The words in which operators read how long nodes have been absent."""

import time

from eccmgr.cluster.absence import absence, absent_for, absent_nodes
from eccmgr.cluster.view import Seat

NOW = time.mktime((2026, 11, 28, 12, 0, 0, 0, 0, -1))
HOUR_MS = 3_600_000
NOW_MS = int(NOW * 1000)


def gone(name: str, since_ms: int | None = None) -> Seat:
    return Seat("", name, "east", absent=True, since_ms=since_ms)


def test_date_is_shown_on_another_day() -> None:
    assert absence(NOW_MS - HOUR_MS, NOW) == "since 11:00"
    assert absence(NOW_MS - 13 * HOUR_MS, NOW) == "since 2026-11-27 23:00"


def test_a_node_that_never_came_was_never_seen() -> None:
    assert absent_for(None) == "absent, never seen"
    assert absent_for(NOW_MS, NOW) == "absent since 12:00"


def test_absent_nodes_stand_together_by_their_time() -> None:
    nodes = [gone("west9"), gone("east36", NOW_MS), gone("east33", NOW_MS), gone("east7", NOW_MS - HOUR_MS)]
    assert absent_nodes(nodes, NOW) == "east7 since 11:00, east[33,36] since 12:00, west9 never seen"


def test_of_many_ranges_the_first_are_named() -> None:
    nodes = [gone(f"east{2 * number}", NOW_MS - number * 60_000) for number in range(30)]
    said = absent_nodes(nodes, NOW)
    assert said.startswith("east58 since 11:31, ")
    assert said.endswith("east20 since 11:50 and 10 more nodes")
