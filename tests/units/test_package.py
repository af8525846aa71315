"""The package for Debian on a booted machine: installed, run, upgraded, removed and purged."""

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.daemons import ROOT
from tests.units.conftest import CLEAN, install
from tests.units.machine import Machine
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.timeout(900)

TRACES = (
    "find / -xdev \\( -iname '*eccmgr*' -o -path '/tmp/2025' \\) -not -path '/opt/*' -not -path '/var/log/journal/*'"
)
ACCOUNTS = "cat /etc/passwd /etc/group"


@pytest.fixture(scope="module")
def bare(booted: Machine) -> Iterator[Machine]:
    """A machine with the package beside it, and nothing of eccmgr installed."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("not installed here: dpkg-deb")
    subprocess.run([str(ROOT / "ops/debian/build")], check=True, capture_output=True)
    (package,) = (ROOT / "dist").glob("*.deb")
    booted.run(CLEAN)
    booted.run("rm -rf /run/eccmgr* /tmp/2025; mkdir -p /opt/deb")
    shutil.copy(package, booted.root / "opt" / "deb" / "eccmgr.deb")
    yield booted
    booted.run("dpkg --purge eccmgr; true")
    install(booted)


ROTATION = """
set -e
(for n in $(seq 25); do ec_console broadcast pid; done) >/root/sent &
for n in 1 2; do
  logrotate --force /etc/logrotate.d/eccmgr
  for look in $(seq 100); do test -s $LOGS/mainlog && break; sleep 0.1; done
done
wait
"""
LOGS = "/var/log/eccmgr/manager"


def check_rotation(machine: Machine) -> None:
    """Check that a manager which writes while its log is rotated twice loses no line of it."""
    machine.run(ROTATION.replace("$LOGS", LOGS))
    sent = re.findall(r"^Broadcast (\S+)", machine.run("cat /root/sent; rm /root/sent"), re.MULTILINE)
    assert len(sent) == 25

    def are_told() -> bool:
        told = machine.run(f"zcat -f {LOGS}/mainlog* | grep 'command sent'")
        return all(told.count(f"id={ident} ") == 1 for ident in sent)

    wait_until_sync(are_told, "the files tell of each command once")
    assert machine.run(f"ls {LOGS}").split()[:3] == ["mainlog", "mainlog.1", "mainlog.2.gz"]


def test_package_runs_from_installation_until_purge(bare: Machine) -> None:
    traces, accounts = bare.run(TRACES), bare.run(ACCOUNTS)
    bare.run("dpkg -i /opt/deb/eccmgr.deb")
    assert bare.try_to_run("systemctl is-active eccmgr ecnode").stdout == "inactive\ninactive\n"
    bare.run("systemctl enable --now eccmgr ecnode")
    wait_until_sync(lambda: "1 node, 1 manager" in bare.try_to_run("/usr/bin/ec_console info").stdout, "both joined")
    assert "1 of 1 answered" in bare.run("/usr/bin/ec_console gather version")
    assert bare.run("stat -c %U:%G:%a /etc/eccmgr/eccmgr.env /run/eccmgr-guardian") == "root:root:600\nroot:root:700"
    before = bare.run("systemctl show --value -p MainPID eccmgr ecnode")
    check_rotation(bare)
    bare.run("echo '# mine' >>/etc/eccmgr/eccluster.conf; dpkg --force-confold -i /opt/deb/eccmgr.deb")
    assert bare.run("systemctl is-active eccmgr ecnode") == "active\nactive"
    assert bare.run("systemctl show --value -p MainPID eccmgr ecnode") != before
    assert "# mine" in bare.run("cat /etc/eccmgr/eccluster.conf")
    bare.run("dpkg --remove eccmgr")
    assert bare.try_to_run("systemctl is-active eccmgr ecnode").stdout == "inactive\ninactive\n"
    assert bare.try_to_run("test -e /opt/eccmgr").returncode != 0
    assert "# mine" in bare.run("cat /etc/eccmgr/eccluster.conf")
    bare.run("dpkg --purge eccmgr")
    assert bare.run(TRACES) == traces
    assert bare.run(ACCOUNTS) == accounts
