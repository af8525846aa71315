"""A loop notices that its process was away, at whatever point of its turn. Being busy is not being away."""

import pytest

from worker.guardian.absence import Absence


class Time:
    """A clock and the processor time of a process."""

    def __init__(self) -> None:
        self.now, self.worked = 1000.0, 5.0
        self.absence = Absence(lambda: self.now, lambda: self.worked)

    def turn(self, *, wait_s: float, waited_s: float, worked_s: float = 0.0, stopped_s: float = 0.0) -> bool:
        """A turn: a wait of `wait_s` that takes `waited_s`, then work, during which the process is stopped."""
        self.absence.waits(wait_s)
        self.now += waited_s
        away = self.absence.returned()
        self.now += worked_s + stopped_s
        self.worked += worked_s
        return away


def test_waiting_and_working_loop_was_never_away() -> None:
    time = Time()
    assert not any(time.turn(wait_s=1.0, waited_s=waited_s, worked_s=5.0) for waited_s in (0.0, 0.5, 1.0, 1.1))


@pytest.mark.parametrize("waited_s", [0.0, 0.5])
def test_stop_during_work_is_noticed_after_next_wait(waited_s: float) -> None:
    time = Time()
    assert not time.turn(wait_s=1.0, waited_s=0.2, stopped_s=2.0)
    assert time.turn(wait_s=1.0, waited_s=waited_s)
    assert not time.turn(wait_s=1.0, waited_s=waited_s)


def test_stop_during_a_wait_is_noticed_once() -> None:
    time = Time()
    assert time.turn(wait_s=1.0, waited_s=3.0)
    assert not time.turn(wait_s=1.0, waited_s=1.0)
