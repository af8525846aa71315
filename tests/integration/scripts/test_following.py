"""follow, and the driver of a command: one at a time, and another one only once the first has gone."""

import pytest

from eccmgr.cluster.calls.answers import Drive, Parting
from eccmgr.cluster.calls.commands import DRIVES_FOR_S
from tests.integration.scripts.cluster import DRIVER, Cluster

WAIT_MS = 100_000
GONE_MS = int(DRIVES_FOR_S * 1000)


def drive(cluster: Cluster, sent: str, driver: str = "") -> Drive:
    followed = cluster.follow(sent, driver)
    assert followed is not None
    return followed.drive


def test_missing_or_flushed_command_is_not_followed(cluster: Cluster) -> None:
    assert cluster.follow("none") is None
    cluster.join("east1")
    sent = cluster.publish()
    cluster.flush()
    assert cluster.follow(sent) is None
    assert not cluster.immortal()


def test_follower_of_a_broadcast_reads_later_responses(cluster: Cluster) -> None:
    lives = [cluster.join(f"east{number}") for number in range(3)]
    sent = cluster.publish()
    cluster.respond(lives[0], sent)
    followed = cluster.follow(sent)
    assert followed is not None
    assert (followed.arrived, followed.drive, followed.pace.text) == (0, Drive.NONE, b"")
    for life in lives[1:]:
        cluster.respond(life, sent)
    looked = cluster.look(sent, driver="")
    assert list(looked.entries) == ["east1", "east2"]
    assert looked.waited_ms is None
    assert [past.answered for past in cluster.history()] == [3]
    assert not cluster.immortal()


def test_follower_reads_late_responses_of_a_gather(cluster: Cluster) -> None:
    east, west = cluster.join("east1"), cluster.join("west1")
    sent = cluster.publish(wait_ms=WAIT_MS)
    cluster.follow(sent)
    cluster.respond(east, sent)
    cluster.look(sent, parting=Parting.STOP)
    cluster.respond(west, sent)
    assert list(cluster.look(sent, 1, driver="").entries) == ["west1"]


def test_looking_follower_changes_nothing_for_the_driver(cluster: Cluster) -> None:
    east, west = cluster.join("east1"), cluster.join("west1")
    sent = cluster.publish(wait_ms=WAIT_MS)
    cluster.follow(sent)
    before = cluster.redis.hgetall(cluster.keys.command(sent))
    for parting in Parting:
        assert cluster.look(sent, driver="", parting=parting).drive is Drive.OTHER
        assert cluster.look(sent, driver="second", parting=parting).drive is Drive.OTHER
    assert cluster.redis.hgetall(cluster.keys.command(sent)) == before
    assert len(cluster.messages("asked", lambda: [cluster.respond(life, sent) for life in (east, west)])) == 1


def test_another_drives_only_once_the_first_has_gone(cluster: Cluster) -> None:
    cluster.lease_ms = WAIT_MS
    east, west = cluster.join("east1"), cluster.join("west1")
    sent = cluster.publish(wait_ms=WAIT_MS, rolling=True)
    cluster.pass_time(GONE_MS - 1)
    assert drive(cluster, sent, "second") is Drive.OTHER
    assert cluster.look(sent).drive is Drive.MINE
    cluster.pass_time(GONE_MS - 1)
    assert drive(cluster, sent, "second") is Drive.OTHER
    assert cluster.release(sent, "east1", driver="second") == "driven"
    cluster.pass_time(1)
    assert drive(cluster, sent) is Drive.NONE
    assert drive(cluster, sent, "second") is Drive.MINE
    assert cluster.release(sent, "east1") == "driven"
    assert cluster.look(sent, parting=Parting.STOP).drive is Drive.OTHER
    assert cluster.release(sent, "west1", driver="second") == "released"
    assert cluster.claim(west, sent) == "claimed"
    assert cluster.claim(east, sent) == "not addressed"
    assert len(cluster.messages("asked too", lambda: cluster.respond(west, sent))) == 1


@pytest.mark.parametrize("rolling", [False, True])
def test_driver_that_leaves_makes_room_at_once(cluster: Cluster, rolling: bool) -> None:
    cluster.join("east1")
    sent = cluster.publish(wait_ms=WAIT_MS, rolling=rolling)
    cluster.look(sent, parting=Parting.HOLD)
    assert cluster.states(sent) == {"east1": "pending"}
    followed = cluster.follow(sent, "second")
    assert followed is not None
    assert (followed.drive, followed.pace.text) == (Drive.MINE, b"1 -" if rolling else b"")


def test_nobody_drives_what_is_over(cluster: Cluster) -> None:
    cluster.join("east1")
    stopped, withdrawn, ended = (cluster.publish(wait_ms=WAIT_MS, rolling=True) for _ in range(3))
    cluster.look(stopped, parting=Parting.STOP)
    cluster.abort(withdrawn)
    cluster.pass_time(WAIT_MS)
    for sent in (stopped, withdrawn, ended):
        assert drive(cluster, sent, "second") is Drive.NONE
    assert cluster.look(ended, driver=DRIVER).drive is Drive.MINE
