"""The scripts ignore foreign values or count anew; no foreign value stops a script for good."""

import time

import pytest

from eccmgr.cluster.view import Target, TargetKind
from eccmgr.redis.kinds import mend
from tests.integration.scripts.cluster import Cluster

EAST = Target(TargetKind.SUBCLUSTER, "east")


@pytest.mark.parametrize("field", ["clock", "wall", "born", "view", "run", "last"])
@pytest.mark.parametrize("garbage", ["", "nan", "-7", "x", "9" * 30])
def test_cluster_survives_garbled_state(cluster: Cluster, field: str, garbage: str) -> None:
    cluster.join("east1")
    cluster.publish()
    cluster.redis.hset(cluster.keys.state, field, garbage)
    # The first script of a millisecond checks the clock for the others, so pass to the next one.
    time.sleep(0.002)
    life = cluster.join("east2")
    sent = cluster.publish()
    assert cluster.claim(life, sent) == "claimed"
    assert cluster.states(sent)["east2"] == "running"
    cluster.sweep()
    assert cluster.flush() == 2


def test_nodes_repair_a_numbering_that_went_back(cluster: Cluster) -> None:
    lives = [cluster.join(name) for name in ("east1", "east2")]
    cluster.redis.hset(cluster.keys.state, "view", 0)
    for life in lives:
        assert cluster.renews(life)
    assert cluster.claim(lives[1], cluster.publish()) == "claimed"


@pytest.mark.parametrize("fields", [{"id": "x"}, {"id": "x", "digest": "", "issued": "nan", "channel": ""}])
def test_unreadable_entry_is_forgotten_first(cluster: Cluster, fields: dict[str, str]) -> None:
    cluster.join("east1")
    cluster.redis.xadd(cluster.keys.log, fields)  # type: ignore[arg-type]
    sent = cluster.publish()
    assert [entry[1][b"id"] for entry in cluster.redis.xrange(cluster.keys.log)] == [sent.encode()]


def test_subcluster_with_garbled_size_is_recounted(cluster: Cluster) -> None:
    first = cluster.join("east1", "east")
    cluster.redis.hset(cluster.keys.subclusters, "east", "x")
    assert list(cluster.states(cluster.publish(target=EAST))) == ["east1"]
    cluster.redis.hset(cluster.keys.subclusters, "east", "x")
    cluster.join("east2", "east")
    cluster.redis.hset(cluster.keys.subclusters, "east", "x")
    cluster.leave(first)
    assert cluster.redis.hget(cluster.keys.subclusters, "east") == b"1"


def test_node_without_line_or_rank_must_rejoin(cluster: Cluster) -> None:
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


def test_unreadable_roster_is_rebuilt(cluster: Cluster) -> None:
    cluster.join("east1")
    number = cluster.view.number
    cluster.redis.set(f"{cluster.keys.view_prefix}{number}", "x", ex=100)
    assert list(cluster.view.live) == ["east1"]


@pytest.mark.parametrize("field", ["view", "expires", "answered", "notices", "tell_at", "driver", "driven", "waited"])
@pytest.mark.parametrize("garbage", ["", "x", "nan", "-7", "9" * 30])
def test_garbled_command_stops_no_claim_or_answer(cluster: Cluster, field: str, garbage: str) -> None:
    life = cluster.join("east1")
    sent = cluster.publish(wait_ms=1000)
    cluster.redis.hset(cluster.keys.command(sent), field, garbage)
    assert cluster.claim(life, sent) in ("claimed", "gone", "not addressed")
    assert cluster.respond(life, sent) in ("kept", "gone", "superseded")
    cluster.look(sent)
    cluster.look(sent, driver="")
    cluster.follow(sent, "second")
    cluster.history()
    assert cluster.abort(sent) == "aborted"
    assert cluster.flush() == 1


def test_answer_replaces_a_garbled_claim(cluster: Cluster) -> None:
    life = cluster.join("east1")
    sent = cluster.publish()
    cluster.claim(life, sent)
    cluster.redis.hset(cluster.keys.responses(sent), "east1", "x")
    assert cluster.respond(life, sent) == "kept"
    assert cluster.states(sent) == {"east1": "ok"}


@pytest.mark.parametrize("score", ["inf", "1e300"])
def test_a_session_without_an_end_is_ended(cluster: Cluster, score: str) -> None:
    cluster.join("east1")
    cluster.redis.zadd(cluster.keys.sessions, {"#ec0-1-a#ghost": score})
    cluster.redis.zadd(cluster.keys.seniority, {"#ec0-1-a#ghost": 0})
    cluster.sweep()
    assert cluster.redis.zscore(cluster.keys.sessions, "#ec0-1-a#ghost") is None


def test_keys_of_commands_of_another_kind_are_dropped(cluster: Cluster) -> None:
    cluster.join("east1")
    sent = [cluster.publish(text) for text in ("pid", "uptime")]
    for key in (cluster.keys.command(sent[0]), cluster.keys.responses(sent[1])):
        cluster.redis.delete(key)
        cluster.redis.set(key, "x", ex=100)
    assert [past.id for past in cluster.history()] == [sent[1]]
    assert cluster.states(sent[1]) == {"east1": "pending"}
    cluster.sweep()
    cluster.flush()


def test_log_without_further_entries_begins_anew(cluster: Cluster) -> None:
    life = cluster.join("east1")
    for key in (cluster.keys.log, cluster.keys.audit):
        cluster.redis.xadd(key, {"id": "x"}, f"{2**64 - 1}-{2**64 - 1}")
    assert cluster.claim(life, cluster.publish()) == "claimed"


def test_wrong_typed_keys_are_mended_and_others_left(cluster: Cluster) -> None:
    cluster.join("east1")
    keys = cluster.keys
    cluster.redis.delete(keys.members)
    cluster.redis.set(keys.members, "x", ex=100)
    found = cluster.run(mend({keys.members: "hash", keys.roster: "hash", keys.log: "stream"}))
    assert found == ((keys.members, "string"),)
    assert cluster.redis.exists(keys.members, keys.roster) == 1


@pytest.mark.parametrize("garbage", ["", "x", None])
def test_a_heartbeat_writes_a_lost_record_again(cluster: Cluster, garbage: str | None) -> None:
    life, key = cluster.join("East1"), cluster.keys.members
    if garbage is None:
        cluster.redis.delete(key)
    else:
        cluster.redis.hset(key, "east1", garbage)
    record = cluster.renew_with_record(life)
    assert cluster.redis.hget(key, "east1") == record
    assert cluster.redis.ttl(key) > 0


def test_a_record_without_a_session_is_not_written(cluster: Cluster) -> None:
    life = cluster.join("east1")
    cluster.leave(life)
    cluster.renew_with_record(life)
    assert not cluster.redis.hexists(cluster.keys.members, "east1")


def test_the_nodes_of_a_subcluster_are_counted_anew(cluster: Cluster) -> None:
    lives = [cluster.join(name, "east") for name in ("east1", "east2")]
    cluster.redis.delete(cluster.keys.subclusters)
    for life in lives:
        assert cluster.renews(life)
    assert cluster.redis.hget(cluster.keys.subclusters, "east") == b"2"
