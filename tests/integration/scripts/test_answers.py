"""respond, collect, results, flush: Redis keeps answers, notifies waiting managers of them, and clears them on
request."""

import pytest

from eccmgr.cluster.results import JOB, STANDS_IN, pack_body, running_body
from tests.integration.scripts.cluster import Cluster, Life

FOREIGN = Life("#ec0-99#east1", "east1", 1)


@pytest.fixture(params=(False, True), ids=("said to be unclaimed", "said to be claimed"), autouse=True)
def _said(request: pytest.FixtureRequest, cluster: Cluster) -> None:
    cluster.says_claimed = request.param


class TestRespond:
    def test_the_answer_to_a_claimed_command_is_kept(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.claim(east, sent)
        assert cluster.respond(east, sent, "hello") == "kept"
        found = cluster.results(sent)
        assert found is not None
        assert [(o.node, o.state, o.text) for o in found.outcomes] == [("east1", "ok", "hello")]

    def test_answer_may_hold_any_text_and_be_compressed(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        for text in ("", "\n\t\n", "ok\t#x\t1\t2\t\nz", "größer\0", "x" * 100_000):
            sent = cluster.publish()
            flags, body = pack_body(text, 1 << 20)
            cluster.respond(east, sent, body, flags=flags)
            found = cluster.results(sent)
            assert found is not None
            assert found.outcomes[0].text == text

    def test_an_idempotent_command_is_answered_without_a_claim(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        assert cluster.respond(east, sent) == "kept"
        assert cluster.states(sent) == {"east1": "ok"}

    def test_first_answer_stands_and_repetition_is_harmless(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish(wait_ms=1000)
        cluster.respond(east, sent, "first")
        assert cluster.respond(east, sent, "second") == "kept"
        found = cluster.collect(sent)
        assert [entry.text for entry in found.values()] == ["first"]
        assert cluster.collect(sent, seen=1) == {}

    def test_answer_replaces_its_stand_in_uncounted(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish(wait_ms=1000)
        cluster.claim(east, sent)
        for body, state, flags in (("too long", "failed", STANDS_IN), ("whole", "ok", ""), ("late", "ok", "")):
            assert cluster.respond(east, sent, body, state, flags) == "kept"
        assert [entry.text for entry in cluster.collect(sent).values()] == ["whole"]
        assert [past.answered for past in cluster.history()] == [1]

    def test_other_session_does_not_answer_claimed_command(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.claim(east, sent)
        assert cluster.respond(FOREIGN, sent) == "superseded"
        assert cluster.states(sent) == {"east1": "running"}

    def test_later_life_does_not_answer_for_the_earlier(self, cluster: Cluster) -> None:
        cluster.join("east1")
        sent = cluster.publish()
        cluster.pass_time(cluster.lease_ms)
        again = cluster.join("east1")
        assert cluster.respond(again, sent) == "superseded"
        assert cluster.states(sent) == {"east1": "lost"}

    def test_earlier_life_does_not_answer_for_the_later(self, cluster: Cluster) -> None:
        old = cluster.join("east1")
        cluster.pass_time(cluster.lease_ms)
        new = cluster.join("east1")
        sent = cluster.publish()
        assert cluster.respond(old, sent) == "superseded"
        assert cluster.respond(new, sent, "done") == "kept"
        assert cluster.states(sent) == {"east1": "ok"}

    def test_ended_life_may_deliver_unclaimed_answers(self, cluster: Cluster) -> None:
        old = cluster.join("east1")
        sent = cluster.publish()
        cluster.pass_time(cluster.lease_ms)
        cluster.join("east1")
        assert cluster.respond(old, sent) == "kept"
        assert cluster.states(sent) == {"east1": "ok"}

    def test_claimed_command_may_be_answered_after_expiry(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.claim(east, sent)
        cluster.pass_time(cluster.command_ttl_ms)
        assert cluster.respond(east, sent) == "kept"

    def test_unclaimed_command_is_not_answered_after_expiry(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.pass_time(cluster.command_ttl_ms)
        assert cluster.respond(east, sent) == "expired"

    def test_what_nobody_keeps_any_more_leaves_no_trace(self, cluster: Cluster) -> None:
        assert cluster.respond(cluster.join("east1"), "none") == "gone"
        assert not list(cluster.redis.scan_iter(f"{cluster.keys.command_prefix}*"))

    def test_ended_session_may_deliver_work_it_had_begun(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.claim(east, sent)
        cluster.pass_time(cluster.lease_ms)
        cluster.sweep()
        assert cluster.states(sent) == {"east1": "lost"}
        assert cluster.respond(east, sent) == "kept"
        assert cluster.states(sent) == {"east1": "ok"}

    def test_responses_end_with_their_command(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish(wait_ms=1000)
        cluster.respond(east, sent)
        keys = (cluster.keys.responses(sent), cluster.keys.arrived(sent))
        limit = cluster.redis.pttl(cluster.keys.command(sent)) + 1000  # type: ignore[operator]
        assert all(0 < cluster.redis.pttl(key) <= limit for key in keys)  # type: ignore[operator]


class TestCollect:
    def test_gather_sees_each_response_once_in_order(self, cluster: Cluster) -> None:
        lives = [cluster.join(f"east{number}") for number in range(4)]
        sent = cluster.publish(wait_ms=1000)
        for life in (lives[2], lives[0]):
            cluster.respond(life, sent)
        assert list(cluster.collect(sent)) == ["east2", "east0"]
        cluster.respond(lives[1], sent)
        assert list(cluster.collect(sent, seen=2)) == ["east1"]

    def test_many_responses_are_read_in_parts(self, cluster: Cluster) -> None:
        lives = [cluster.join(f"east{number}") for number in range(4)]
        sent = cluster.publish(wait_ms=1000)
        for life in lives:
            cluster.respond(life, sent)
        assert list(cluster.collect(sent, 0, limit=3)) == ["east0", "east1", "east2"]
        assert list(cluster.collect(sent, 3, limit=3)) == ["east3"]

    def test_waiting_manager_is_told_once_at_the_end(self, cluster: Cluster) -> None:
        lives = [cluster.join(f"east{number}") for number in range(3)]
        sent = cluster.publish(wait_ms=1000)
        assert _told(cluster, sent, *lives[:2]) == 0
        assert _told(cluster, sent, lives[2]) == 1

    def test_sender_that_looked_hears_of_awaited_answers(self, cluster: Cluster) -> None:
        lives = [cluster.join(f"east{number}") for number in range(4)]
        sent = cluster.publish(wait_ms=1000)
        cluster.respond(lives[0], sent)
        cluster.collect(sent, in_all=3)
        assert [_told(cluster, sent, life) for life in lives[1:]] == [0, 1, 0]

    def test_waiting_manager_is_told_in_parts(self, cluster: Cluster) -> None:
        cluster.told_of = 2
        lives = [cluster.join(f"east{number}") for number in range(5)]
        sent = cluster.publish(wait_ms=1000)
        assert [_told(cluster, sent, life) for life in lives[:3]] == [0, 1, 0]
        assert len(cluster.collect(sent, in_all=5)) == 3
        assert [_told(cluster, sent, life) for life in lives[3:]] == [0, 1]

    def test_sender_that_found_nothing_hears_of_the_next(self, cluster: Cluster) -> None:
        lives = [cluster.join(f"east{number}") for number in range(3)]
        sent = cluster.publish(wait_ms=1000)
        cluster.collect(sent)
        assert [_told(cluster, sent, life) for life in lives] == [1, 0, 0]

    def test_where_nobody_waits_nobody_is_told(self, cluster: Cluster) -> None:
        east, west = cluster.join("east1"), cluster.join("west1")
        sent = cluster.publish()
        assert cluster.messages("asked", lambda: cluster.respond(east, sent)) == []
        gathered = cluster.publish(wait_ms=1000)
        cluster.collect(gathered, last=True)
        assert cluster.messages("asked", lambda: cluster.respond(west, gathered)) == []

    def test_what_comes_after_the_last_look_is_late(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish(wait_ms=5000)
        cluster.pass_time(1000)
        cluster.collect(sent, last=True)
        cluster.pass_time(500)
        cluster.respond(east, sent)
        found = cluster.results(sent)
        assert found is not None
        assert found.outcomes[0].late_s == 0.5

    def test_looking_at_a_missing_command_leaves_no_trace(self, cluster: Cluster) -> None:
        assert cluster.collect("none", last=True) == {}
        assert not list(cluster.redis.scan_iter(f"{cluster.keys.command_prefix}*"))


class TestStanding:
    def test_open_nodes_show_work_and_leases(self, cluster: Cluster) -> None:
        lives = [cluster.join(name) for name in ("East1", "east2", "east3", "east4")]
        sent = cluster.publish(wait_ms=5000)
        joined_ms = cluster.clock
        cluster.pass_time(1000)
        for life in lives[:3]:
            cluster.claim(life, sent)
        cluster.respond(lives[1], sent, running_body("ab12", "40 %"), "running", JOB)
        cluster.respond(lives[2], sent)
        standing = cluster.standing(sent, *lives, Life("#ec0-99#east9", "east9", 1))
        assert {node: (entry.job, entry.text) for node, entry in standing.running.items()} == {
            "east1": ("", ""),
            "east2": ("ab12", "40 %"),
        }
        assert standing.clock_ms == joined_ms + 1000
        assert standing.ends_ms == {life.private: joined_ms + cluster.lease_ms for life in lives}


def _told(cluster: Cluster, sent: str, *lives: Life) -> int:
    """The number of notices to the waiting sender while these nodes answer."""
    return len(cluster.messages("asked", lambda: [cluster.respond(life, sent) for life in lives]))


class TestResults:
    def test_every_expected_node_is_accounted_for(self, cluster: Cluster) -> None:
        cluster.join("gone")
        cluster.pass_time(cluster.lease_ms)
        names = ("silent", "busy", "done", "broken")
        lives = {name: cluster.join(name) for name in names}
        sent = cluster.publish()
        for name in ("busy", "done", "broken"):
            cluster.claim(lives[name], sent)
        cluster.respond(lives["done"], sent)
        cluster.respond(lives["broken"], sent, "no such file", state="failed")
        assert cluster.states(sent) == {
            "broken": "failed",
            "busy": "running",
            "done": "ok",
            "gone": "absent",
            "silent": "pending",
        }

    def test_a_node_that_dies_half_way_is_lost(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.claim(east, sent)
        cluster.pass_time(cluster.lease_ms)
        cluster.sweep()
        assert cluster.states(sent) == {"east1": "lost"}

    def test_an_id_that_exists_wins_over_a_text(self, cluster: Cluster) -> None:
        cluster.join("east1")
        first = cluster.publish("uptime")
        cluster.publish(first)
        found = cluster.results(first)
        assert found is not None
        assert found.sent.text == "uptime"

    def test_excess_responses_are_read_by_pages(self, cluster: Cluster) -> None:
        lives = [cluster.join(f"east{number}") for number in range(30)]
        sent = cluster.publish()
        for life in lives:
            cluster.respond(life, sent, life.name)
        found = cluster.results(sent, limit=10)
        assert found is not None
        assert {outcome.node: outcome.text for outcome in found.outcomes} == {life.name: life.name for life in lives}

    def test_what_was_never_sent_has_no_results(self, cluster: Cluster) -> None:
        cluster.join("east1")
        assert cluster.results("pid") is None
        assert cluster.results("000000000099") is None

    def test_a_command_is_forgotten_after_its_time(self, cluster: Cluster) -> None:
        cluster.join("east1")
        sent = cluster.publish()
        assert 0 < cluster.redis.pttl(cluster.keys.command(sent)) <= cluster.results_ttl_ms  # type: ignore[operator]
        cluster.redis.delete(cluster.keys.command(sent))
        assert cluster.results("pid") is None


class TestFlush:
    def test_afterwards_there_is_nothing_to_retrieve(self, cluster: Cluster) -> None:
        cluster.join("east1")
        sent = [cluster.publish("pid"), cluster.publish("uptime")]
        assert cluster.flush() == 2
        assert [cluster.results(each) for each in (*sent, "pid", "uptime")] == [None] * 4
        assert cluster.flush() == 0

    def test_nodes_may_answer_flushed_commands(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish(wait_ms=1000)
        cluster.flush()
        assert cluster.claim(east, sent) == "claimed"
        assert cluster.respond(east, sent, "done") == "kept"
        assert cluster.results(sent) is None

    def test_a_gather_that_waits_still_sees_the_responses(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish(wait_ms=1000)
        cluster.flush()
        cluster.respond(east, sent, "done")
        assert list(cluster.collect(sent)) == ["east1"]

    def test_what_is_over_is_gone_at_once(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish(wait_ms=1000)
        cluster.respond(east, sent)
        cluster.pass_time(cluster.command_ttl_ms)
        assert cluster.flush() == 1
        assert not list(cluster.redis.scan_iter(f"{cluster.keys.command_prefix}*"))
        assert cluster.redis.xlen(cluster.keys.log) == 0

    def test_a_hidden_command_ends_soon_after_its_time(self, cluster: Cluster) -> None:
        cluster.join("east1")
        sent = cluster.publish()
        cluster.flush()
        assert cluster.redis.pttl(cluster.keys.command(sent)) <= 2 * cluster.command_ttl_ms + 1000  # type: ignore[operator]

    def test_more_than_one_part_is_cleared(self, cluster: Cluster) -> None:
        cluster.join("east1")
        for number in range(450):
            cluster.publish(f"command {number}")
        assert cluster.flush() == 450
        assert cluster.redis.hlen(cluster.keys.latest) == 0

    def test_what_is_sent_afterwards_is_kept(self, cluster: Cluster) -> None:
        cluster.join("east1")
        cluster.publish()
        cluster.flush()
        cluster.publish()
        assert cluster.states("pid") == {"east1": "pending"}


class TestJobs:
    def test_job_reports_progress_and_only_its_end_answers(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish(wait_ms=1000)
        cluster.claim(east, sent)
        for percent in ("queued", "40 %"):
            assert cluster.respond(east, sent, running_body("ab12", percent), "running", JOB) == "kept"
            found = cluster.results(sent)
            assert found is not None
            assert [(o.state, o.job, o.text) for o in found.outcomes] == [("running", "ab12", percent)]
        assert cluster.collect(sent) == {}
        assert cluster.history()[0].answered == 0
        assert cluster.respond(east, sent, "done") == "kept"
        assert [entry.text for entry in cluster.collect(sent).values()] == ["done"]
        assert cluster.history()[0].answered == 1
        assert cluster.respond(east, sent, running_body("ab12", "50 %"), "running", JOB) == "kept"
        assert cluster.states(sent) == {"east1": "ok"}

    def test_job_continues_in_next_life_or_is_lost(self, cluster: Cluster) -> None:
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.claim(east, sent)
        cluster.respond(east, sent, running_body("ab12", ""), "running", JOB)
        cluster.pass_time(cluster.lease_ms)
        cluster.sweep()
        assert cluster.states(sent) == {"east1": "lost"}
        cluster.join("east1")
        assert cluster.states(sent) == {"east1": "running"}
        assert cluster.respond(east, sent, "done") == "kept"
        assert cluster.states(sent) == {"east1": "ok"}

    def test_command_lives_as_long_as_its_job_reports(self, cluster: Cluster) -> None:
        cluster.lease_ms = 10 * cluster.results_ttl_ms
        east = cluster.join("east1")
        sent = cluster.publish()
        cluster.claim(east, sent)
        for _ in range(3):
            cluster.pass_time(cluster.results_ttl_ms - 1)
            cluster.redis.pexpire(cluster.keys.command(sent), 1000)
            cluster.respond(east, sent, running_body("ab12", ""), "running", JOB)
            assert cluster.redis.pttl(cluster.keys.command(sent)) > 1000  # type: ignore[operator]
            cluster.sweep()
            assert cluster.states("pid") == {"east1": "running"}
        cluster.respond(east, sent, "done")
        cluster.pass_time(cluster.results_ttl_ms + 1)
        cluster.sweep()
        assert cluster.states("pid") == {}
        assert cluster.redis.xlen(cluster.keys.log) == 0
