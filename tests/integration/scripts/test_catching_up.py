"""What a node that was deaf for a while reads from the log, and how it learns that it has to."""

import json

from eccmgr.cluster.view import EVERYONE, Target, TargetKind
from tests.integration.scripts.cluster import Cluster

EAST = Target(TargetKind.SUBCLUSTER, "east")


def test_what_was_sent_to_other_channels_is_not_told(cluster: Cluster) -> None:
    cluster.join("east1", "east")
    cluster.join("west1", "west")
    mine = cluster.publish("uptime")
    cluster.publish("pid", EAST)
    _, more, messages = cluster.catch_up("0-0", cluster.keys.everyone, cluster.keys.subcluster("west"))
    assert (more, [message["id"] for message in messages]) == (0, [mine])


def test_a_message_is_as_it_was_published_with_what_is_left_of_its_time(cluster: Cluster) -> None:
    east = cluster.join("east1")
    sent = cluster.publish("uptime")
    cluster.pass_time(1000)
    _, _, (message,) = cluster.catch_up("0-0", cluster.keys.everyone)
    assert (message["id"], message["text"], message["issuer"], message["view"]) == (sent, "uptime", "root", east.view)
    assert (message["ttl"], message["channel"]) == (cluster.command_ttl_ms - 1000, cluster.keys.everyone)


def test_what_has_expired_is_not_told_again(cluster: Cluster) -> None:
    cluster.join("east1")
    cluster.publish("uptime")
    cluster.pass_time(cluster.command_ttl_ms)
    cluster.join("east2")
    young = cluster.publish("pid")
    _, _, messages = cluster.catch_up("0-0", cluster.keys.everyone)
    assert [message["id"] for message in messages] == [young]


def test_a_long_log_is_read_in_pages_without_a_gap_or_a_copy(cluster: Cluster) -> None:
    cluster.join("east1")
    sent = [cluster.publish(f"command {number}") for number in range(7)]
    after, more, found = "0-0", 1, []
    while more:
        after, more, messages = cluster.catch_up(after, cluster.keys.everyone, limit=3)
        found += [message["id"] for message in messages]
    assert found == sent
    assert cluster.catch_up(after, cluster.keys.everyone) == (after, 0, [])


def test_each_channel_has_its_own_chain_of_entries(cluster: Cluster) -> None:
    cluster.join("east1", "east")
    heard: list[bytes] = []
    for target in (EAST, EVERYONE, EAST):
        channel = target.channel(cluster.keys)
        heard += cluster.messages(channel, lambda target=target: cluster.publish("pid", target))  # type: ignore[misc]
    first, other, second = map(json.loads, heard)
    assert (first["before"], other["before"]) == ("0-0", "0-0")
    assert second["before"] == first["entry"]


def test_a_channel_is_forgotten_with_its_latest_entry(cluster: Cluster) -> None:
    cluster.join("east1", "east")
    cluster.publish("pid", EAST)
    cluster.publish("pid")
    cluster.log_cap = 1
    cluster.sweep()
    assert list(cluster.redis.hgetall(cluster.keys.heads)) == [cluster.keys.everyone.encode()]
