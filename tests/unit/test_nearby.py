"""The daemons of a host are found by the sockets on which they listen."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from eccmgr.control.nearby import Nearby, is_usual, nearby
from tests.waiting import wait_until_sync


def test_a_daemon_is_found_wherever_it_listens(folder: Path) -> None:
    program, path = folder / "ecnode", folder / "any where"
    program.write_text(
        "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen()\ninput()"
    )
    with subprocess.Popen([sys.executable, str(program), str(path)], stdin=subprocess.PIPE) as process:
        wait_until_sync(lambda: nearby(str(path).__eq__) == [Nearby("ecnode", str(path))], "the daemon is found")
        process.kill()
        process.wait()
    assert nearby(str(path).__eq__) == []


def test_sockets_of_other_programs_are_left_out(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as unheard:
        other.bind(str(folder / "other"))
        other.listen()
        unheard.bind(str(folder / "unheard"))
        assert nearby(lambda path: path.startswith(str(folder))) == []


@pytest.mark.parametrize(
    ("path", "usual"),
    [
        ("/tmp/2025", True),
        ("/run/eccmgr/node/east1", True),
        ("/tmp/ecnode-east1", True),
        ("/tmp/20255", False),
        ("/run/docker.sock", False),
        ("/home/neo/tmp/2025", False),
    ],
)
def test_only_where_daemons_usually_listen_is_tried(path: str, usual: bool) -> None:
    assert is_usual(path) is usual
