"""A watched counter ages only on the watcher's own clock, and only while it does not change."""

from eccmgr.cluster.timing import Timing
from eccmgr.duravip.records import Beaten, Era, Late, Verdict
from worker.duravip.model.watching import Watched, Watches

TIMING = Timing(0.5, 1.5)
ERA = Era(7, "run|replid")
LATE = Late("#ec0-1#west1", 41)


def beaten(*late: Late, opened: bool = True, acked: bool = True) -> Beaten:
    return Beaten(Verdict.OK, ERA, acked, opened, 0, late)


def aged(watches: Watches, *times: float, answer: Beaten, era: Era = ERA) -> list[Watched]:
    """The watched things that have aged by the last of `times`. At each of the times the answer was the same."""
    return [list(watches.aged(at, era, answer, TIMING)) for at in times][-1]


def test_counter_that_stands_still_too_long_has_aged() -> None:
    watches = Watches()
    assert aged(watches, 0.0, 0.5, 1.0, 1.5, answer=beaten(LATE)) == []
    assert aged(watches, 2.0, answer=beaten(LATE)) == [Watched(ERA, LATE)]


def test_a_counter_that_has_moved_is_watched_anew() -> None:
    watches = Watches()
    aged(watches, 0.0, 0.5, 1.0, 1.5, answer=beaten(LATE))
    assert aged(watches, 2.0, 2.5, 3.0, 3.5, answer=beaten(Late(LATE.session, 42))) == []


def test_everything_is_watched_anew_after_a_renewal_gap() -> None:
    watches = Watches()
    aged(watches, 0.0, 0.5, 1.0, answer=beaten(LATE))
    assert aged(watches, 2.3, 2.8, 3.3, 3.8, answer=beaten(LATE)) == []
    assert aged(watches, 4.3, answer=beaten(LATE)) == [Watched(ERA, LATE)]


def test_a_watch_of_another_era_is_void() -> None:
    watches, other = Watches(), Era(7, "other")
    aged(watches, 0.0, 0.5, 1.0, 1.5, answer=beaten(LATE))
    assert aged(watches, 2.0, 2.5, answer=beaten(LATE), era=other) == []


def test_era_is_watched_from_the_majority() -> None:
    watches = Watches()
    assert aged(watches, 0.0, 0.5, 1.0, 1.5, 2.0, answer=beaten(opened=False, acked=False)) == []
    aged(watches, 2.5, answer=beaten(opened=False))
    unacked = beaten(opened=False, acked=False)
    assert aged(watches, 3.0, 3.5, 4.0, answer=unacked) == []
    assert aged(watches, 4.5, answer=unacked) == [Watched(ERA)]
