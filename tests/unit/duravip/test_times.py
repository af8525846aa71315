"""The times of a cluster are checked together, on every daemon, with VIPs and without."""

import pytest

from eccmgr.cluster.timing import Timing
from eccmgr.config.files.load import load_text
from eccmgr.config.live.store import Store
from eccmgr.daemon import Daemon
from eccmgr.errors import ConfigError
from eccmgr.manager import Manager
from eccmgr.settings import ManagerSettings, NodeSettings
from worker.node import EcNode


def made(kind: type[Daemon], text: str) -> Daemon:
    """A daemon with this scope `cluster`, which has checked its configuration, as `--check` has it do."""
    store = Store()
    store.live = load_text(f"cluster {{ {text} }}").root
    return Manager(ManagerSettings(), store) if kind is Manager else EcNode(NodeSettings(), store)


@pytest.mark.parametrize("kind", [Manager, EcNode])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("session_lease = 0.1", "session_lease is 0.1 s, expected at least 1.86 s with a heartbeat each 0.5 s"),
        ("heartbeats_per_sec = 0.5", "max_step is 0.6 s, expected at least 2.4 s: 1.2 heartbeats, one each 2 s"),
        ("heartbeats_per_sec = 10 max_step = 100ms", "max_step is 0.1 s, expected at least 0.12 s"),
        ("max_step = 3600", "session_lease is 2.5 s, expected at least 3601.26 s"),
    ],
)
def test_times_that_do_not_fit_together_are_refused(kind: type[Daemon], text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"^configuration:1:\d+: {said}"):
        made(kind, text).check()


@pytest.mark.parametrize("kind", [Manager, EcNode])
@pytest.mark.parametrize("text", ["", "heartbeats_per_sec = 10  session_lease = 600ms  max_step = 120ms"])
def test_the_profiles_that_are_documented_fit(kind: type[Daemon], text: str) -> None:
    made(kind, text).check()


@pytest.mark.parametrize(("heartbeat_s", "max_step_s"), [(0.5, 0.6), (0.1, 0.12), (10.0, 12.0), (0.01, 0.012)])
def test_the_lease_that_is_told_would_do(heartbeat_s: float, max_step_s: float) -> None:
    Timing.of(heartbeat_s, Timing.shortest_lease_s(heartbeat_s, max_step_s), max_step_s)
