"""The shipped files in ops/ fit together; `make test-units` runs them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemons import ROOT

SYSTEMD = ROOT / "ops" / "systemd"


@pytest.mark.parametrize(("program", "file"), [("eccmgr", "eccluster.conf"), ("ecnode", "ecelerity-cluster.conf")])
def test_the_shipped_configurations_have_no_faults(folder: Path, program: str, file: str) -> None:
    # A copy belongs to whoever runs the tests: only then its locked options are taken.
    own = folder / file
    own.write_bytes((ROOT / "ops/etc" / file).read_bytes())
    start = f"from cli.{program} import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", start, "--check", "-c", str(own)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (f"{own}: no faults\n", "", 0)


def test_boot_and_unit_make_the_same_link() -> None:
    (at_boot,) = re.findall(r"^L.*$", (SYSTEMD / "eccmgr.tmpfiles").read_text(), re.MULTILINE)
    (at_start,) = re.findall(r'^ExecStartPre=.*"(L.*)"', (SYSTEMD / "eccmgr.service").read_text(), re.MULTILINE)
    assert at_boot == at_start == "L+ /tmp/2025 - - - - /run/eccmgr/manager/2025"
