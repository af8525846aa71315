"""abort: no node begins a withdrawn command, earlier results stay, and every concerned node is told."""

import json

from tests.integration.scripts.cluster import Cluster


class TestAbort:
    def test_node_that_has_not_begun_is_aborted(self, cluster: Cluster) -> None:
        east, west = cluster.join("east1"), cluster.join("west1")
        sent = cluster.publish()
        cluster.claim(west, sent)
        assert cluster.abort(sent) == "aborted"
        assert cluster.claim(east, sent) == "aborted"
        assert cluster.respond(east, sent, "too late") == "aborted"
        assert cluster.states(sent) == {"east1": "aborted", "west1": "running"}

    def test_what_was_answered_stands(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.claim(east, sent)
        cluster.respond(east, sent, state="failed")
        assert cluster.abort(sent) == "aborted"
        assert cluster.states(sent) == {"east1": "failed"}

    def test_node_that_runs_it_says_its_end(self, cluster: Cluster) -> None:
        lives = [cluster.join("east1"), cluster.join("east2")]
        sent = cluster.publish()
        for life in lives:
            cluster.claim(life, sent)
        cluster.abort(sent)
        for life, state in zip(lives, ("aborted", "ok"), strict=True):
            assert cluster.respond(life, sent, state=state) == "kept"
        assert cluster.states(sent) == {"east1": "aborted", "east2": "ok"}
        assert [past.answered for past in cluster.history()] == [1]

    def test_claim_with_a_lost_answer_is_not_repeated(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.claim(east, sent)
        cluster.abort(sent)
        assert cluster.claim(east, sent, again=True) == "aborted"
        assert cluster.respond(east, sent, state="aborted") == "kept"
        assert cluster.states(sent) == {"east1": "aborted"}

    def test_what_was_missed_or_lost_before_stays_so(self, cluster: Cluster) -> None:
        cluster.lease_ms = 3 * cluster.command_ttl_ms
        cluster.join("east1")
        cluster.lease_ms = 1000
        cluster.join("east2")
        sent = cluster.publish()
        cluster.pass_time(cluster.command_ttl_ms)
        cluster.sweep()
        cluster.abort(sent)
        assert cluster.states(sent) == {"east1": "missed", "east2": "lost"}

    def test_nodes_and_the_waiting_manager_are_told(self, cluster: Cluster) -> None:
        cluster.join("east1")
        sent = cluster.publish(wait_ms=1000)
        (told,) = cluster.messages(cluster.keys.everyone, lambda: cluster.abort(sent))
        assert told.startswith(b'{"abort":')
        assert json.loads(told)["abort"] == sent
        assert cluster.messages("asked", lambda: cluster.abort(sent)) == [sent.encode()]

    def test_command_in_batches_goes_to_released_nodes_only(self, cluster: Cluster) -> None:
        east, _ = cluster.join("east1"), cluster.join("west1")
        sent = cluster.publish(wait_ms=100_000, rolling=True)
        cluster.release(sent, "east1")
        cluster.abort(sent)
        assert cluster.release(sent, "west1") == "over"
        assert cluster.claim(east, sent) == "aborted"
        assert cluster.states(sent) == {"east1": "aborted", "west1": "aborted"}

    def test_unknown_or_flushed_command_cannot_be_aborted(self, cluster: Cluster) -> None:
        cluster.join("east1")
        sent = cluster.publish()
        cluster.flush()
        heard = cluster.messages(cluster.keys.everyone, lambda: cluster.abort(sent))
        assert (cluster.abort(sent), cluster.abort("none"), heard) == ("gone", "gone", [])

    def test_the_audit_says_who_aborted_it_once(self, cluster: Cluster) -> None:
        cluster.join("east1")
        sent = cluster.publish()
        cluster.abort(sent)
        cluster.abort(sent)
        (found,) = cluster.audited(b"abort")
        assert (found[b"id"], found[b"issuer"]) == (sent.encode(), b"root")
