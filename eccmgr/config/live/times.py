"""Checks that the times of a cluster fit together, so that sessions do not flap, with VIPs or without."""

from eccmgr.cluster.timing import Timing
from eccmgr.config.live.effective import ScopeView
from eccmgr.errors import ConfigError, SettingsError

_STEP_HEARTBEATS = 1.2
"""The smallest `max_step`, in heartbeats: one step of the lease clock spans a heartbeat and some lateness."""
_ROUNDING_S = 1e-9
TIMES = ("session_lease", "max_step", "heartbeats_per_sec")
"""The options that `check_times` compares."""


def check_times(view: ScopeView) -> None:
    """Raises ConfigError if lease, heartbeat and step leave a lease's holder less than two heartbeats."""
    cluster = view.scope("cluster")
    heartbeat_s = 1 / cluster.number("heartbeats_per_sec")
    lease_s, step_s = cluster.seconds("session_lease"), cluster.seconds("max_step")
    shortest_s = _STEP_HEARTBEATS * heartbeat_s
    if step_s < shortest_s - _ROUNDING_S:
        raise ConfigError(
            f"{_place(view)}max_step is {step_s:g} s, expected at least {shortest_s:g} s: "
            f"{_STEP_HEARTBEATS:g} heartbeats, one each {heartbeat_s:g} s"
        )
    try:
        Timing.of(heartbeat_s, lease_s, step_s)
    except SettingsError:
        longer_s = Timing.shortest_lease_s(heartbeat_s, step_s)
        raise ConfigError(
            f"{_place(view)}session_lease is {lease_s:g} s, expected at least {longer_s:g} s "
            f"with a heartbeat each {heartbeat_s:g} s and a max_step of {step_s:g} s"
        ) from None


def _place(view: ScopeView) -> str:
    """The place of the first of these times that a file sets."""
    cluster = view.scope("cluster")
    place = next((place for option in TIMES if (place := cluster.place(option))), None)
    return f"{place}: " if place else ""
