"""A loop rests for the time of its work, not for the time of its waits."""

from worker.duravip.pace import LoopPace


def test_working_turn_rests_longer_than_a_waiting_one() -> None:
    worked = [10.0]
    pace = LoopPace(0.02, 4, lambda: worked[0])
    pace.begin()
    worked[0] += 0.5
    assert pace.rest_s == 2.0
    pace.begin()
    assert pace.rest_s == 0.02
