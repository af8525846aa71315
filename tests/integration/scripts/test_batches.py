"""release: each node is told of a command in batches in its turn, and no node after the sender's wait."""

import json

from eccmgr.cluster.view import EVERYONE, Target, TargetKind
from tests.integration.scripts.cluster import Cluster

WAIT_MS = 200_000


class TestRelease:
    def test_nobody_is_told_before_his_turn(self, cluster: Cluster) -> None:
        east, west = cluster.join("east1"), cluster.join("west1")
        sent = ""

        def publish() -> None:
            nonlocal sent
            sent = cluster.publish(wait_ms=WAIT_MS, rolling=True)

        assert cluster.messages(cluster.keys.everyone, publish) == []
        assert cluster.claim(east, sent) == "not addressed"
        assert cluster.respond(east, sent) == "superseded"
        (message,) = cluster.messages(cluster.keys.node("east1"), lambda: cluster.release(sent, "east1"))
        told = json.loads(message)
        assert (told["id"], told["text"], told["issuer"]) == (sent, "pid", "root")
        assert (told["view"], told["ttl"]) == (west.view, cluster.command_ttl_ms)
        assert cluster.claim(east, sent) == "claimed"
        assert cluster.claim(west, sent) == "not addressed"
        assert cluster.states(sent) == {"east1": "running", "west1": "pending"}

    def test_set_in_batches_is_told_to_no_other(self, cluster: Cluster) -> None:
        cluster.join("east1")
        east2 = cluster.join("east2")
        cluster.join("west1")
        sent = cluster.publish(target=Target(TargetKind.SET, "east[1-2]"), wait_ms=WAIT_MS, rolling=True)
        assert cluster.claim(east2, sent) == "not addressed"
        assert cluster.release(sent, "east2") == "released"
        assert cluster.claim(east2, sent) == "claimed"
        assert cluster.states(sent) == {"east1": "pending", "east2": "running"}

    def test_nodes_time_counts_from_release_without_extension(self, cluster: Cluster) -> None:
        cluster.lease_ms = 2 * WAIT_MS
        east, west = cluster.join("east1"), cluster.join("west1")
        sent = cluster.publish(wait_ms=WAIT_MS, rolling=True)
        cluster.release(sent, "east1")
        cluster.pass_time(cluster.command_ttl_ms - 1)
        cluster.release(sent, "east1", "west1")
        assert cluster.states(sent) == {"east1": "pending", "west1": "pending"}
        cluster.pass_time(1)
        assert cluster.claim(east, sent) == "expired"
        assert cluster.claim(west, sent) == "claimed"
        assert cluster.states(sent) == {"east1": "missed", "west1": "running"}

    def test_after_the_senders_wait_the_rest_are_skipped(self, cluster: Cluster) -> None:
        cluster.lease_ms = 2 * WAIT_MS
        east, _ = cluster.join("east1"), cluster.join("west1")
        sent = cluster.publish(wait_ms=WAIT_MS, rolling=True)
        cluster.release(sent, "east1")
        cluster.respond(east, sent)
        cluster.pass_time(WAIT_MS - 1)
        assert cluster.states(sent) == {"east1": "ok", "west1": "pending"}
        cluster.pass_time(1)
        heard = cluster.messages(cluster.keys.node("west1"), lambda: cluster.release(sent, "west1"))
        assert (heard, cluster.release(sent, "west1")) == ([], "over")
        assert cluster.states(sent) == {"east1": "ok", "west1": "skipped"}

    def test_senders_last_look_skips_those_left(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.join("west1")
        sent = cluster.publish(wait_ms=WAIT_MS, rolling=True)
        cluster.release(sent, "east1")
        cluster.collect(sent, last=True)
        assert cluster.release(sent, "west1") == "over"
        assert cluster.states(sent) == {"east1": "pending", "west1": "skipped"}

    def test_a_command_that_nobody_keeps_is_not_released(self, cluster: Cluster) -> None:
        cluster.join("east1")
        assert cluster.release("none", "east1") == "gone"

    def test_release_renews_the_commands_lifetime(self, cluster: Cluster) -> None:
        cluster.join("east1")
        sent = cluster.publish(target=EVERYONE, wait_ms=WAIT_MS, rolling=True)
        keys = (cluster.keys.command(sent), f"{cluster.keys.view_prefix}{cluster.view.number}")
        for key in keys:
            cluster.redis.expire(key, 10)
        cluster.release(sent, "east1")
        assert min(cluster.redis.ttl(key) for key in (*keys, cluster.keys.plan(sent))) > 10  # type: ignore[type-var]

    def test_command_flushed_meanwhile_stays_hidden(self, cluster: Cluster) -> None:
        cluster.join("east1")
        sent = cluster.publish(wait_ms=WAIT_MS, rolling=True)
        cluster.flush()
        assert cluster.release(sent, "east1") == "released"
        assert cluster.results(sent) is None
        assert cluster.redis.ttl(cluster.keys.plan(sent)) <= 2 * cluster.command_ttl_ms / 1000 + 1  # type: ignore[operator]

    def test_command_in_batches_outlives_its_sending_time(self, cluster: Cluster) -> None:
        cluster.lease_ms = 10 * cluster.results_ttl_ms
        east = cluster.join("east1")
        sent = cluster.publish(wait_ms=10 * cluster.results_ttl_ms, rolling=True)
        cluster.pass_time(cluster.results_ttl_ms - 1)
        assert cluster.release(sent, "east1") == "released"
        cluster.pass_time(1000)
        cluster.sweep()
        assert cluster.respond(east, sent) == "kept"
        assert cluster.states("pid") == {"east1": "ok"}
        cluster.pass_time(cluster.results_ttl_ms)
        cluster.sweep()
        assert cluster.states("pid") == {}
        assert cluster.redis.exists(cluster.keys.command(sent), cluster.keys.latest) == 0
        assert cluster.redis.xlen(cluster.keys.log) == 0
