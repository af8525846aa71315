"""A guardian does for an agent that was taken over only what the charter permits."""

import os
from pathlib import Path

import pytest

from tests.integration.guardian.conftest import Guardian, Host
from worker.guardian import wire
from worker.guardian.charter import Charter, Grounds

CHARTER = Charter((Grounds("10.1.1.0/24", "eth1", 32),))
V4 = "10.1.1.1"
EVIL = """10.1.1.1 }; } }
table inet evil { chain c { type filter hook input priority 0; policy drop; } }
table netdev eccmgr_duravip { set h { type ipv4_addr; elements = { 10.1.1.2"""


def ended(guardian: Guardian) -> None:
    assert guardian.process.wait(10) == 0


def test_no_rule_comes_out_of_an_address(host: Host) -> None:
    guardian = host.guardian(charter=CHARTER)
    guardian.say(wire.Configure((wire.Address(EVIL, 32, "eth1"),)))
    ended(guardian)
    assert "evil" not in host.run("nft", "list", "ruleset")


@pytest.mark.parametrize(
    "address",
    [
        wire.Address("192.0.2.1", 32, "eth1"),
        wire.Address(V4, 32, "lo"),
        wire.Address(V4, 0, "eth1"),
        wire.Address(V4, 999, "eth1"),
    ],
    ids=str,
)
def test_an_address_outside_the_charter_is_refused(host: Host, address: wire.Address) -> None:
    guardian = host.guardian(charter=CHARTER)
    good = wire.Address("10.1.1.2", 32, "eth1")
    guardian.say(wire.Configure((address, good)))
    guardian.hold(9, wire.Grant(good.address, 1))
    guardian.say(wire.Plumb((wire.Grant(address.address, 1),), "s1", wire.boot_time() + 9))
    assert "in no Topology" in guardian.hear(wire.NotPlumbed).reason
    assert not host.has(address.address)
    assert host.has(good.address)


def test_a_deadline_far_away_ends_the_service(host: Host) -> None:
    guardian = host.guardian(charter=CHARTER)
    guardian.say(wire.Configure((wire.Address(V4, 32, "eth1"),)))
    guardian.hold(9, wire.Grant(V4, 1))
    guardian.say(wire.Deadline("s1", wire.boot_time() + 365 * 86400))
    ended(guardian)
    assert not host.has(V4)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files that others may not read")
def test_a_program_has_no_file_of_roots(host: Host, folder: Path) -> None:
    folder.chmod(0o755)
    secret, said, program = folder / "secret", folder / "said", folder / "program"
    secret.write_text("root's own")
    secret.chmod(0o600)
    said.touch()
    said.chmod(0o666)
    program.write_text(f"#!/bin/sh\n{{ id -u; env; pwd; cat {secret}; }} >> {said} 2>&1\n")
    program.chmod(0o755)
    os.environ["ROOTS_OWN"] = "secret"
    try:
        guardian = host.guardian("--exec", str(program), charter=CHARTER)
    finally:
        del os.environ["ROOTS_OWN"]
    guardian.say(wire.Configure((wire.Address(V4, 32, "eth1"),), plumber="exec"))
    guardian.hear(wire.Ready)
    guardian.close()
    text = said.read_text()
    assert "root's own" not in text
    assert "ROOTS_OWN" not in text
    assert not text.startswith("0\n")
