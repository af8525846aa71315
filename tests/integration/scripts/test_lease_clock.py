"""Every script advances the lease clock: no step of a wall clock and no pause ends a session that is renewed."""

from collections.abc import Callable

import pytest

from eccmgr.redis.scripts import names
from tests.integration.scripts.cluster import MINUTE_MS, Cluster, Life

HOUR_MS = 60 * MINUTE_MS
NOBODY = Life("#ec0-0#nobody", "nobody", 0)

CALLS: dict[str, Callable[[Cluster], object]] = {
    "join": lambda cluster: cluster.join("west9"),
    "renew": lambda cluster: cluster.renew(NOBODY),
    "leave": lambda cluster: cluster.leave(NOBODY),
    "sweep": lambda cluster: cluster.sweep(),
    "roster": lambda cluster: cluster.roster(),
    "publish": lambda cluster: cluster.try_publish(),
    "draft": lambda cluster: cluster.draft("east1"),
    "release": lambda cluster: cluster.release("none", "east1"),
    "abort": lambda cluster: cluster.abort("none"),
    "claim": lambda cluster: cluster.claim(NOBODY, "none"),
    "respond": lambda cluster: cluster.respond(NOBODY, "none"),
    "collect": lambda cluster: cluster.collect("none"),
    "follow": lambda cluster: cluster.follow("none"),
    "standing": lambda cluster: cluster.standing("none", NOBODY),
    "results": lambda cluster: cluster.results("none"),
    "catchup": lambda cluster: cluster.catch_up("0-0"),
    "history": lambda cluster: cluster.history(),
    "flush": lambda cluster: cluster.flush(),
    "expect": lambda cluster: cluster.expect({"west9": "west"}),
    "forget": lambda cluster: cluster.forget("west9"),
    "resettle": lambda cluster: cluster.resettle(NOBODY, "west"),
    "vocabulary": lambda cluster: cluster.say_words("pid"),
}


def test_every_script_is_held_against_its_contract() -> None:
    # Left out: the script that reads a page writes nothing; those of keys, accounts, schedules, logs and series use no
    # lease clock; those about VIPs are compared with the model's server.
    others = {"page", "mend", "account", "note"}
    named = {name for name in names() if not name.startswith(("vip_", "sched_", "logs_", "series_"))}
    assert named - others == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_scripts_advance_the_clock_within_the_allowed_step(cluster: Cluster, name: str) -> None:
    cluster.roster()
    before = cluster.clock
    cluster.max_step_ms = 700
    cluster.step_wall_clock(HOUR_MS)
    CALLS[name](cluster)
    assert cluster.clock == before + 700


@pytest.mark.parametrize("name", CALLS)
def test_no_script_turns_the_lease_clock_back(cluster: Cluster, name: str) -> None:
    cluster.roster()
    before = cluster.clock
    cluster.max_step_ms = 700
    cluster.step_wall_clock(-HOUR_MS)
    CALLS[name](cluster)
    assert cluster.clock == before


def test_lease_clock_continues_after_wall_clock_steps_back(cluster: Cluster) -> None:
    cluster.roster()
    cluster.step_wall_clock(-HOUR_MS)
    cluster.roster()
    before = cluster.clock
    cluster.max_step_ms = 700
    cluster.step_wall_clock(HOUR_MS)
    cluster.roster()
    assert cluster.clock == before + 700


def test_clock_advances_by_the_passed_time(cluster: Cluster) -> None:
    cluster.roster()
    before = cluster.clock
    cluster.max_step_ms = HOUR_MS
    cluster.step_wall_clock(300)
    cluster.roster()
    assert before + 300 <= cluster.clock < before + HOUR_MS


def test_servers_pause_costs_sessions_at_most_one_step(cluster: Cluster) -> None:
    east = cluster.join("east1")
    cluster.max_step_ms = 700
    cluster.step_wall_clock(HOUR_MS)
    assert cluster.renews(east)


@pytest.mark.parametrize("step_ms", [HOUR_MS, -HOUR_MS])
def test_wall_clock_step_ends_no_session(cluster: Cluster, step_ms: int) -> None:
    cluster.join("east1")
    cluster.max_step_ms = 700
    cluster.step_wall_clock(step_ms)
    cluster.sweep()
    assert set(cluster.view.live) == {"east1"}


def test_server_without_memory_begins_with_no_members(cluster: Cluster) -> None:
    east = cluster.join("east1")
    sent = cluster.publish()
    cluster.redis.delete(*cluster.redis.scan_iter(f"{cluster.keys.tag}*"))
    assert not cluster.renews(east)
    assert cluster.claim(east, sent) == "ended"
    assert cluster.respond(east, sent) == "gone"
    assert cluster.collect(sent) == {}
    assert cluster.results(sent) is None
    assert cluster.try_publish()[0] == b"nobody"
    assert cluster.join("east1").view == 1


def test_server_without_memory_numbers_views_apart(cluster: Cluster) -> None:
    cluster.join("east1")
    known = cluster.roster()
    cluster.redis.delete(*cluster.redis.scan_iter(f"{cluster.keys.tag}*"))
    cluster.join("west1")
    cluster.redis.hincrby(cluster.keys.state, "born", 1)
    again = cluster.roster(known)
    assert again.partition(":")[2] == known.partition(":")[2]
    assert again != known
    assert list(cluster.view.live) == ["west1"]


def test_servers_new_life_numbers_views_anew_next_time(cluster: Cluster) -> None:
    cluster.join("east1")
    known = cluster.roster()
    cluster.redis.hset(cluster.keys.state, "run", "another life")
    assert cluster.roster(known) == known
    cluster.join("west1")
    born, _, number = cluster.roster(known).partition(":")
    assert int(number) == int(known.partition(":")[2]) + 1
    assert born != known.partition(":")[0]
    assert list(cluster.view.live) == ["east1", "west1"]
