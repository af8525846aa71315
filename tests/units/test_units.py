"""The units of ops/systemd on a booted machine, with the shipped configuration."""

import re
from collections.abc import Iterator

import pytest

from tests.daemons import ROOT
from tests.units.machine import Machine
from tests.units.test_supervision import FILES, check_faulty_reload
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.timeout(900)

VIPS = """
Security { User = \\"eccmgr\\" }
cluster { Topology \\"10.1.1.0/24\\" { interface = \\"eth1\\" } }
Binding \\"duravip-1\\" { Enable_Duravip = true  Bind_Address = \\"10.1.1.1\\" }
"""
SERVICES = ("manager", "node")
NODE_FILE = "/etc/eccmgr/ecelerity-cluster.conf"
DROP_IN = "/etc/systemd/system/ecnode.service.d/duravip.conf"
SQUATTER = """
import os, socket, time
s = socket.socket(socket.AF_UNIX)
s.bind("/tmp/2025")
s.listen()
os.chmod("/tmp/2025", 0o777)
time.sleep(600)
"""


@pytest.fixture
def machine(booted: Machine) -> Machine:
    """Manager and node run, and /tmp/2025 is in its place."""
    booted.run("systemctl reset-failed; systemctl restart eccmgr ecnode")
    return booted


@pytest.fixture
def with_vip(machine: Machine) -> Iterator[Machine]:
    """A node that a drop-in for its unit lets carry 10.1.1.1 on eth1."""
    machine.run(
        "ip link show eth1 || ip link add eth1 type veth peer name eth1p; ip link set eth1 up; ip link set eth1p up"
    )
    machine.run(f"cp -a {NODE_FILE} /root/kept")
    machine.run(f'echo "{VIPS}" >> {NODE_FILE}')
    machine.run(f"install -D -m 644 /opt/src/ops/systemd/ecnode-duravip.conf {DROP_IN}; systemctl daemon-reload")
    machine.run("systemctl restart ecnode")
    yield machine
    machine.run(f"rm {DROP_IN}; cp -a /root/kept {NODE_FILE}; systemctl daemon-reload")


def node_endpoint(machine: Machine) -> str:
    return f"/run/eccmgr/node/{machine.run('hostname').partition('.')[0]}"


def test_the_units_run_with_the_configuration_as_shipped(machine: Machine) -> None:
    assert machine.run("systemctl is-active eccmgr ecnode") == "active\nactive"
    for user in ("root", "neo"):
        assert "Members: 1 node, 1 manager" in machine.run("ec_console info", user)
        assert "1 of 1 answered" in machine.run("ec_console gather pid", user)
        assert "ecnode version" in machine.run(f"ec_console {node_endpoint(machine)} version", user)
    assert machine.run("readlink /tmp/2025") == "/run/eccmgr/manager/2025"
    assert machine.run("eccmgr_ctl health").endswith(": answers")


def test_what_a_console_changes_is_written_back(machine: Machine) -> None:
    machine.run("ec_console config set Control_Listener Timeout 31")
    assert "Wrote 1 change to /var/lib/eccmgr/manager/local-changes.conf" in machine.run("ec_console config writeback")
    machine.run("systemctl restart eccmgr")
    assert machine.run("ec_console config eval Control_Listener Timeout").startswith("Timeout = 31")
    machine.run("rm /var/lib/eccmgr/manager/local-changes.conf")


@pytest.mark.parametrize("kind", ["mkdir -p /tmp/2025/a", "ln -s /run/eccmgr/node/x /tmp/2025", "touch /tmp/2025"])
def test_whatever_stands_at_the_place_is_taken_away(machine: Machine, kind: str) -> None:
    machine.run("systemctl stop eccmgr; rm /tmp/2025")
    machine.run(kind, "mallory")
    machine.run("systemctl start eccmgr")
    assert "eccmgr version" in machine.run("ec_console version", "neo")


@pytest.mark.parametrize("state", ["start", "stop"])
def test_nobody_takes_the_place_of_the_manager(machine: Machine, state: str) -> None:
    machine.run(f"systemctl {state} eccmgr")
    for attempt in ("rm -f /tmp/2025", "mv /tmp/2025 /tmp/mine", "ln -sfn /home /tmp/2025"):
        assert machine.try_to_run(attempt, "mallory").returncode != 0
    assert machine.run("readlink /tmp/2025") == "/run/eccmgr/manager/2025"


def test_a_console_does_not_believe_a_squatter(machine: Machine) -> None:
    machine.run("systemctl stop eccmgr; rm /tmp/2025")
    machine.run(f"echo '{SQUATTER}' > /home/squatter.py")
    machine.run("systemd-run --unit=squatter --uid=mallory python3 /home/squatter.py")
    wait_until_sync(lambda: machine.try_to_run("test -S /tmp/2025").returncode == 0, "mallory listens")
    for user in ("root", "neo"):
        done = machine.try_to_run("ec_console version", user)
        assert done.returncode == 4
        assert "Not connected to /tmp/2025: it is served by mallory, not by root, eccmgr or you" in done.stderr
    machine.run("systemctl start eccmgr")
    assert "eccmgr version" in machine.run("ec_console version")
    machine.run("systemctl stop squatter")


def test_console_without_manager_says_where_the_node_is(machine: Machine) -> None:
    machine.run("systemctl stop eccmgr")
    done = machine.try_to_run("ec_console version", "neo")
    assert done.returncode == 4
    assert f"On this host ecnode listens; try: ec_console {node_endpoint(machine)}" in done.stderr


def test_the_place_is_taken_at_boot(booted: Machine) -> None:
    booted.run("systemctl disable eccmgr")
    booted.shut_down()
    booted.boot()
    assert booted.run("readlink /tmp/2025") == "/run/eccmgr/manager/2025"
    booted.run("systemctl enable --now eccmgr")
    assert "eccmgr version" in booted.run("ec_console version", "neo")


def test_a_reload_reaches_daemons_without_and_with_rights(with_vip: Machine) -> None:
    for unit in ("eccmgr", "ecnode"):
        with_vip.run(f"journalctl --rotate --vacuum-time=1s; systemctl reload {unit}")
        said = f"journalctl --unit {unit} --output cat"
        wait_until_sync(lambda said=said: "configuration reloaded" in with_vip.run(said), "it has read its files again")


def test_the_password_of_redis_comes_from_a_file(machine: Machine) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    block = page.partition("**A password for Redis**")[2].partition("```sh\n")[2].partition("```")[0]
    machine.run("umask 377; echo S3cr3t > /etc/eccmgr/redis-password; redis-cli config set requirepass S3cr3t")
    machine.run(f"set -e; cd /opt/src\n{block}")
    wait_until_sync(
        lambda: "1 manager" in machine.try_to_run("ec_console info", "neo").stdout, "the manager is a member"
    )
    assert "1 of 1 answered" in machine.run("ec_console gather pid", "neo")
    machine.run("systemctl reload eccmgr ecnode")
    assert "S3cr3t" not in machine.run(
        "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'; journalctl -u ec\\*"
    )
    machine.run("rm /etc/systemd/system/ec*.service.d/redis-password.conf; systemctl daemon-reload")
    machine.run("redis-cli -a S3cr3t config set requirepass ''; rm /etc/eccmgr/redis-password")


def test_long_command_runs_in_a_node_under_systemd(machine: Machine) -> None:
    option = 'exec "units" { commands = [ wait = "/bin/sleep 0.1" ]  long = ( wait ) }'
    machine.run(f"cp -a {NODE_FILE} /root/kept; echo '{option}' >> {NODE_FILE}; systemctl restart ecnode")
    machine.run("ec_console broadcast exec:units wait")
    answered = "ec_console retrieve exec:units wait"
    wait_until_sync(lambda: "1 of 1 answered" in machine.try_to_run(answered).stdout, "the job has ended")
    assert "failed" not in machine.run(answered)
    machine.run(f"cp -a /root/kept {NODE_FILE}")


def test_each_service_keeps_its_own_folders(with_vip: Machine) -> None:
    before = folders(with_vip)
    places = [f"{each}/eccmgr/{service}" for each in ("/run", "/var/log", "/var/lib") for service in SERVICES]
    assert before == [f"{place} eccmgr:eccmgr" for place in places]
    for service in ("ecnode", "eccmgr", "ecnode"):
        with_vip.run(f"systemctl restart {service}")
        assert folders(with_vip) == before
    assert with_vip.run("stat -c '%n %U:%G %a' /run/eccmgr") == "/run/eccmgr root:root 755"


def folders(machine: Machine) -> list[str]:
    return machine.run("stat -c '%n %U:%G' /run/eccmgr/* /var/log/eccmgr/* /var/lib/eccmgr/*").splitlines()


def test_a_node_carries_an_address_behind_its_fence(with_vip: Machine) -> None:
    endpoint = node_endpoint(with_vip)
    wait_until_sync(lambda: "10.1.1.1/32" in with_vip.run("ip -br address show eth1"), "the address is there")
    assert "DuraVIP: 1 VIP, fence nftables, plumber netlink" in with_vip.run(f"ec_console {endpoint} cluster info")
    assert with_vip.run("stat -c '%U:%G %a' /run/eccmgr-guardian") == "root:root 700"
    with_vip.run("systemctl stop ecnode")
    assert "10.1.1.1" not in with_vip.run("ip -br address show eth1")


def test_the_key_ceremony_secures_a_cluster(machine: Machine) -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    ceremony = page[page.index("### The key ceremony") : page.index("### Roles")]
    name = machine.run("hostname").partition(".")[0]
    machine.run("rm -rf /root/keys; cp -a /etc/eccmgr /root/kept-configuration")
    try:
        for block in re.findall(r"```sh\n(.*?)```", ceremony, re.DOTALL):
            mine = block.replace("east1", name)
            machine.run(f"set -e; mkdir -p /root/ceremony; cd /root/ceremony; ln -sfn /opt/src/ops ops; {mine}")
        info = machine.run("ec_console info")
        for said in ("Signing key: manager1, ", "Node authorities: authority, ", "Register of nodes: 1 node"):
            assert said in info
        assert "Unknown" not in info
        assert f"{name}: " in machine.run("ec_console gather pid")
        assert "not authentic" not in machine.run("ec_console gather pid")
        machine.run("systemctl reload eccmgr ecnode")
        assert "Trusted managers: manager1, " in machine.run("ec_console gather cluster info")
        for unit, file in FILES.items():
            check_faulty_reload(machine, unit, file)
        unsigned = machine.try_to_run(
            "systemctl stop eccmgr; rm -r /etc/systemd/system/eccmgr.service.d; "
            "sed -i /node_authorities/d /etc/eccmgr/eccluster.conf; systemctl daemon-reload; "
            "systemctl start eccmgr; ec_console gather --timeout 2 pid"
        )
        assert f"{name}: refused: not authentic: it is not signed" in unsigned.stdout
    finally:
        machine.run(
            "rm -rf /etc/eccmgr /root/ceremony /etc/systemd/system/ec*.service.d; "
            "mv /root/kept-configuration /etc/eccmgr; systemctl daemon-reload"
        )
