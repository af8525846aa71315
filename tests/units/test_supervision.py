"""What systemd does for the services: it watches them, reloads them, keeps their log by priority, and confines them."""

import re
from collections.abc import Iterator

import pytest

from tests.units.machine import Machine
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.timeout(900)

UNITS = ("eccmgr", "ecnode")
FILES = {"eccmgr": "/etc/eccmgr/eccluster.conf", "ecnode": "/etc/eccmgr/ecelerity-cluster.conf"}
HIGHEST_EXPOSURE = 3.0


@pytest.fixture
def machine(booted: Machine) -> Iterator[Machine]:
    booted.run("systemctl reset-failed; systemctl restart eccmgr ecnode")
    yield booted
    booted.run("rm -f /run/systemd/system/ec*.service.d/watch.conf; systemctl daemon-reload")


def check_faulty_reload(machine: Machine, unit: str, file: str) -> None:
    """Check that a reload with a fault in `file` fails, names it in the journal, and leaves the daemon as it is."""
    machine.run(f"cp -a {file} /root/kept-file; echo 'cluster {{' >>{file}")
    try:
        pid = machine.run(f"systemctl show --value -p MainPID {unit}")
        machine.run("journalctl --rotate --vacuum-time=1s")
        assert machine.try_to_run(f"systemctl reload {unit}").returncode != 0
        assert f"{file}:" in machine.run(f"journalctl --unit {unit} --priority err --output cat")
        assert machine.run(f"systemctl show --value -p MainPID {unit}") == pid
    finally:
        machine.run(f"cp -a /root/kept-file {file}")
    machine.run(f"systemctl reload {unit}")


@pytest.mark.parametrize("unit", UNITS)
def test_reload_of_a_faulty_file_fails_loudly(machine: Machine, unit: str) -> None:
    check_faulty_reload(machine, unit, FILES[unit])


def test_the_journal_tells_warnings_from_the_rest(machine: Machine) -> None:
    # Redis goes away and comes back, of which each daemon warns.
    machine.run("systemctl stop redis-server")
    warnings = "journalctl --unit eccmgr --unit ecnode --priority warning --output cat --grep program="
    wait_until_sync(lambda: "level=warning" in machine.try_to_run(warnings).stdout, "a warning is there", timeout_s=60)
    machine.run("systemctl start redis-server")
    levels = set(re.findall(r"level=(\w+) program", machine.run(warnings)))
    assert levels <= {"warning", "error"}
    everything = machine.run("journalctl --unit eccmgr --output cat --grep program=")
    assert "level=info program" in everything
    assert not re.search(r"^<\d>", everything, re.MULTILINE)


@pytest.mark.parametrize("unit", UNITS)
def test_a_hung_daemon_is_started_again(machine: Machine, unit: str) -> None:
    place = f"/run/systemd/system/{unit}.service.d"
    machine.run(f"mkdir -p {place}; printf '[Service]\\nWatchdogSec=4\\n' >{place}/watch.conf; systemctl daemon-reload")
    machine.run(f"systemctl restart {unit}")
    show = f"systemctl show --value -p MainPID {unit}"
    pid = machine.run(show)
    machine.run(f"kill -STOP {pid}")
    wait_until_sync(
        lambda: (
            machine.run(show) not in (pid, "0") and machine.try_to_run(f"systemctl is-active {unit}").returncode == 0
        ),
        "another process runs",
        timeout_s=90,
    )
    assert "atchdog timeout" in machine.run(f"journalctl --unit {unit}")


@pytest.mark.parametrize("unit", UNITS)
def test_a_service_is_confined(machine: Machine, unit: str) -> None:
    said = machine.run(f"systemd-analyze security --no-pager {unit}.service | tail -1")
    exposure = re.search(r"(\d+\.\d+) ", said)
    assert exposure is not None
    assert float(exposure[1]) <= HIGHEST_EXPOSURE
