"""join, renew, leave, sweep, roster: the members, and the view in which each joined."""

import json
from typing import Any

import pytest

from eccmgr.cluster.calls.membership import LastBeat
from eccmgr.cluster.view import Target, TargetKind
from tests.integration.scripts.cluster import Cluster, Life


class TestJoin:
    def test_each_join_raises_the_view_and_is_told(self, cluster: Cluster) -> None:
        first = cluster.join("east1")
        events = cluster.events(lambda: cluster.join("east2"))
        assert cluster.view.number == first.view + 1
        assert events == [("join", ["#ec0-2#east2"])]
        assert set(cluster.view.live) == {"east1", "east2"}

    def test_it_answers_the_clock_and_the_last_command(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.publish()
        _, _, clock, last, _ = cluster.try_join("east2")
        assert int(clock) == cluster.clock
        assert last == cluster.redis.xrevrange(cluster.keys.log, count=1)[0][0]  # type: ignore[index]

    def test_second_process_with_live_name_without_case_refused(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        cluster.pass_time(1000)
        assert cluster.try_join("EAST1") == [b"taken", east.private.encode(), b"1500"]
        assert cluster.renews(east)

    @pytest.mark.parametrize("other", ["east1.example.com", "east", "east10", "east-1"])
    def test_name_resembling_a_live_nodes_is_accepted(self, cluster: Cluster, other: str) -> None:
        cluster.join("east1")
        cluster.join(other)
        assert set(cluster.view.live) == {"east1", other}

    def test_name_is_free_once_its_session_lapsed(self, cluster: Cluster) -> None:
        old = cluster.join("east1")
        cluster.pass_time(cluster.lease_ms)
        new = cluster.join("east1")
        assert not cluster.renews(old)
        assert cluster.renews(new)
        assert cluster.view.sessions == {new.private}

    def test_lapsed_session_is_lost_before_its_successor_joins(self, cluster: Cluster) -> None:
        old = cluster.join("east1")
        cluster.pass_time(cluster.lease_ms)
        events = cluster.events(lambda: cluster.join("east1"))
        assert events == [("lost", [old.private]), ("join", ["#ec0-2#east1"])]

    def test_returned_node_is_no_longer_absent(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.pass_time(cluster.lease_ms)
        cluster.sweep()
        assert set(cluster.view.absent) == {"east1"}
        (joined,) = cluster.messages(cluster.keys.events, lambda: cluster.join("East1"))
        assert not cluster.view.absent
        assert int(json.loads(joined)["since"]) > 0

    def test_managers_may_share_names_with_anyone(self, cluster: Cluster) -> None:
        lives = [cluster.join("pono", rank="manager"), cluster.join("pono", rank="manager"), cluster.join("pono")]
        assert all(cluster.renews(life) for life in lives)
        assert set(cluster.view.live) == {"pono"}

    def test_replacing_own_session_continues_its_work(self, cluster: Cluster) -> None:
        old = cluster.join("east1")
        begun, waiting = cluster.publish(), cluster.publish()
        assert cluster.claim(old, begun) == "claimed"
        new = cluster.join("east1", replaces=old.private)
        assert not cluster.renews(old)
        assert not cluster.view.absent
        assert cluster.states(begun) == {"east1": "running"}
        assert cluster.respond(old, begun, "done") == "kept"
        assert cluster.states(begun) == {"east1": "ok"}
        assert cluster.claim(new, waiting) == "not addressed"

    def test_lapsed_session_cannot_be_carried_on(self, cluster: Cluster) -> None:
        old = cluster.join("east1")
        sent = cluster.publish()
        cluster.claim(old, sent)
        cluster.pass_time(cluster.lease_ms)
        cluster.join("east1", replaces=old.private)
        assert cluster.states(sent) == {"east1": "lost"}

    def test_replacing_does_not_take_the_name_from_another(self, cluster: Cluster) -> None:
        old = cluster.join("east1")
        cluster.pass_time(cluster.lease_ms)
        holder = cluster.join("east1")
        assert cluster.try_join("east1", replaces=old.private)[:2] == [b"taken", holder.private.encode()]

    def test_name_taken_over_has_one_live_session(self, cluster: Cluster) -> None:
        old = cluster.join("east1", "east")
        begun = cluster.publish()
        cluster.claim(old, begun)
        events = cluster.events(lambda: cluster.try_join("EAST1", "West", takes_over=True))
        assert events == [("replaced", [old.private]), ("join", ["#ec0-2#EAST1"])]
        assert not cluster.renews(old)
        assert cluster.view.sessions == {"#ec0-2#EAST1"}
        assert not cluster.view.absent
        assert cluster.redis.hgetall(cluster.keys.subclusters) == {b"west": b"1"}
        assert cluster.states(begun) == {"east1": "lost"}
        assert cluster.claim(old, cluster.publish()) == "ended"
        assert cluster.leave(old) == "ended"
        assert cluster.view.sessions == {"#ec0-2#EAST1"}

    def test_taking_over_an_unused_name_is_joining(self, cluster: Cluster) -> None:
        other = cluster.join("east2")
        assert cluster.try_join("east1", takes_over=True)[0] == b"joined"
        assert cluster.renews(other)

    def test_subclusters_are_counted_without_case(self, cluster: Cluster) -> None:
        cluster.join("a1", "East")
        leaving = cluster.join("a2", "EAST")
        assert cluster.redis.hgetall(cluster.keys.subclusters) == {b"east": b"2"}
        cluster.leave(leaving)
        assert cluster.redis.hgetall(cluster.keys.subclusters) == {b"east": b"1"}
        assert cluster.view.subcluster("eAsT") == "East"


class TestRenew:
    def test_a_heartbeat_extends_the_lease_from_now(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        cluster.pass_time(cluster.lease_ms - 1)
        assert cluster.renews(east)
        cluster.pass_time(cluster.lease_ms - 1)
        assert cluster.renews(east)

    def test_a_session_is_never_renewed_after_it_lapsed(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        cluster.pass_time(cluster.lease_ms)
        assert cluster.renew(east) == ["ended"]
        assert cluster.renew(east) == ["ended"]

    def test_too_many_heartbeats_lengthen_the_leases(self, cluster: Cluster) -> None:
        lives = [cluster.join(f"east{number}") for number in range(10)]
        assert cluster.renew(lives[0], rate=2, borne=20)[6] == "1.000"
        assert cluster.renew(lives[1], rate=2, borne=5)[6] == "4.000"
        cluster.pass_time(cluster.lease_ms)
        assert not cluster.renews(lives[0])
        cluster.pass_time(3 * cluster.lease_ms - 1)
        assert cluster.renews(lives[1])

    def test_node_joining_a_crowd_gets_a_longer_lease(self, cluster: Cluster) -> None:
        for number in range(10):
            cluster.join(f"east{number}")
        late = cluster.try_join("late", rate=2, borne=5)
        assert late[4] == b"4.000"
        cluster.pass_time(4 * cluster.lease_ms - 1)
        assert cluster.renews(Life("#ec0-11#late", "late", int(late[1])))

    def test_last_heartbeats_answer_holds_like_the_view(self, cluster: Cluster) -> None:
        lives = [cluster.join(f"east{number}") for number in range(10)]
        _, view, _, _, leader, _, stretch = cluster.renew(lives[9], rate=2, borne=5)
        before = LastBeat(int(view), leader, float(stretch))
        assert cluster.renew(lives[9], rate=2, borne=5, before=before)[4:] == [lives[0].private, 0, "4.0"]
        cluster.leave(lives[0])
        assert cluster.renew(lives[9], rate=2, borne=5, before=before)[4:] == [lives[1].private, 0, "3.600"]

    def test_session_may_keep_its_lease_in_any_crowd(self, cluster: Cluster) -> None:
        lives = [cluster.join(f"east{number}") for number in range(10)]
        assert cluster.renew(lives[0], rate=0, borne=5)[6] == "1"
        cluster.pass_time(cluster.lease_ms)
        assert not cluster.renews(lives[0])

    def test_a_session_that_left_is_never_renewed(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        cluster.leave(east)
        assert not cluster.renews(east)

    def test_heartbeat_tells_view_clock_and_last_command(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        assert cluster.renew(east, "nobody")[:4] == ["renewed", "1", str(cluster.clock), ["0-0"]]
        cluster.publish()
        entry = cluster.redis.xrevrange(cluster.keys.log, count=1)[0][0]  # type: ignore[index]
        assert cluster.renew(east, cluster.keys.everyone, "other")[3] == [entry.decode(), "0-0"]

    def test_the_oldest_manager_leads_else_the_oldest_node(self, cluster: Cluster) -> None:
        node, younger = cluster.join("east1"), cluster.join("east2")
        assert self.leader(cluster, younger) == node.private
        barca, second = cluster.join("barca", rank="manager"), cluster.join("milan", rank="manager")
        assert self.leader(cluster, younger) == barca.private
        cluster.leave(barca)
        assert self.leader(cluster, younger) == second.private
        cluster.leave(second)
        assert self.leader(cluster, younger) == node.private

    def test_renewing_members_learn_of_a_dead_leader(self, cluster: Cluster) -> None:
        leader = cluster.join("barca", rank="manager")
        cluster.pass_time(1000)
        east = cluster.join("east1")
        assert cluster.renew(east)[4:6] == [leader.private, 0]
        cluster.pass_time(cluster.lease_ms - 1000)
        assert cluster.renew(east)[4:6] == [leader.private, 1]

    def leader(self, cluster: Cluster, asking: Any) -> str:
        return str(cluster.renew(asking)[4])


class TestLeave:
    def test_a_node_that_leaves_is_expected_no_more(self, cluster: Cluster) -> None:
        east, west = cluster.join("east1"), cluster.join("west1")
        events = cluster.events(lambda: cluster.leave(east))
        assert events == [("leave", [east.private])]
        assert list(cluster.view) == [cluster.view.node("west1")]
        assert cluster.states(cluster.publish()) == {"west1": "pending"}
        assert cluster.redis.hkeys(cluster.keys.members) == [b"west1"]
        assert cluster.renews(west)

    def test_the_view_rises(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        cluster.leave(east)
        assert cluster.view.number == east.view + 1

    def test_leaving_twice_changes_nothing(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        assert cluster.leave(east) == "left"
        view = cluster.view.number
        assert cluster.leave(east) == "ended"
        assert cluster.view.number == view

    def test_old_lifes_leave_spares_the_new_one(self, cluster: Cluster) -> None:
        old = cluster.join("east1")
        cluster.pass_time(cluster.lease_ms)
        new = cluster.join("east1")
        assert cluster.leave(old) == "ended"
        assert cluster.renews(new)
        assert set(cluster.view.live) == {"east1"}

    def test_managers_leave_spares_a_node_of_its_name(self, cluster: Cluster) -> None:
        node, manager = cluster.join("pono"), cluster.join("pono", rank="manager")
        cluster.leave(manager)
        assert set(cluster.view.live) == {"pono"}
        assert cluster.redis.hkeys(cluster.keys.members) == [b"pono"]
        assert cluster.renews(node)


class TestSweep:
    def test_sweep_ends_only_silent_sessions(self, cluster: Cluster) -> None:
        silent, lively = cluster.join("east1"), cluster.join("east2")
        cluster.pass_time(cluster.lease_ms - 1)
        cluster.renew(lively)
        cluster.pass_time(1)
        events = cluster.events(cluster.sweep)
        assert events == [("lost", [silent.private])]
        assert set(cluster.view.live) == {"east2"}
        assert set(cluster.view.absent) == {"east1"}
        assert cluster.redis.hkeys(cluster.keys.members) == [b"east2"]

    def test_one_round_is_one_step_of_the_view(self, cluster: Cluster) -> None:
        last = [cluster.join(f"east{number}") for number in range(5)][-1]
        cluster.pass_time(cluster.lease_ms)
        assert cluster.sweep()[0] == last.view + 1

    def test_round_without_work_leaves_the_view_alone(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        assert cluster.sweep() == (east.view, cluster.clock, cluster.lease_ms)
        assert cluster.events(cluster.sweep) == []

    def test_it_tells_when_the_next_session_lapses(self, cluster: Cluster) -> None:
        assert cluster.sweep()[2] == -1
        cluster.join("east1")
        cluster.pass_time(1000)
        cluster.join("east2")
        assert cluster.sweep()[2] == cluster.lease_ms - 1000

    def test_absent_node_is_kept_for_its_time_only(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.redis.hset(cluster.keys.vip_beliefs, mapping={"east1": "x", "east2": "y"})
        cluster.pass_time(cluster.lease_ms)
        cluster.sweep()
        cluster.pass_time(cluster.absent_ttl_ms - 1)
        assert cluster.events(cluster.sweep) == []
        assert set(cluster.view.absent) == {"east1"}
        view = cluster.view.number
        cluster.pass_time(1)
        assert cluster.events(cluster.sweep) == [("forgotten", ["east1"])]
        assert cluster.redis.hkeys(cluster.keys.vip_beliefs) == [b"east2"]
        assert not cluster.view.absent
        assert cluster.view.number == view + 1

    def test_absent_node_without_a_time_is_never_forgotten(self, cluster: Cluster) -> None:
        cluster.absent_ttl_ms = 0
        cluster.join("east1")
        cluster.pass_time(cluster.lease_ms)
        cluster.pass_time(10**11)
        assert cluster.events(cluster.sweep) == [("lost", ["#ec0-1#east1"])]
        assert cluster.events(cluster.sweep) == []
        assert set(cluster.view.absent) == {"east1"}
        assert cluster.immortal() == []

    def test_oldest_of_too_many_absent_nodes_are_forgotten(self, cluster: Cluster) -> None:
        cluster.roster()
        names = [f"east{number}" for number in range(10_003)]
        since = {name: cluster.clock + number for number, name in enumerate(names)}
        for at in range(0, len(names), 1000):
            page = names[at : at + 1000]
            lines = {name: f"#ec0-1#{name}\t{name}\teast\t1\t\t5" for name in page}
            cluster.redis.hset(cluster.keys.absent, mapping=lines)
            cluster.redis.zadd(cluster.keys.absent_since, {name: since[name] for name in page})
        assert cluster.events(cluster.sweep) == [("forgotten", ["east0", "east1", "east2"])]
        assert cluster.redis.hlen(cluster.keys.absent) == 10_000

    def test_it_forgets_commands_that_are_too_old(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        old = cluster.publish("uptime")
        cluster.pass_time(cluster.results_ttl_ms)
        cluster.join("east2")
        young = cluster.publish("pid")
        cluster.pass_time(1)
        cluster.sweep()
        assert cluster.results(old) is None
        assert cluster.results("uptime") is None
        assert cluster.results(young) is not None
        assert cluster.redis.xlen(cluster.keys.log) == 1
        assert not cluster.renews(east)

    def test_sweep_forgets_oldest_commands_over_the_cap(self, cluster: Cluster) -> None:
        cluster.join("east1")
        sent = [cluster.publish(f"command {number}") for number in range(5)]
        cluster.log_cap = 2
        cluster.sweep()
        assert [cluster.results(each) is not None for each in sent] == [False, False, False, True, True]
        assert cluster.redis.hlen(cluster.keys.latest) == 2

    def test_repeated_text_outlives_its_first_run(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.publish("pid")
        again = cluster.publish("pid")
        cluster.log_cap = 1
        cluster.sweep()
        found = cluster.results("pid")
        assert found is not None
        assert found.sent.id == again

    def test_sweep_renews_the_clusters_own_keys(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.join("west1")
        cluster.publish()
        cluster.redis.hset(cluster.keys.vip_beliefs, "east1", "x")
        own = [cluster.keys.state, cluster.keys.sessions, cluster.keys.roster, cluster.keys.log, cluster.keys.latest]
        own.append(cluster.keys.vip_beliefs)
        for key in own:
            cluster.redis.expire(key, 10)
        cluster.sweep()
        assert min(cluster.redis.ttl(key) for key in own) > 10  # type: ignore[type-var]


class TestRoster:
    def test_roster_has_live_and_absent_in_first_spelling(self, cluster: Cluster) -> None:
        cluster.join("East1", "EAST")
        cluster.pass_time(cluster.lease_ms)
        west = cluster.join("west1", "West")
        view = cluster.view
        assert [(seat.name, seat.subcluster) for seat in view.live.values()] == [("west1", "West")]
        assert [(seat.name, seat.subcluster) for seat in view.absent.values()] == [("East1", "EAST")]
        assert view.sessions == {west.private}

    def test_an_empty_cluster_has_an_empty_roster(self, cluster: Cluster) -> None:
        assert list(cluster.view) == []

    def test_absent_nodes_are_not_taken_for_live(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.pass_time(cluster.lease_ms)
        cluster.sweep()
        assert (set(cluster.view.live), set(cluster.view.absent)) == (set(), {"east1"})

    def test_view_is_kept_for_those_without_it(self, cluster: Cluster) -> None:
        cluster.join("east1")
        known = cluster.roster()
        key = cluster.keys.view(1)
        assert cluster.redis.exists(key)
        cluster.redis.delete(key)
        assert cluster.roster(known) == known
        assert not cluster.redis.exists(key)
        cluster.roster(f"1{known}")
        assert cluster.redis.exists(key)

    def test_kept_view_does_not_change_with_members(self, cluster: Cluster) -> None:
        for number in range(10):
            cluster.join(f"east{number}")
        cluster.pass_time(cluster.lease_ms)
        cluster.join("west1")
        before = cluster.view
        cluster.leave(cluster.join("west2"))
        cluster.join("east1")
        after = cluster.kept_view(before.number)
        assert (set(after.live), set(after.absent)) == ({"west1"}, {f"east{number}" for number in range(10)})

    def test_a_roster_of_one_view_does_not_change(self, cluster: Cluster) -> None:
        cluster.join("east1", "east")
        sent = cluster.publish(target=Target(TargetKind.SUBCLUSTER, "east"))
        cluster.join("east2", "east")
        assert cluster.states(sent) == {"east1": "pending"}
