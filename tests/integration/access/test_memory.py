"""The memory and the environment of a daemon with a key are closed to other processes of its user."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eccmgr.access.keys import write_key_files
from tests.daemons import Processes
from tests.integration.test_signed import KEY

pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user"),
]
NOBODY = 65534
SPY = """
import ctypes, os, sys
pid = int(sys.argv[1])
os.setgroups([]), os.setgid(65534), os.setuid(65534)
def read(name):
    with open(f"/proc/{pid}/{name}", "rb") as file:
        file.seek(0)
        file.read(1)
def attach():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, pid, 0, 0) != 0:
        raise PermissionError(ctypes.get_errno(), "ptrace")
for name, look in {"environ": lambda: read("environ"), "mem": lambda: read("mem"), "maps": lambda: read("maps"),
                   "fd": lambda: os.listdir(f"/proc/{pid}/fd"), "ptrace": attach}.items():
    try:
        look()
        print(name, "seen")
    except OSError:
        print(name, "refused")
"""


@pytest.mark.parametrize("program", ["eccmgr", "ecnode"])
def test_user_of_a_daemon_sees_no_memory(processes: Processes, folder: Path, program: str) -> None:
    folder.chmod(0o777)
    (folder / "keys").mkdir()
    private, _ = write_key_files(folder / "keys", KEY)
    main = folder / "main.conf"
    main.write_text('Security { User = "nobody" }\n')
    daemon = processes.start(program, "east1", "-c", str(main), "--signing-key", str(private))
    status = Path(f"/proc/{daemon.popen.pid}/status").read_text()
    assert f"Uid:\t{NOBODY}\t{NOBODY}" in status
    done = subprocess.run(
        [sys.executable, "-c", SPY, str(daemon.popen.pid)], capture_output=True, text=True, timeout=60, check=False
    )
    seen = dict(line.split() for line in done.stdout.splitlines())
    assert seen == dict.fromkeys(("environ", "mem", "maps", "fd", "ptrace"), "refused"), done.stderr
