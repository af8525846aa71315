"""publish and claim: a command is sent whole or not at all, its nodes never change, and each takes it at most once."""

import json

import pytest

from eccmgr.cluster.publishing import digest
from eccmgr.cluster.runs import LatestRuns
from eccmgr.cluster.view import EVERYONE, Target, TargetKind
from tests.integration.scripts.cluster import Cluster

EAST = Target(TargetKind.SUBCLUSTER, "East")
NODE = Target(TargetKind.NODE, "East1")
SET = Target(TargetKind.SET, "East1,west1")


class TestPublish:
    def test_secrets_are_neither_shown_nor_kept_in_audit(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.try_publish("set secret hush", made="000000000001", shown="set secret ********")
        found = cluster.results("000000000001")
        assert found is not None
        assert found.sent.text == "set secret ********"
        assert [entry[b"text"] for entry in cluster.audited(b"command")] == [b"set secret ********"]

    def test_secret_text_is_kept_while_it_counts(self, cluster: Cluster) -> None:
        cluster.join("east1")
        made, everyone = "000000000001", cluster.keys.everyone
        heard = cluster.messages(
            everyone, lambda: cluster.try_publish("set it hush", made=made, shown="set it ********")
        )
        assert [json.loads(message)["text"] for message in heard] == ["set it hush"]
        assert [message["text"] for message in cluster.catch_up("0-0", everyone)[2]] == ["set it hush"]
        assert 0 < cluster.redis.pttl(cluster.keys.secret(made)) <= cluster.options.command_ttl_s * 1000
        assert b"hush" not in b" ".join(cluster.redis.hgetall(cluster.keys.command(made)).values())
        cluster.redis.delete(cluster.keys.secret(made))
        assert cluster.catch_up("0-0", everyone)[2] == []

    def test_withdrawal_ends_the_text_with_a_secret(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.try_publish("set it hush", made="000000000001", shown="set it ********")
        cluster.abort("000000000001")
        assert not cluster.redis.exists(cluster.keys.secret("000000000001"))

    def test_secret_text_waits_for_its_release(self, cluster: Cluster) -> None:
        cluster.join("east1")
        made = "000000000001"
        cluster.try_publish("set it hush", made=made, shown="set it ********", rolling=True, wait_ms=5000)
        heard = cluster.messages(f"{cluster.keys.node_prefix}east1", lambda: cluster.release(made, "east1"))
        assert [json.loads(message)["text"] for message in heard] == ["set it hush"]

    def test_command_expects_the_nodes_of_its_moment(self, cluster: Cluster) -> None:
        cluster.join("east1")
        leaving = cluster.join("east2")
        sent = cluster.publish()
        cluster.leave(leaving)
        cluster.join("east3")
        assert cluster.states(sent) == {"east1": "pending", "east2": "lost"}

    def test_node_lost_before_is_absent_from_the_start(self, cluster: Cluster) -> None:
        cluster.join("east2")
        cluster.pass_time(cluster.lease_ms)
        cluster.join("east1")
        sent = cluster.publish()
        assert cluster.states(sent) == {"east1": "pending", "east2": "absent"}
        cluster.join("east2")
        assert cluster.states(sent) == {"east1": "pending", "east2": "absent"}

    def test_session_that_lapsed_unnoticed_is_not_alive(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.pass_time(cluster.lease_ms)
        assert cluster.try_publish()[0] == b"nobody"

    @pytest.mark.parametrize(
        ("target", "expected"),
        [(EVERYONE, {"east1", "east2", "west1"}), (EAST, {"east1", "east2"}), (NODE, {"east1"})],
    )
    def test_it_reaches_its_target_and_nobody_else(self, cluster: Cluster, target: Target, expected: set[str]) -> None:
        for name in ("east1", "east2"):
            cluster.join(name, "EAST")
        cluster.join("west1", "west")
        sent: list[str] = []
        heard = cluster.messages(target.channel(cluster.keys), lambda: sent.append(cluster.publish(target=target)))
        assert [json.loads(message)["id"] for message in heard] == sent
        assert set(cluster.states(sent[0])) == expected

    def test_set_command_is_told_to_its_nodes_only(self, cluster: Cluster) -> None:
        for name in ("East1", "east2", "west1"):
            cluster.join(name)
        keys = cluster.keys
        for channel, heard in ((keys.node("east1"), 1), (keys.node("east2"), 0), (keys.everyone, 0)):
            assert len(cluster.messages(channel, lambda: cluster.publish(target=SET))) == heard
        assert set(cluster.states("pid")) == {"East1", "west1"}

    def test_cluster_sized_set_is_broadcast_but_stays_closed(self, cluster: Cluster) -> None:
        east, west = cluster.join("east1"), cluster.join("west1")
        large = Target(TargetKind.SET, "east[1-10000]")
        (message,) = cluster.messages(cluster.keys.everyone, lambda: cluster.publish(target=large))
        told = json.loads(message)
        assert told["planned"] is True
        assert cluster.states(told["id"]) == {"east1": "pending"}
        assert cluster.claim(east, told["id"]) == "claimed"
        assert cluster.claim(west, told["id"]) == "not addressed"
        assert cluster.respond(west, told["id"]) == "superseded"

    @pytest.mark.parametrize(
        ("alive", "target"),
        [(None, EVERYONE), (("west1", "west"), EAST), (("east2", "East"), NODE), (("east2", "East"), SET)],
    )
    def test_nothing_is_done_for_a_dead_target(
        self, cluster: Cluster, alive: tuple[str, str] | None, target: Target
    ) -> None:
        cluster.join("barca", rank="manager")
        cluster.join("east1", "East")
        cluster.pass_time(cluster.lease_ms)
        if alive is not None:
            cluster.join(*alive)
        heard = cluster.messages(target.channel(cluster.keys), lambda: cluster.try_publish("pid", target))
        assert cluster.try_publish("pid", target)[0] == b"nobody"
        assert heard == []
        assert cluster.redis.exists(cluster.keys.log, cluster.keys.latest) == 0
        assert cluster.audited(b"command") == []
        assert cluster.results("pid") is None

    def test_message_carries_needed_fields_and_log_place(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        heard = cluster.messages(cluster.keys.everyone, lambda: (cluster.publish("one"), cluster.publish("two")))
        first, second = map(json.loads, heard)
        assert first["text"] == "one"
        assert (first["issuer"], first["view"], first["ttl"]) == ("root", east.view, cluster.command_ttl_ms)
        assert (first["before"], second["before"]) == ("0-0", first["entry"])

    def test_taken_id_is_refused_and_its_command_untouched(self, cluster: Cluster) -> None:
        cluster.join("east1")
        sent = cluster.publish("one")
        heard = cluster.messages(cluster.keys.everyone, lambda: cluster.try_publish("two", made=sent))
        assert cluster.try_publish("two", made=sent) == [b"id taken"]
        assert heard == []
        found = cluster.results(sent)
        assert found is not None
        assert found.sent.text == "one"

    def test_latest_run_of_a_text_is_remembered(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.publish("pid")
        latest = cluster.publish("  pid ")
        found = cluster.results("pid")
        assert found is not None
        assert found.sent.id == latest

    def test_text_has_a_latest_run_per_target(self, cluster: Cluster) -> None:
        cluster.join("east1", "East")
        cluster.join("west1", "west")
        targets = {
            cluster.keys.everyone: EVERYONE,
            cluster.keys.subcluster("east"): Target(TargetKind.SUBCLUSTER, "East"),
            cluster.keys.node("west1"): Target(TargetKind.NODE, "west1"),
        }
        first = {channel: cluster.publish("pid", target) for channel, target in targets.items()}
        some = cluster.publish("pid", Target(TargetKind.SET, "east1,west1"))
        runs = cluster.redis.hgetall(cluster.keys.latest_of(digest("pid")))
        kept = {field.decode(): run.decode().split()[1] for field, run in runs.items()}
        assert kept == {**first, f"set:{some}": some}
        found = LatestRuns.parse(runs).runs
        assert [run.id for run in found] == [some, *reversed(first.values())]
        assert {run.target for run in found} == {*targets.values(), Target(TargetKind.SET, "east1,west1")}

    def test_a_texts_runs_are_forgotten_with_their_commands(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.log_cap = 10
        for number in range(40):
            kind = (TargetKind.SET, TargetKind.NODE)[number % 2]
            cluster.publish("pid", Target(kind, "east1"))
        assert cluster.redis.hlen(cluster.keys.latest_of(digest("pid"))) <= cluster.log_cap + 2

    def test_log_and_latest_texts_keep_their_caps(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.log_cap = 10
        for number in range(40):
            cluster.publish(f"command {number}")
        assert cluster.redis.xlen(cluster.keys.log) <= cluster.log_cap + 1
        assert cluster.redis.hlen(cluster.keys.latest) <= cluster.log_cap + 1
        assert len(list(cluster.redis.scan_iter(f"{cluster.keys.latest}:*"))) <= cluster.log_cap + 1
        assert len(list(cluster.redis.scan_iter(f"{cluster.keys.command_prefix}*"))) <= cluster.log_cap + 1

    def test_audit_says_who_sent_what_within_its_cap(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.audit_cap = 10
        for number in range(300):
            cluster.publish(f"command {number}")
        assert cluster.redis.xlen(cluster.keys.audit) < 300
        ((_, last),) = cluster.redis.xrevrange(cluster.keys.audit, count=1)  # type: ignore[misc]
        assert (last[b"issuer"], last[b"text"]) == (b"root", b"command 299")

    def test_kept_view_outlives_every_command_expecting_it(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.publish()
        key = f"{cluster.keys.view_prefix}{cluster.view.number}"
        cluster.redis.expire(key, 10)
        sent = cluster.publish()
        assert cluster.redis.ttl(key) >= cluster.redis.ttl(cluster.keys.command(sent)) > 10  # type: ignore[operator]


class TestClaim:
    def test_a_command_is_claimed_once(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        assert [cluster.claim(east, sent), cluster.claim(east, sent)] == ["claimed", "taken"]
        assert cluster.states(sent) == {"east1": "running"}

    def test_each_node_claims_for_itself(self, cluster: Cluster) -> None:
        lives = [cluster.join("east1"), cluster.join("east2")]
        sent = cluster.publish()
        assert [cluster.claim(life, sent) for life in lives] == ["claimed", "claimed"]

    def test_a_command_that_was_answered_cannot_be_claimed(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.claim(east, sent)
        cluster.respond(east, sent)
        assert cluster.claim(east, sent, again=True) == "taken"

    def test_same_session_may_repeat_a_claim_unanswered(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.claim(east, sent)
        assert cluster.claim(east, sent, again=True) == "claimed"

    def test_nothing_is_claimed_once_the_command_has_expired(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.lease_ms = 2 * cluster.command_ttl_ms
        cluster.renew(east)
        cluster.pass_time(cluster.command_ttl_ms)
        assert cluster.claim(east, sent) == "expired"
        assert cluster.states(sent) == {"east1": "missed"}

    def test_node_outside_the_set_neither_claims_nor_answers(self, cluster: Cluster) -> None:
        cluster.join("east1")
        other = cluster.join("east2")
        sent = cluster.publish(target=SET)
        assert cluster.claim(other, sent) == "not addressed"
        assert cluster.respond(other, sent) == "superseded"
        assert cluster.states(sent) == {"east1": "pending"}

    def test_node_of_the_set_answers_only_in_time(self, cluster: Cluster) -> None:
        east, west = cluster.join("east1"), cluster.join("west1")
        sent = cluster.publish(target=SET)
        assert (cluster.claim(east, sent), cluster.respond(east, sent)) == ("claimed", "kept")
        cluster.lease_ms = 2 * cluster.command_ttl_ms
        cluster.renew(west)
        cluster.pass_time(cluster.command_ttl_ms)
        assert (cluster.claim(west, sent), cluster.respond(west, sent)) == ("expired", "expired")

    def test_later_life_does_not_run_earlier_commands(self, cluster: Cluster) -> None:
        cluster.join("east1")
        sent = cluster.publish()
        cluster.pass_time(cluster.lease_ms)
        again = cluster.join("east1")
        assert cluster.claim(again, sent) == "not addressed"
        assert cluster.states(sent) == {"east1": "lost"}

    def test_a_session_that_is_over_claims_nothing(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.pass_time(cluster.lease_ms)
        assert cluster.claim(east, sent) == "ended"
        assert not cluster.redis.exists(cluster.keys.responses(sent))

    def test_a_command_that_nobody_keeps_is_not_claimed(self, cluster: Cluster) -> None:
        assert cluster.claim(cluster.join("east1"), "none") == "gone"

    def test_claim_tells_how_long_the_command_may_wait(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.pass_time(1000)
        assert cluster.try_claim(east, sent) == ("claimed", cluster.command_ttl_ms - 1000)


class TestDraft:
    SET = Target(TargetKind.SET, "east[1-2]")

    def test_planned_set_may_begin_it_but_no_other(self, cluster: Cluster) -> None:
        east1, east2, west1 = cluster.join("east1"), cluster.join("east2"), cluster.join("west1")
        cluster.draft("east1")
        cluster.draft("east2")
        verdict, *_ = cluster.try_publish(target=self.SET, made="000000000001", drafted=2, names="east2")
        assert verdict == b"sent"
        assert [cluster.claim(life, "000000000001") for life in (east1, east2, west1)] == [
            "claimed",
            "claimed",
            "not addressed",
        ]
        assert not cluster.redis.exists(cluster.keys.draft("1"))
        assert [past.expected for past in cluster.history()] == [2]

    def test_it_is_told_to_all_at_once(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.draft("east1", "east2")
        heard = cluster.messages(
            cluster.keys.everyone, lambda: cluster.try_publish(target=self.SET, drafted=2, names="east1")
        )
        assert [json.loads(message)["planned"] for message in heard] == [True]

    def test_a_draft_that_is_gone_sends_nothing(self, cluster: Cluster) -> None:
        cluster.join("east1")
        assert cluster.try_publish(target=self.SET, drafted=2, names="east1") == [b"draft gone"]
        assert cluster.history() == []

    def test_set_that_died_since_planning_is_sent_nothing(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.join("west1", rank="manager")
        cluster.draft("east1")
        cluster.pass_time(cluster.lease_ms)
        assert cluster.try_publish(target=self.SET, drafted=1, names="east1")[0] == b"nobody"
        assert cluster.history() == []

    def test_unsent_draft_ends_by_itself(self, cluster: Cluster) -> None:
        cluster.draft("east1")
        assert 0 < int(cluster.redis.pttl(cluster.keys.draft("1"))) <= cluster.command_ttl_ms  # type: ignore[arg-type]
