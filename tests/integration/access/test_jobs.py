"""A long command runs in the job worker only while the roles of its user allow it."""

import signal
from pathlib import Path

import pytest

from tests.daemons import OWN_USER, Processes, ask_sync
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left")
CONFIGURATION = """
Control_Listener {{ Enable_Authorization = true }}
Authorization {{ Role "{user}" {{ allow = ( "^exec:x hold$" {more} "^cluster jobs" ) }} }}
cluster {{ fence = none  plumber = memory }}
exec "x" {{ commands = [ hold = "{folder}/hold"  touch = "touch {folder}/touched" ]  long = ( hold touch ) }}
"""


def test_job_without_its_role_does_not_run(processes: Processes, folder: Path) -> None:
    hold = folder / "hold"
    hold.write_text(f"#!/bin/sh\nuntil [ -e {folder}/go ]; do sleep 0.05; done\n")
    hold.chmod(0o755)
    main = folder / "node.conf"
    main.write_text(CONFIGURATION.format(folder=folder, user=OWN_USER, more='"^exec:x touch$"'))
    node = processes.node("east1", "default", "-c", str(main))
    for line in ("exec:x hold", "exec:x touch"):
        assert "is queued" in ask_sync(node.endpoint, line)
    wait_until_sync(lambda: "running" in ask_sync(node.endpoint, "cluster jobs"), "the first job runs")
    main.write_text(CONFIGURATION.format(folder=folder, user=OWN_USER, more=""))
    node.popen.send_signal(signal.SIGHUP)
    wait_until_sync(lambda: ask_sync(node.endpoint, "exec:x touch") == "Not Authorized for this command", "a reload")
    (folder / "go").touch()
    wait_until_sync(lambda: "failed" in ask_sync(node.endpoint, "cluster jobs"), "the second job is refused")
    assert not (folder / "touched").exists()
