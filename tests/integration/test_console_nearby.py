"""A console without an address, on a host where no daemon listens at the well-known path."""

import os
import subprocess
import sys

import pytest

from tests.daemons import ROOT

HOST = 'mount -t tmpfs none /tmp && exec -a ecnode "$@"'
NODE = """
import socket, subprocess, sys
with socket.socket(socket.AF_UNIX) as listening:
    listening.bind("/tmp/ecnode-n1")
    listening.listen()
    sys.exit(subprocess.run([sys.argv[1], "-m", "cli.ec_console", "version"], check=False).returncode)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a /tmp of its own")
def test_search_finds_where_the_hosts_daemons_listen() -> None:
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", HOST, "bash", sys.executable, "-S", "-c", NODE, sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("EC")},
        timeout=60,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    first, second = done.stderr.splitlines()[:2]
    assert first == "ec_console: Cannot connect to /tmp/2025: No such file or directory"
    assert second == "On this host ecnode listens; try: ec_console /tmp/ecnode-n1"
