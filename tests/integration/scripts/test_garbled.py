"""What is not what we wrote is counted anew, or passed over; it stops no script for good."""

import time

import pytest

from eccmgr.cluster.view import Target, TargetKind
from tests.integration.scripts.cluster import Cluster

EAST = Target(TargetKind.SUBCLUSTER, "east")


@pytest.mark.parametrize("field", ["clock", "wall", "born", "view", "run", "last"])
@pytest.mark.parametrize("garbage", ["", "nan", "-7", "x", "9" * 30])
def test_the_cluster_goes_on_where_its_state_is_garbled(cluster: Cluster, field: str, garbage: str) -> None:
    cluster.join("east1")
    cluster.publish()
    cluster.redis.hset(cluster.keys.state, field, garbage)
    # What the first script of a millisecond has seen to holds for the others in it.
    time.sleep(0.002)
    life = cluster.join("east2")
    sent = cluster.publish()
    assert cluster.claim(life, sent) == "claimed"
    assert cluster.states(sent)["east2"] == "running"
    cluster.sweep()
    assert cluster.flush() == 2


def test_a_numbering_that_went_back_is_put_right_by_the_nodes(cluster: Cluster) -> None:
    lives = [cluster.join(name) for name in ("east1", "east2")]
    cluster.redis.hset(cluster.keys.state, "view", 0)
    for life in lives:
        assert cluster.renews(life)
    assert cluster.claim(lives[1], cluster.publish()) == "claimed"


@pytest.mark.parametrize("fields", [{"id": "x"}, {"id": "x", "digest": "", "issued": "nan", "channel": ""}])
def test_an_entry_that_cannot_be_read_is_forgotten_first(cluster: Cluster, fields: dict[str, str]) -> None:
    cluster.join("east1")
    cluster.redis.xadd(cluster.keys.log, fields)  # type: ignore[arg-type]
    sent = cluster.publish()
    assert [entry[1][b"id"] for entry in cluster.redis.xrange(cluster.keys.log)] == [sent.encode()]


def test_a_subcluster_is_counted_anew_where_its_size_is_garbled(cluster: Cluster) -> None:
    first = cluster.join("east1", "east")
    cluster.redis.hset(cluster.keys.subclusters, "east", "x")
    assert list(cluster.states(cluster.publish(target=EAST))) == ["east1"]
    cluster.redis.hset(cluster.keys.subclusters, "east", "x")
    cluster.join("east2", "east")
    cluster.redis.hset(cluster.keys.subclusters, "east", "x")
    cluster.leave(first)
    assert cluster.redis.hget(cluster.keys.subclusters, "east") == b"1"


def test_a_node_whose_line_or_rank_is_gone_has_to_join_again(cluster: Cluster) -> None:
    life = cluster.join("east1", "east")
    cluster.redis.hset(cluster.keys.roster, "east1", "x")
    assert not cluster.renews(life)
    again = cluster.join("east1", "east")
    assert cluster.renews(again)
    assert cluster.redis.hget(cluster.keys.subclusters, "east") == b"1"
    cluster.redis.delete(cluster.keys.seniority)
    assert not cluster.renews(again)


def test_a_leader_that_nobody_is_loses_its_rank(cluster: Cluster) -> None:
    life = cluster.join("east1")
    cluster.redis.zadd(cluster.keys.seniority, {"nobody": 0})
    assert cluster.renew(life)[4] == life.private


def test_a_roster_that_cannot_be_read_is_made_anew(cluster: Cluster) -> None:
    cluster.join("east1")
    number = cluster.view.number
    cluster.redis.set(f"{cluster.keys.view_prefix}{number}", "x", ex=100)
    assert list(cluster.view.live) == ["east1"]
