"""Sockets in folders where everybody may write: where daemons listen, and which servers a console trusts."""

import os
import pwd
import socket
import subprocess
import sys
import time
import unittest.mock
from collections.abc import Iterator
from pathlib import Path

import pytest

from eccmgr.control.client.session import Client
from eccmgr.control.endpoint import Endpoint, bind
from eccmgr.errors import ListenError, NoConnection, UntrustedServer
from tests.waiting import wait_until_sync

STRANGER = pwd.getpwnam("nobody")
LISTEN = """
import os, socket, sys
path, uid = sys.argv[1:]
os.setuid(int(uid))
with socket.socket(socket.AF_UNIX) as listening:
    listening.bind(path)
    listening.listen()
    sys.stdin.read()
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave root's links and be another user")


@pytest.fixture
def shared(folder: Path) -> Path:
    """A folder where everybody may write, as /tmp."""
    folder.chmod(0o755)
    made = folder / "shared"
    made.mkdir()
    made.chmod(0o1777)
    return made


@pytest.fixture
def place(shared: Path) -> Path:
    """The folder to which root's link `shared/2025` leads."""
    made = shared.parent / "run" / "2025"
    made.parent.mkdir(mode=0o755)
    (shared / "2025").symlink_to(made)
    return made


@pytest.fixture
def strangers(shared: Path) -> Iterator[Path]:
    """A socket in the shared folder on which another user listens."""
    command = [sys.executable, "-c", LISTEN, str(shared / "s"), str(STRANGER.pw_uid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        wait_until_sync(lambda: _answers(shared / "s"), "the stranger listens")
        yield shared / "s"
        process.kill()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def connect(path: Path, server_user: str = "eccmgr") -> None:
    """Connect and check the server, as a console does before it sends anything."""
    client = Client(Endpoint(path=str(path)), server_user)
    try:
        client._connected(time.monotonic() + 10)
    finally:
        client.close()


@as_root
def test_a_daemon_listens_where_roots_link_leads(shared: Path, place: Path) -> None:
    listening = bind(Endpoint(path=str(shared / "2025")))
    with listening.socket:
        assert place.is_socket()
        assert (shared / "2025").is_symlink()
        connect(shared / "2025")
        with pytest.raises(ListenError, match="2025 is in use by pid"):
            bind(Endpoint(path=str(shared / "2025")))
    listening.unlink()
    assert not place.exists()
    assert (shared / "2025").is_symlink()


@as_root
def test_a_daemon_says_who_is_at_its_place(strangers: Path) -> None:
    with pytest.raises(ListenError, match=r"/s is in use by pid \d+, run by nobody$"):
        bind(Endpoint(path=str(strangers)))


@as_root
def test_link_of_another_user_is_not_used(shared: Path, place: Path) -> None:
    os.chown(shared / "2025", STRANGER.pw_uid, -1, follow_symlinks=False)
    with pytest.raises(ListenError, match="is a symlink; remove it first"):
        bind(Endpoint(path=str(shared / "2025")))


@as_root
def test_a_link_to_where_others_write_is_refused(shared: Path, place: Path) -> None:
    place.parent.chmod(0o777)
    with pytest.raises(ListenError, match=r"it leads to .*/run/2025, and other users may write in .*/run$"):
        bind(Endpoint(path=str(shared / "2025")))


@as_root
def test_a_link_to_a_missing_folder_says_so(shared: Path, place: Path) -> None:
    place.parent.rmdir()
    with pytest.raises(ListenError, match=r"2025: it leads to .*/run/2025: No such file or directory$"):
        bind(Endpoint(path=str(shared / "2025")))


@as_root
def test_a_console_does_not_believe_a_strangers_socket(strangers: Path) -> None:
    with pytest.raises(NoConnection, match=r"served by nobody, not by root, eccmgr or you.*EC_CONSOLE_SERVER_USER=nob"):
        connect(strangers)


@as_root
def test_a_stranger_does_not_hear_from_consoles(strangers: Path) -> None:
    with pytest.raises(UntrustedServer), unittest.mock.patch.object(socket.socket, "connect") as connecting:
        connect(strangers)
    connecting.assert_not_called()


@as_root
def test_the_server_counts_not_the_files_owner(strangers: Path) -> None:
    os.chown(strangers, 0, 0)
    with pytest.raises(UntrustedServer, match="is served by nobody, not by root, eccmgr or you"):
        connect(strangers)


@as_root
def test_no_server_in_a_strangers_folder_is_believed(shared: Path, strangers: Path) -> None:
    own = shared.parent / "own"
    own.mkdir(mode=0o755)
    os.rename(strangers, own / "s")
    connect(own / "s")
    os.chown(own, STRANGER.pw_uid, -1)
    with pytest.raises(UntrustedServer, match="served by nobody"):
        connect(own / "s")


@as_root
def test_a_console_goes_over_no_strangers_link(shared: Path, place: Path) -> None:
    (shared / "run").symlink_to(place.parent)
    os.chown(shared / "run", STRANGER.pw_uid, -1, follow_symlinks=False)
    with bind(Endpoint(path=str(place))).socket, pytest.raises(NoConnection, match=r"/run is a link of nobody's$"):
        connect(shared / "run" / "2025")


@as_root
def test_user_without_a_name_is_told_by_number(strangers: Path) -> None:
    os.chown(strangers, 54321, -1)
    with pytest.raises(UntrustedServer, match=r"served by uid 54321, .* EC_CONSOLE_SERVER_USER=54321$"):
        connect(strangers)


@as_root
@pytest.mark.parametrize("user", ["nobody", str(STRANGER.pw_uid)])
def test_a_console_believes_the_user_it_is_told(strangers: Path, user: str) -> None:
    connect(strangers, user)


@as_root
def test_a_console_follows_no_link_of_a_stranger(shared: Path, place: Path) -> None:
    os.chown(shared / "2025", STRANGER.pw_uid, -1, follow_symlinks=False)
    with bind(Endpoint(path=str(place))).socket, pytest.raises(NoConnection, match=r"it is a link of nobody's$"):
        connect(shared / "2025")


@as_root
def test_a_console_follows_roots_link_to_any_server(shared: Path, place: Path, strangers: Path) -> None:
    # Root decides who may write in the folder to which its link leads.
    os.rename(strangers, place)
    connect(shared / "2025")


def test_a_console_believes_its_own_user_anywhere(shared: Path) -> None:
    with bind(Endpoint(path=str(shared / "own"))).socket:
        connect(shared / "own")
