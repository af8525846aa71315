"""The addresses that the guardian plumbs, removes and mends, and those that it never touches."""

import signal
from pathlib import Path

import pytest

from tests.integration.guardian.conftest import Guardian, Host
from tests.waiting import wait_until_sync
from worker.guardian import wire

V4, V6, OWN = "10.1.1.1", "2001:db8::1", "10.1.1.200"
VIPS = (wire.Address(V4, 32, "eth1"), wire.Address(V6, 128, "eth1"))


def ready(host: Host, *vips: wire.Address, if_check_s: float = 60.0) -> Guardian:
    made = host.guardian()
    made.say(wire.Configure(vips or VIPS, if_check_s=if_check_s))
    made.hear(wire.Ready)
    return made


@pytest.mark.parametrize("prefix", [24, 32])
def test_hosts_own_address_is_refused_and_untouched(host: Host, prefix: int) -> None:
    guardian = ready(host, *VIPS, wire.Address(OWN, prefix, "eth1"))
    at = wire.boot_time() + 60
    guardian.say(wire.Deadline("s1", at), wire.Plumb((wire.Grant(OWN, 1),), "s1", at))
    assert guardian.hear(wire.NotPlumbed) == wire.NotPlumbed(OWN, 1, "it is the host's own address")
    guardian.say(wire.Unplumb((wire.Grant(OWN, 1),), "x"))
    guardian.hear(wire.Unplumbed)
    guardian.close()
    assert host.has(OWN)


def test_address_added_later_by_hand_is_the_hosts(host: Host) -> None:
    guardian = ready(host)
    host.ip("addr", "add", f"{V4}/24", "dev", "eth1")
    at = wire.boot_time() + 60
    guardian.say(wire.Deadline("s1", at), wire.Plumb((wire.Grant(V4, 1),), "s1", at))
    assert guardian.hear(wire.NotPlumbed).reason == "it is the host's own address"
    guardian.close()
    assert host.has(V4)


def test_address_made_the_hosts_by_operator_stays(host: Host) -> None:
    guardian = ready(host)
    guardian.hold(60, wire.Grant(V4, 1))
    host.ip("addr", "change", f"{V4}/32", "dev", "eth1", "metric", "7")
    guardian.say(wire.Unplumb((wire.Grant(V4, 1),), "x"))
    guardian.hear(wire.Unplumbed)
    guardian.close()
    assert host.has(V4)


def test_address_on_a_down_interface_is_unplumbed(host: Host) -> None:
    guardian = ready(host)
    at = guardian.hold(60, wire.Grant(V4, 1))
    host.ip("link", "set", "eth1", "down")
    guardian.hear(wire.LinkState, lambda message: not message.up)
    guardian.say(wire.Plumb((wire.Grant(V4, 1),), "s1", at))
    assert guardian.hear(wire.NotPlumbed).reason == "eth1 is down"
    assert not host.has(V4)


def test_next_guardian_removes_a_killed_ones_leftovers(host: Host) -> None:
    first = ready(host)
    first.hold(60, wire.Grant(V4, 1), wire.Grant(V6, 1))
    first.signal(signal.SIGKILL)
    assert host.answers(V4)
    ready(host, wire.Address("10.1.1.9", 32, "eth1"))
    assert not host.has(V4)
    assert not host.has(V6)
    assert host.has(OWN)


def test_new_guardian_kills_even_a_stopped_old_one(host: Host) -> None:
    first = ready(host)
    first.hold(60, wire.Grant(V4, 1))
    first.signal(signal.SIGSTOP)
    ready(host)
    assert first.process.wait(10) == -signal.SIGKILL
    assert not host.has(V4)


def test_released_epoch_is_not_plumbed_again(host: Host) -> None:
    guardian = ready(host)
    at = guardian.hold(60, wire.Grant(V4, 5))
    guardian.say(wire.Unplumb((wire.Grant(V4, 5),), "x"))
    assert guardian.hear(wire.Unplumbed) == wire.Unplumbed("x", ())
    assert not host.has(V4)
    guardian.say(wire.Plumb((wire.Grant(V4, 5),), "s1", at))
    assert guardian.hear(wire.NotPlumbed).reason == "this epoch of it was released"
    guardian.say(wire.Plumb((wire.Grant(V4, 6),), "s1", at))
    assert guardian.hear(wire.Plumbed).epoch == 6


def test_address_without_working_interface_is_refused(host: Host) -> None:
    guardian = ready(host, wire.Address(V4, 32, "eth7"), wire.Address(V6, 128, "eth8"))
    host.ip("link", "add", "eth8", "type", "veth", "peer", "peer8")
    at = wire.boot_time() + 60
    guardian.say(wire.Deadline("s1", at), wire.Plumb((wire.Grant(V4, 1), wire.Grant(V6, 1)), "s1", at))
    said = {guardian.hear(wire.NotPlumbed).reason for _ in range(2)}
    assert said == {"there is no interface eth7", "eth8 is down"}


def test_a_link_that_goes_and_comes_is_told(host: Host) -> None:
    guardian = ready(host)
    assert guardian.hear(wire.LinkState) == wire.LinkState("eth1", up=True)
    host.ip("link", "set", "eth1", "down")
    assert guardian.hear(wire.LinkState) == wire.LinkState("eth1", up=False)
    host.ip("link", "set", "eth1", "up")
    assert guardian.hear(wire.LinkState) == wire.LinkState("eth1", up=True)


@pytest.mark.parametrize("address", [V4, V6])
def test_address_removed_by_others_is_restored_at_once(host: Host, address: str) -> None:
    guardian = ready(host)
    guardian.hold(60, wire.Grant(V4, 1), wire.Grant(V6, 1))
    host.ip("addr", "del", f"{address}/{32 if address == V4 else 128}", "dev", "eth1")
    wait_until_sync(lambda: host.has(address), "it is put back")


def test_removing_a_subnets_first_address_keeps_the_others(host: Host) -> None:
    vips = tuple(wire.Address(f"10.7.7.{number}", 24, "eth1") for number in (1, 2, 3))
    guardian = ready(host, *vips)
    guardian.hold(60, *(wire.Grant(each.address, 1) for each in vips))
    guardian.say(wire.Unplumb((wire.Grant("10.7.7.1", 1),), "x"))
    guardian.hear(wire.Unplumbed)
    assert not host.has("10.7.7.1")
    assert host.has("10.7.7.2")
    assert host.has("10.7.7.3")


def test_what_leaves_the_configuration_is_unplumbed(host: Host) -> None:
    guardian = ready(host)
    guardian.hold(60, wire.Grant(V4, 1), wire.Grant(V6, 1))
    guardian.say(wire.Configure(VIPS[1:]))
    assert guardian.hear(wire.NotPlumbed) == wire.NotPlumbed(V4, 1, "its configuration has changed")
    assert not host.has(V4)
    assert host.answers(V6)


def test_thousands_are_plumbed_while_the_fence_is_renewed(host: Host) -> None:
    vips = tuple(wire.Address(f"10.8.{each // 250}.{each % 250 + 1}", 32, "eth1") for each in range(2560))
    guardian = ready(host, *vips)
    guardian.say(
        wire.Deadline("s1", wire.boot_time() + 60),
        wire.Plumb(tuple(wire.Grant(each.address, 1) for each in vips), "s1", wire.boot_time() + 60),
    )
    at = wire.boot_time() + 61
    guardian.say(wire.Deadline("s1", at))
    guardian.hear(wire.Kept, lambda message: message.at == at)
    before = [each for each in guardian.heard if isinstance(each, wire.Plumbed)]
    assert len(before) < len(vips), "the deadline waited for all of them"
    for _ in vips:
        guardian.hear(wire.Plumbed)


def test_without_nftables_each_address_has_a_lifetime(host: Host) -> None:
    guardian = host.guardian()
    guardian.say(wire.Configure(VIPS, fence="valid_lft"))
    said = guardian.hear(wire.Ready)
    assert (said.fence, said.late_s) == ("valid_lft", 2.25)
    guardian.hold(2, wire.Grant(V4, 1), wire.Grant(V6, 1))
    guardian.say(wire.Deadline("s1", wire.boot_time() + 3))
    guardian.hear(wire.Kept)
    guardian.signal(signal.SIGKILL)
    wait_until_sync(lambda: not host.has(V4) and not host.has(V6), "the kernel takes them away")


def test_vanishing_interface_takes_only_its_own_addresses(host: Host) -> None:
    host.ip("link", "add", "eth8", "type", "veth", "peer", "peer8")
    host.ip("link", "set", "eth8", "up")
    host.ip("link", "set", "peer8", "up")
    wait_until_sync(lambda: "LOWER_UP" in host.ip("link", "show", "eth8"), "the link is up")
    guardian = host.guardian()
    guardian.say(wire.Configure((VIPS[0], wire.Address("10.1.8.1", 32, "eth8")), fence="valid_lft"))
    guardian.hold(60, wire.Grant(V4, 1), wire.Grant("10.1.8.1", 1))
    host.ip("link", "del", "eth8")
    assert guardian.hear(wire.NotPlumbed).reason == "there is no interface eth8"
    guardian.hold(90)
    assert host.answers(V4)


def test_without_a_fence_it_says_so(host: Host) -> None:
    guardian = host.guardian()
    guardian.say(wire.Configure(VIPS, fence="none"))
    assert guardian.hear(wire.Ready).fence == "none"
    guardian.hold(60, wire.Grant(V4, 1))
    assert host.answers(V4)


def test_a_program_of_the_operators_plumbs(host: Host, folder: Path) -> None:
    program, said = folder / "plumb", folder / "said"
    folder.chmod(0o755)
    said.touch()
    said.chmod(0o666)
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {said}\ncase $1$2 in plumb{V6}) echo no quota >&2; exit 1;;\ncheck*) exit 1;;\nesac\n'
    )
    program.chmod(0o755)
    guardian = host.guardian("--exec", str(program))
    guardian.say(wire.Configure(VIPS, plumber="exec"))
    assert guardian.hear(wire.Ready).plumber == "exec"
    at = wire.boot_time() + 60
    guardian.say(wire.Deadline("s1", at), wire.Plumb((wire.Grant(V4, 3), wire.Grant(V6, 4)), "s1", at))
    assert guardian.hear(wire.Plumbed).address == V4
    assert guardian.hear(wire.NotPlumbed) == wire.NotPlumbed(V6, 4, "no quota")
    guardian.close()
    lines = [each for each in said.read_text().splitlines() if not each.startswith("check")]
    assert sorted(lines[:2]) == [f"plumb {V4} eth1 3", f"plumb {V6} eth1 4"]
    assert lines[2:] == [f"unplumb {V6} eth1 4", f"unplumb {V4} eth1 3"], "what failed may have done its work"
