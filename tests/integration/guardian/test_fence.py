"""A floating address answers while the fence is open and not a moment longer, whichever processes live."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.guardian.conftest import Guardian, Host
from tests.waiting import wait_until_sync
from worker.guardian import wire

V4, V6 = "10.1.1.1", "2001:db8::1"
VIPS = (wire.Address(V4, 32, "eth1"), wire.Address(V6, 128, "eth1"))
BOTH = (wire.Grant(V4, 1), wire.Grant(V6, 1))


@pytest.fixture
def guardian(host: Host) -> Guardian:
    """A guardian that has closed the fence over both addresses."""
    made = host.guardian()
    made.say(wire.Configure(VIPS))
    assert made.hear(wire.Ready) == wire.Ready("nftables", "netlink", 0.0)
    assert made.hear(wire.LinkState) == wire.LinkState("eth1", up=True)
    return made


def test_an_address_is_plumbed_and_answers(host: Host, guardian: Guardian) -> None:
    guardian.hold(60, *BOTH)
    assert host.answers(V4)
    assert host.answers(V6)


def test_stopped_host_falls_silent_at_the_deadline(host: Host, guardian: Guardian) -> None:
    guardian.hold(4, *BOTH)
    guardian.signal(signal.SIGSTOP)
    assert host.answers(V4)
    assert host.answers(V6)
    wait_until_sync(lambda: not host.answers(V4) and not host.answers(V6), "the host is silent")
    assert host.has(V4)
    assert host.has(V6)
    assert host.answers("10.1.1.200")


def test_killed_guardian_leaves_a_host_falling_silent(host: Host, guardian: Guardian) -> None:
    guardian.hold(3, *BOTH)
    guardian.signal(signal.SIGKILL)
    wait_until_sync(lambda: not host.answers(V4) and not host.answers(V6), "the host is silent")
    assert host.has(V4)


def test_address_added_by_hand_is_behind_the_fence(host: Host, guardian: Guardian) -> None:
    host.ip("addr", "add", f"{V4}/32", "dev", "eth1")
    assert not host.answers(V4)


def test_fence_covers_an_interface_that_appears_later(host: Host, guardian: Guardian) -> None:
    host.ip("link", "add", "late0", "type", "veth", "peer", "late1")
    wait_until_sync(lambda: "late0" in host.run("nft", "list", "table", "netdev", "eccmgr_duravip"), "it is hooked")


def test_deadline_unplumbs_everything_and_tells_the_agent(host: Host, guardian: Guardian) -> None:
    guardian.hold(1, *BOTH)
    assert guardian.hear(wire.Down) == wire.Down("s1", "the deadline has passed")
    assert not host.has(V4)
    assert not host.has(V6)


def test_a_session_that_went_down_opens_nothing_again(host: Host, guardian: Guardian) -> None:
    guardian.hold(1, *BOTH)
    guardian.hear(wire.Down)
    at = wire.boot_time() + 60
    guardian.say(wire.Deadline("s1", at), wire.Plumb(BOTH, "s1", at))
    assert guardian.hear(wire.NotPlumbed).reason == "its session is over"
    guardian.hold(60, *BOTH, session="s2")
    assert host.answers(V4)


def test_guardian_stopped_past_deadline_unplumbs_before_opening(host: Host, guardian: Guardian) -> None:
    guardian.hold(1, *BOTH)
    guardian.signal(signal.SIGSTOP)
    wait_until_sync(lambda: not host.answers(V4), "the host is silent")
    guardian.say(wire.Deadline("s2", wire.boot_time() + 60))
    guardian.signal(signal.SIGCONT)
    guardian.hear(wire.Kept, lambda message: message.session == "s2")
    assert not host.has(V4)
    assert not host.has(V6)


def test_flushed_ruleset_is_noticed_and_the_fence_rebuilt(host: Host, guardian: Guardian) -> None:
    guardian.hold(60, *BOTH)
    host.run("nft", "flush", "ruleset")
    guardian.hear(wire.Plumbed)
    guardian.hear(wire.Plumbed)
    assert "10.1.1.1" in host.run("nft", "list", "set", "netdev", "eccmgr_duravip", "v4")
    assert host.answers(V4)
    guardian.signal(signal.SIGKILL)
    host.run("nft", "flush", "set", "netdev", "eccmgr_duravip", "open")
    assert not host.answers(V4)


def test_anothers_tables_do_not_matter(host: Host, guardian: Guardian) -> None:
    guardian.hold(60, *BOTH)
    host.run("nft", "add table inet theirs; add chain inet theirs a; flush table inet theirs; delete table inet theirs")
    guardian.say(wire.Unplumb((wire.Grant(V6, 1),), "x"))
    guardian.hear(wire.Unplumbed)
    assert not [each for each in guardian.heard if isinstance(each, wire.Plumbed)]


def test_renewing_loses_no_packet(host: Host, guardian: Guardian) -> None:
    guardian.hold(60, *BOTH)
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(host.lost, V4, 2000)
        while not lost.done():
            guardian.say(wire.Deadline("s1", wire.boot_time() + 60))
            guardian.hear(wire.Kept)
    assert lost.result() == 0
