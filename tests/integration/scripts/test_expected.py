"""expect, forget, resettle: the nodes of bus files, absent nodes, and the subclusters of nodes."""

import pytest

from eccmgr.cluster.named import Named
from eccmgr.cluster.view import Target, TargetKind
from tests.integration.scripts.cluster import Cluster, Life

EAST, WEST = Target(TargetKind.SUBCLUSTER, "east"), Target(TargetKind.SUBCLUSTER, "west")


def lose(cluster: Cluster, *names: str, subcluster: str = "default") -> list[Life]:
    """Have these nodes join, and lose them."""
    lives = [cluster.join(name, subcluster) for name in names]
    cluster.pass_time(cluster.lease_ms)
    cluster.sweep()
    return lives


def absent(cluster: Cluster) -> dict[str, str]:
    """The subclusters of the absent nodes."""
    return {seat.name: seat.subcluster for seat in cluster.view.absent.values()}


def given(cluster: Cluster, node: str) -> tuple[str, ...]:
    """The subclusters that bus files give a node."""
    return Named.parse(cluster.read(cluster.keys.subclusters)).nodes[node].subclusters


class TestExpect:
    def test_who_is_named_and_not_there_is_absent(self, cluster: Cluster) -> None:
        cluster.join("east1", "east")
        cluster.expect({"east1": "east", "West9": "west", "n1": ""})
        assert absent(cluster) == {"West9": "west", "n1": "default"}
        assert [seat.since_ms for seat in cluster.view.absent.values()] == [None, None]
        assert cluster.states(cluster.publish()) == {"east1": "pending", "n1": "absent", "West9": "absent"}
        assert cluster.immortal() == []

    def test_only_a_change_makes_a_new_view(self, cluster: Cluster) -> None:
        cluster.join("east1", "east")
        sent = cluster.publish()
        assert cluster.events(lambda: cluster.expect({"west9": "west"})) == [("named", ["west9"])]
        assert cluster.states(sent) == {"east1": "pending"}
        view, number = cluster.view.number, cluster.redis.hget(cluster.keys.state, "bus")
        assert cluster.events(lambda: cluster.expect({"west9": "west"})) == []
        assert cluster.view.number == view
        assert cluster.redis.hget(cluster.keys.state, "bus") == number

    def test_node_no_longer_named_is_not_expected(self, cluster: Cluster) -> None:
        cluster.expect({"west9": "west", "west8": "west"})
        cluster.expect({"west9": None})
        assert absent(cluster) == {"west8": "west"}

    def test_each_file_names_for_itself(self, cluster: Cluster) -> None:
        cluster.expect({"west9": "west"}, "a")
        cluster.expect({"west9": "north"}, "b")
        assert absent(cluster) == {"west9": "north"}
        assert given(cluster, "west9") == ("north", "west")
        cluster.expect({"west9": None}, "b")
        assert absent(cluster) == {"west9": "west"}
        cluster.expect({"west9": None}, "a")
        assert absent(cluster) == {}

    def test_lost_node_stays_expected_without_its_name(self, cluster: Cluster) -> None:
        cluster.expect({"east1": "east"})
        lose(cluster, "east1", subcluster="east")
        cluster.expect({"east1": None})
        assert absent(cluster) == {"east1": "east"}

    def test_named_node_is_absent_since_its_clean_leave(self, cluster: Cluster) -> None:
        cluster.expect({"east1": "east"})
        cluster.leave(cluster.join("east1", "east"))
        assert absent(cluster) == {"east1": "east"}
        assert cluster.view.absent["east1"].since_ms
        cluster.expect({"east1": None})
        assert absent(cluster) == {}

    def test_named_node_is_expected_beyond_lost_ones(self, cluster: Cluster) -> None:
        cluster.expect({"east1": "east"})
        lose(cluster, "east1", "east2", subcluster="east")
        cluster.pass_time(cluster.absent_ttl_ms)
        assert cluster.events(cluster.sweep) == [("forgotten", ["east2"])]
        assert absent(cluster) == {"east1": "east"}

    def test_reset_of_a_named_node_is_no_return(self, cluster: Cluster) -> None:
        cluster.expect({"east1": "east"})
        old = cluster.join("east1", "east")
        events = cluster.messages(cluster.keys.events, lambda: cluster.join("east1", "east", replaces=old.private))
        assert b'"since"' not in events[-1]
        assert absent(cluster) == {}

    def test_history_counts_the_absent_of_a_subcluster(self, cluster: Cluster) -> None:
        cluster.expect({"east7": "east", "west7": "west"})
        lose(cluster, "east8", subcluster="East")
        cluster.join("east1", "east")
        cluster.publish(target=EAST)
        cluster.expect({"east7": "west"})
        cluster.publish(target=EAST)
        assert [past.expected for past in cluster.history()] == [3, 2]

    @pytest.mark.parametrize("garbage", ["", "x", "\t\t=", "a\tb\tc"])
    def test_what_cannot_be_read_is_written_anew(self, cluster: Cluster, garbage: str) -> None:
        cluster.redis.hset(cluster.keys.subclusters, "=west9", garbage)
        cluster.redis.hset(cluster.keys.state, "bus", garbage)
        cluster.redis.expire(cluster.keys.subclusters, 100)
        cluster.expect({"west9": "west"})
        assert given(cluster, "west9")[0] == "west"
        cluster.redis.hset(cluster.keys.subclusters, "=west9", garbage)
        cluster.leave(cluster.join("west9"))
        cluster.forget("west9")


class TestForget:
    def test_an_absent_node_is_expected_no_more(self, cluster: Cluster) -> None:
        lose(cluster, "east1", "east2", subcluster="east")
        cluster.join("west1", "east")
        sent = cluster.publish()
        cluster.redis.hset(cluster.keys.vip_beliefs, mapping={"east1": "x", "east2": "y"})
        cluster.redis.expire(cluster.keys.vip_beliefs, 60)
        assert cluster.events(lambda: cluster.forget("east1")) == [("forgotten", ["east1"])]
        assert cluster.redis.hkeys(cluster.keys.vip_beliefs) == [b"east2"]
        assert absent(cluster) == {"east2": "east"}
        assert cluster.states(sent) == {"east1": "absent", "east2": "absent", "west1": "pending"}
        cluster.publish(target=EAST)
        assert cluster.history()[-1].expected == 2
        entry = cluster.redis.xrange(cluster.keys.audit)[-2][1]
        assert (entry[b"what"], entry[b"node"], entry[b"issuer"]) == (b"forget", b"east1", b"root")

    def test_live_named_or_unknown_node_is_not_forgotten(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.expect({"west9": "west"}, "a", "/etc/a.conf of manager m1")
        assert cluster.forget("east1") == ["alive"]
        assert cluster.forget("west9") == ["named", "/etc/a.conf of manager m1"]
        assert cluster.forget("nobody") == ["unknown"]
        assert absent(cluster) == {"west9": "west"}

    def test_file_unread_for_a_day_expects_no_node(self, cluster: Cluster) -> None:
        cluster.expect({"west9": "west"})
        cluster.redis.hset(cluster.keys.subclusters, "@a", "the file\t1")
        assert cluster.forget("west9") == ["forgotten"]
        assert absent(cluster) == {}


class TestResettle:
    def test_a_node_goes_on_in_another_subcluster(self, cluster: Cluster) -> None:
        life = cluster.join("east1", "default")
        cluster.join("other", "default")
        before = cluster.publish(target=Target(TargetKind.SUBCLUSTER, "default"))
        assert cluster.resettle(life, "east") == cluster.view.number
        assert cluster.renews(life)
        assert cluster.view.subclusters == {"default": 1, "east": 1}
        assert cluster.states(cluster.publish(target=EAST)) == {"east1": "pending"}
        assert cluster.claim(life, before) == "claimed"
        assert cluster.states(before) == {"east1": "running", "other": "pending"}
        assert cluster.redis.hgetall(cluster.keys.subclusters) == {b"default": b"1", b"east": b"1"}

    def test_ended_session_keeps_its_subcluster(self, cluster: Cluster) -> None:
        life = cluster.join("east1")
        cluster.pass_time(cluster.lease_ms)
        assert cluster.resettle(life, "east") is None
