"""The time for which a holder may hold, and the time for which the others wait."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eccmgr.cluster.timing import CLOCK_RATE_ERROR, KERNEL_LATE_S, TOKEN_S, Timing
from eccmgr.errors import SettingsError


@pytest.mark.parametrize(
    ("heartbeat", "lease", "step", "hold", "watch"), [(0.5, 2.5, 0.6, 1.5, 1.84), (0.1, 0.6, 0.12, 0.36, 0.48)]
)
def test_both_profiles_hold_and_watch_as_documented(
    heartbeat: float, lease: float, step: float, hold: float, watch: float
) -> None:
    timing = Timing.of(heartbeat, lease, step)
    assert timing.hold_s == pytest.approx(hold)
    assert timing.watch_s == pytest.approx(watch, abs=0.005)


@given(st.floats(0.05, 2), st.floats(0.2, 20), st.floats(0.01, 5), st.floats(0, 5), st.floats(0, 2))
def test_watcher_outwaits_holders_at_any_clock_rate(
    heartbeat: float, lease: float, step: float, others: float, late: float
) -> None:
    try:
        timing = Timing.of(heartbeat, lease, step)
    except SettingsError:
        assume(False)
    assert timing.watch_s + step <= lease + 0.01
    reckoned = Timing(timing.heartbeat_s, timing.hold_s, others, late)
    slowest_holder_s = max(timing.hold_s, others) / (1 - CLOCK_RATE_ERROR) + KERNEL_LATE_S + TOKEN_S + late
    fastest_watcher_s = reckoned.watch_s / (1 + CLOCK_RATE_ERROR)
    assert fastest_watcher_s > slowest_holder_s


def test_times_without_room_are_refused_with_the_reason() -> None:
    with pytest.raises(SettingsError, match=r"^VIPs need a longer session_lease: with 1 s and a heartbeat each 0\.5 s"):
        Timing.of(0.5, 1.0, 0.6)
