"""A node that was deaf for a while learns that it missed messages, and reads them from the log."""

import json

from eccmgr.cluster.view import EVERYONE, Target, TargetKind
from tests.integration.scripts.cluster import Cluster

EAST = Target(TargetKind.SUBCLUSTER, "east")


def test_messages_on_other_channels_are_not_told(cluster: Cluster) -> None:
    cluster.join("east1", "east")
    cluster.join("west1", "west")
    mine = cluster.publish("uptime")
    cluster.publish("pid", EAST)
    _, more, messages = cluster.catch_up("0-0", cluster.keys.everyone, cluster.keys.subcluster("west"))
    assert (more, [message["id"] for message in messages]) == (0, [mine])


def test_message_is_as_published_with_time_left(cluster: Cluster) -> None:
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


def test_long_log_pages_have_no_gap_or_copy(cluster: Cluster) -> None:
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


def test_released_batches_are_caught_up_by_their_nodes(cluster: Cluster) -> None:
    cluster.join("east1")
    cluster.join("west1")
    sent = cluster.publish(wait_ms=100_000, rolling=True)
    entries = [last_entry(cluster)]
    for node in ("east1", "west1"):
        assert cluster.release(sent, node) == "released"
        entries.append(last_entry(cluster))
        assert cluster.redis.hget(cluster.keys.heads, cluster.keys.node(node)) == entries[-1].encode()
    for node in ("east1", "west1", "east2"):
        _, _, messages = cluster.catch_up(entries[0], cluster.keys.everyone, cluster.keys.node(node), node=node)
        assert [message["id"] for message in messages] == ([sent] if node != "east2" else [])
    assert cluster.redis.xlen(cluster.keys.log) == 2, "one entry for its sending, one for all its releases"


def test_withdrawal_is_caught_up_after_its_command(cluster: Cluster) -> None:
    cluster.join("east1")
    sent = cluster.publish()
    (told,) = map(json.loads, cluster.messages(cluster.keys.everyone, lambda: cluster.abort(sent)))
    assert cluster.redis.hget(cluster.keys.heads, cluster.keys.everyone) == told["entry"].encode()
    read, _, (command, withdrawn) = cluster.catch_up("0-0", cluster.keys.everyone)
    assert (command["id"], withdrawn["abort"], read) == (sent, sent, told["entry"])
    assert told["before"] == command["entry"]


def test_repeatedly_withdrawn_command_fills_no_log(cluster: Cluster) -> None:
    cluster.join("east1")
    sent = cluster.publish()
    for _ in range(5):
        cluster.abort(sent)
    assert cluster.redis.xlen(cluster.keys.log) == 2


def last_entry(cluster: Cluster) -> str:
    """The latest entry in the log."""
    return cluster.redis.xrevrange(cluster.keys.log, count=1)[0][0].decode()  # type: ignore[index]


def test_a_channel_is_forgotten_with_its_latest_entry(cluster: Cluster) -> None:
    cluster.join("east1", "east")
    cluster.publish("pid", EAST)
    cluster.publish("pid")
    cluster.log_cap = 1
    cluster.sweep()
    assert list(cluster.redis.hgetall(cluster.keys.heads)) == [cluster.keys.everyone.encode()]
