"""The daemons of a host are found by the sockets on which they listen."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eccmgr.control.client.nearby import Nearby, is_usual, nearby
from eccmgr.control.endpoint import Endpoint
from tests.daemons import ROOT
from tests.waiting import wait_until_sync
from worker.isolation import isolated

PROGRAM = """
import os, socket, sys
if len(sys.argv) > 2:
    os.setuid(int(sys.argv[2]))
host, port = sys.argv[1].rsplit(":", 1) if ":" in sys.argv[1] else ("", "")
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET if host else socket.AF_UNIX)
s.bind((host, int(port)) if host else sys.argv[1])
s.listen()
print(s.getsockname()[1], flush=True)
while sys.argv[0].endswith("ecnode"):
    s.accept()[0].sendall(bytes((0, 1, 0, 0)))
sys.stdin.read()
"""


@contextlib.contextmanager
def running(folder: Path, endpoint: str, *user: str, name: str = "ecnode") -> Iterator[str]:
    """A program that listens at that path; returns its output about its port. Only one called `ecnode` answers."""
    (folder / name).write_text(PROGRAM)
    command = [sys.executable, str(folder / name), endpoint, *user]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def test_a_daemon_is_found_wherever_it_listens(folder: Path) -> None:
    path = str(folder / "any where")
    found = Nearby("ecnode", Endpoint(path=path))
    with running(folder, path):
        assert found in nearby(path.__eq__)
    assert found not in nearby(path.__eq__)


def test_node_without_rights_is_found_too(folder: Path) -> None:
    """It listens as a module of an isolated Python, which its parent has started."""
    path = str(folder / "n1")
    command = isolated("cli.ecnode", "--name", "n1", "--listen", path, "--redis", "redis://127.0.0.1:1/0")
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_sync(lambda: Nearby("ecnode", Endpoint(path=path)) in nearby(path.__eq__), "the node is found")
        finally:
            process.terminate()


def nowhere(path: str) -> bool:
    """Keep away from the sockets of other tests."""
    return False


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1"])
def test_a_daemon_on_tcp_is_found_too(folder: Path, host: str) -> None:
    with running(folder, f"{host}:0") as port:
        assert Nearby("ecnode", Endpoint(host=host, port=int(port))) in nearby(nowhere)


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@as_root
def test_strangers_daemon_on_tcp_is_left_out(folder: Path) -> None:
    folder.chmod(0o755)
    with running(folder, "127.0.0.1:0", "65534") as port:
        found = Nearby("ecnode", Endpoint(host="127.0.0.1", port=int(port)))
        assert found not in nearby(nowhere)
        assert found in nearby(nowhere, "nobody")


@as_root
def test_only_a_daemon_among_hidden_programs_is_found(folder: Path) -> None:
    """By another process of their user, which may not look at their descriptors."""
    folder.chmod(0o755)
    look = (
        "import os, pwd; from eccmgr.control.client.nearby import nearby\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "print(*(each.endpoint for each in nearby(lambda _: False)))"
    )
    # A process that changes its user is hidden from then on, until it runs another program.
    with (
        running(folder, "127.0.0.1:0", "65534") as port,
        running(folder, "127.0.0.1:0", "65534", name="silent") as silent,
        socket.socket() as other,
    ):
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
        assert f"127.0.0.1:{port}" in done.stdout.split()
        assert f"127.0.0.1:{other.getsockname()[1]}" not in done.stdout.split()
        assert f"127.0.0.1:{silent}" not in done.stdout.split()


def test_sockets_of_other_programs_are_left_out(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as unheard:
        other.bind(str(folder / "other"))
        other.listen()
        unheard.bind(str(folder / "unheard"))
        found = nearby(lambda path: path.startswith(str(folder)))
        assert not [each for each in found if each.endpoint.path]


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
