"""A job worker waits for Redis for a day, and once its agent is gone for a minute in all."""

import pytest

from worker.jobs import patience
from worker.jobs.patience import DESERTED_S, PATIENCE_S, Whereabouts


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(patience.time, "monotonic", lambda: now[0])
    return now


def test_a_wait_for_redis_ends_after_a_day(clock: list[float]) -> None:
    whereabouts, began = Whereabouts(), clock[0]
    clock[0] += PATIENCE_S - 1
    assert not whereabouts.gives_up(began)
    clock[0] += 2
    assert whereabouts.gives_up(began)


def test_all_waits_end_a_minute_after_the_agent(clock: list[float]) -> None:
    whereabouts = Whereabouts()
    whereabouts.move("redis://127.0.0.1:7000/0")
    whereabouts.desert()
    clock[0] += DESERTED_S - 1
    assert not whereabouts.gives_up(clock[0])
    clock[0] += 2
    # A wait that has just begun is over too: otherwise several waits in a row would keep the process much longer.
    assert whereabouts.gives_up(clock[0])
    assert whereabouts.now == ("127.0.0.1", 7000)
