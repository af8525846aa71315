"""renew, resettle, sweep: the tags of nodes in the roster, and in the lines of absent nodes."""

import json

from tests.integration.scripts.cluster import Cluster


def test_changed_tags_make_a_new_view(cluster: Cluster) -> None:
    life = cluster.join("east1", "east")
    cluster.join("east2", "east")
    cluster.renew_with_record(life, role="mta")
    before = cluster.view
    (event,) = cluster.messages(cluster.keys.events, lambda: cluster.renew_with_record(life, role="mta", dc="ams"))
    assert json.loads(event) == {
        "event": "tagged",
        "view": before.number + 1,
        "members": [life.private],
        "to": "dc=ams role=mta",
    }
    assert dict(before.live["east1"].tags) == {"role": "mta"}
    assert dict(cluster.view.live["east1"].tags) == {"role": "mta", "dc": "ams"}
    assert not cluster.view.live["east2"].tags
    assert cluster.renews(life)


def test_unchanged_tags_leave_the_view_alone(cluster: Cluster) -> None:
    life = cluster.join("east1")
    cluster.renew_with_record(life, role="mta")
    number = cluster.view.number
    cluster.redis.delete(cluster.keys.members)
    cluster.renew_with_record(life, role="mta")
    assert cluster.view.number == number


def test_tags_can_be_taken_away(cluster: Cluster) -> None:
    life = cluster.join("east1")
    cluster.renew_with_record(life, role="mta")
    cluster.renew_with_record(life)
    assert not cluster.view.live["east1"].tags


def test_lost_node_keeps_its_tags(cluster: Cluster) -> None:
    life = cluster.join("east1")
    cluster.renew_with_record(life, role="mta")
    cluster.pass_time(cluster.lease_ms)
    cluster.sweep()
    seat = cluster.view.absent["east1"]
    assert dict(seat.tags) == {"role": "mta"}
    assert seat.since_ms is not None


def test_moved_node_has_the_tags_of_its_record(cluster: Cluster) -> None:
    life = cluster.join("east1", "west")
    cluster.renew_with_record(life, role="mta")
    cluster.resettle(life, "east", role="db")
    seat = cluster.view.live["east1"]
    assert (seat.subcluster, dict(seat.tags)) == ("east", {"role": "db"})
