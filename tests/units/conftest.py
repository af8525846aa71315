"""A booted machine with eccmgr, installed as docs/operations.md says."""

import os
import re
from collections.abc import Iterator

import pytest

from tests.daemons import ROOT
from tests.units.machine import Machine, made_root, missing, pip_settings

CLEAN = """
systemctl disable --now eccmgr ecnode
rm -rf /opt/eccmgr /etc/eccmgr /var/l*/eccmgr /etc/tmpfiles.d/* /etc/systemd/system/ec*
for user in neo mallory eccmgr; do userdel $user; done; groupdel eccmgr
true
"""


@pytest.fixture(scope="session")
def booted() -> Iterator[Machine]:
    """The machine with both services running. The user `neo` may use the console, `mallory` may not."""
    if why := missing():
        pytest.skip(why)
    with made_root() as root:
        machine = Machine(root)
        machine.boot()
        try:
            install(machine)
            yield machine
        finally:
            machine.shut_down()


def install(machine: Machine) -> None:
    """Run the commands of the documentation, word for word."""
    machine.run(CLEAN)
    page = (ROOT / "docs" / "operations.md").read_text()
    chapter = page.partition("\n## Under systemd\n")[2].partition("\n## ")[0]
    for block in re.findall(r"```sh\n(.*?)```", chapter, re.DOTALL)[:3]:
        settings = " ".join(f"{name}={value}" for name, value in pip_settings().items())
        machine.run(f"set -e; export {settings}; cd /opt/src\n{block}")
    machine.run("useradd --groups eccmgr neo; useradd mallory")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip these tests unless they are asked for: they take minutes."""
    if "UNITS" not in os.environ:
        for item in items:
            if "tests/units/" in item.nodeid:
                item.add_marker(pytest.mark.skip(reason="takes minutes: make test-units"))
