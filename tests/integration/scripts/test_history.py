"""history: the latest commands to any target, and the number of answers to each."""

import pytest

from eccmgr.cluster.view import EVERYONE, Target, TargetKind
from tests.integration.scripts.cluster import Cluster


class TestHistory:
    def test_latest_come_last_and_only_as_many_requested(self, cluster: Cluster) -> None:
        cluster.join("east1")
        sent = [cluster.publish(f"command {number}") for number in range(5)]
        assert [past.id for past in cluster.history(3)] == sent[-3:]
        assert [past.text for past in cluster.history(100)] == [f"command {number}" for number in range(5)]

    def test_command_is_always_one_line(self, cluster: Cluster) -> None:
        for name in ("east1", "east2"):
            cluster.join(name)
        first = cluster.publish("first", wait_ms=100_000, rolling=True)
        sent = [first, *(cluster.publish(f"command {number}") for number in range(60))]
        for node in ("east1", "east2"):
            cluster.release(first, node)
        for each in sent[:-1]:
            cluster.abort(each)
        assert [past.id for past in cluster.history(2)] == sent[-2:]
        assert [past.id for past in cluster.history(100)] == sent
        assert cluster.flush() == len(sent)

    def test_nothing_sent_is_no_history(self, cluster: Cluster) -> None:
        assert cluster.history() == []

    @pytest.mark.parametrize(
        ("target", "expected"),
        [
            (EVERYONE, 4),
            (Target(TargetKind.SUBCLUSTER, "EAST"), 3),
            (Target(TargetKind.NODE, "East1"), 1),
            (Target(TargetKind.SET, "east1,east3,west1,nobody"), 3),
        ],
    )
    def test_history_counts_live_and_lost_of_the_target(self, cluster: Cluster, target: Target, expected: int) -> None:
        cluster.join("east3", "East")
        cluster.pass_time(cluster.lease_ms)
        cluster.join("east1", "east")
        cluster.join("east2", "East")
        cluster.join("west1", "west")
        sent = cluster.publish(target=target)
        (past,) = cluster.history()
        assert (past.answered, past.expected, past.target, past.issuer) == (0, expected, target, "root")
        assert len(cluster.states(sent)) == expected

    def test_only_first_real_answers_count(self, cluster: Cluster) -> None:
        lives = [cluster.join(f"east{number}") for number in range(1, 5)]
        sent = cluster.publish()
        cluster.claim(lives[0], sent)
        for life, state in zip(lives[1:], ("ok", "failed", "missed"), strict=True):
            cluster.respond(life, sent, state=state)
            cluster.respond(life, sent, state=state)
        (past,) = cluster.history()
        assert (past.answered, past.expected) == (2, 4)

    def test_flushed_is_left_out_and_secrets_hidden(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.publish("gone")
        cluster.flush()
        cluster.try_publish("set secret hush", made="000000000009", shown="set secret ********")
        assert [past.text for past in cluster.history()] == ["set secret ********"]

    def test_of_a_long_text_its_beginning_is_told(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.publish("x" + "ü" * 100_000)
        (past,) = cluster.history()
        assert past.text.startswith("xüüü")
        assert len(past.text) <= 1024
