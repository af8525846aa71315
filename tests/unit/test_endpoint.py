"""Endpoints: their spelling, and listening on one without taking another program's socket or file."""

import fcntl
import os
import socket
import stat
from pathlib import Path

import pytest

from eccmgr.control import endpoint as endpoints
from eccmgr.control.endpoint import Endpoint, bind
from eccmgr.errors import ListenError, SettingsError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("/tmp/2025", Endpoint(path="/tmp/2025")),
        ("/tmp/a b:1", Endpoint(path="/tmp/a b:1")),
        ("127.0.0.1:2025", Endpoint(host="127.0.0.1", port=2025)),
        ("localhost:0", Endpoint(host="localhost", port=0)),
        ("[::1]:2025", Endpoint(host="::1", port=2025)),
        ("[fe80::1%eth0]:65535", Endpoint(host="fe80::1%eth0", port=65535)),
    ],
)
def test_an_endpoint_is_a_path_or_an_address(text: str, endpoint: Endpoint) -> None:
    assert Endpoint.parse(text) == endpoint
    assert str(endpoint) == text


def test_a_relative_path_is_made_absolute() -> None:
    assert Endpoint.parse("./s").path == str(Path.cwd() / "s")
    assert Endpoint.parse("../s").path == str(Path.cwd() / "../s")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nowhere",
        "host:",
        ":1",
        "host:65536",
        "host:123456",
        "::1:5",
        "[::1]",
        "a b:1",
        "host:1\n",
        "/a\0b",
        "h:-1",
        "[1.2.3.4]:5",
        "[h]:5",
        "[::1:5",
        "h\0:1",
        "[::1]x:5",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is not /PATH, HOST:PORT or "):
        Endpoint.parse(text)


def test_path_too_long_for_a_socket_is_refused() -> None:
    assert Endpoint.parse("/" + "x" * 106).path is not None
    with pytest.raises(SettingsError, match="at most 107 bytes"):
        Endpoint.parse("/" + "é" * 54)


def test_socket_is_for_owner_and_group_despite_umask(folder: Path) -> None:
    path = folder / "s"
    for umask in (0o000, 0o077):
        before = os.umask(umask)
        try:
            listening = bind(Endpoint(path=str(path)))
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        listening.unlink()
        listening.socket.close()


def test_a_stale_socket_is_replaced(folder: Path) -> None:
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listening = bind(Endpoint(path=str(path)))
    with listening.socket, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_live_socket_is_refused_with_its_owner(folder: Path) -> None:
    endpoint = Endpoint(path=str(folder / "s"))
    with bind(endpoint).socket, pytest.raises(ListenError, match=f"is in use by pid {os.getpid()}$"):
        bind(endpoint)
    assert (folder / "s").is_socket()


def test_live_socket_with_full_queue_is_refused(folder: Path) -> None:
    path = str(folder / "s")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)
        with pytest.raises(ListenError, match="is in use"):
            bind(Endpoint(path=path))


def test_a_symlink_is_refused_even_to_a_socket(folder: Path) -> None:
    (folder / "s").symlink_to(folder / "target")
    with pytest.raises(ListenError, match="is a symlink; remove it first"):
        bind(Endpoint(path=str(folder / "s")))
    assert (folder / "s").is_symlink()


def test_a_file_is_refused_and_left_alone(folder: Path) -> None:
    (folder / "s").write_text("precious")
    with pytest.raises(ListenError, match="is not a socket; remove it first"):
        bind(Endpoint(path=str(folder / "s")))
    assert (folder / "s").read_text() == "precious"


def test_a_folder_is_refused(folder: Path) -> None:
    with pytest.raises(ListenError, match="is not a socket"):
        bind(Endpoint(path=str(folder)))


def test_missing_folder_is_a_clear_error(folder: Path) -> None:
    with pytest.raises(ListenError, match=r"^Cannot listen on .*/no/s: No such file or directory$"):
        bind(Endpoint(path=str(folder / "no" / "s")))


def test_socket_of_another_is_not_removed(folder: Path) -> None:
    path = folder / "s"
    listening = bind(Endpoint(path=str(path)))
    path.unlink()
    with listening.socket, socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        listening.unlink()
        assert path.is_socket()


def test_mode_follows_the_socket_wherever_it_is(folder: Path) -> None:
    listening = bind(Endpoint(path=str(folder / "s")))
    (folder / "s").rename(folder / "moved")
    (folder / "victim").write_text("secret")
    (folder / "victim").chmod(0o600)
    (folder / "s").symlink_to(folder / "victim")
    with listening.socket:
        assert listening.file is not None
        listening.file.set_mode(0o666)
        assert stat.S_IMODE((folder / "victim").stat().st_mode) == 0o600
        assert stat.S_IMODE((folder / "moved").stat().st_mode) == 0o666
        listening.unlink()
        assert (folder / "s").is_symlink()


@as_root
@pytest.mark.parametrize("kind", ["link", "hard link", "file"])
def test_file_in_the_sockets_place_keeps_its_mode(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The folder's owner puts a file there as quickly as possible: between the bind and the change of the mode."""
    os.chown(folder, 65534, 65534)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(folder / "victim"))
    (folder / "victim").chmod(0o600)
    listen = socket.socket.listen

    def replaced(self: socket.socket, backlog: int) -> None:
        listen(self, backlog)
        (folder / "s").unlink()
        if kind == "link":
            (folder / "s").symlink_to(folder / "victim")
        elif kind == "hard link":
            os.link(folder / "victim", folder / "s")
        else:
            (folder / "s").touch(0o600)

    monkeypatch.setattr(socket.socket, "listen", replaced)
    with pytest.raises(ListenError, match="somebody has put another file in the place of our socket"):
        bind(Endpoint(path=str(folder / "s")))
    assert stat.S_IMODE((folder / "victim").stat().st_mode) == 0o600


@as_root
def test_a_socket_is_bound_over_no_strangers_link(folder: Path) -> None:
    (folder / "run").mkdir()
    (folder / "link").symlink_to("run")
    bind(Endpoint(path=str(folder / "link" / "s"))).close()
    os.chown(folder / "link", 65534, 65534, follow_symlinks=False)
    with pytest.raises(ListenError, match=r"/link is a link of nobody's$"):
        bind(Endpoint(path=str(folder / "link" / "s")))
    assert not list((folder / "run").iterdir())


@as_root
@pytest.mark.parametrize(
    ("mode", "said"), [(0o666, "left a socket there; remove it first"), (0o600, "has a socket there")]
)
def test_strangers_socket_is_named_as_his(folder: Path, mode: int, said: str) -> None:
    folder.chmod(0o1777)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "s"))
    (folder / "s").chmod(mode)
    os.seteuid(65534)
    try:
        with pytest.raises(ListenError, match=f": root {said}"):
            bind(Endpoint(path=str(folder / "s")))
    finally:
        os.seteuid(0)


def test_removing_a_missing_socket_is_no_fault(folder: Path) -> None:
    listening = bind(Endpoint(path=str(folder / "s")))
    with listening.socket:
        listening.unlink()
        listening.unlink()
    assert not (folder / "s").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_tcp_listener_takes_a_free_port(host: str) -> None:
    listening = bind(Endpoint(host=host, port=0))
    with listening.socket:
        assert listening.endpoint.host == host
        assert listening.endpoint.port == listening.socket.getsockname()[1] > 0


def test_a_tcp_port_that_is_taken_is_refused() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match=f"^Cannot listen on 127.0.0.1:{port}: Address already in use$"):
            bind(Endpoint(host="127.0.0.1", port=port))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1"])
def test_beyond_loopback_nobody_listens_without_authentication(host: str) -> None:
    with pytest.raises(ListenError, match="only loopback addresses are allowed"):
        bind(Endpoint(host=host, port=0))


def test_mapped_loopback_address_is_the_loopback() -> None:
    bind(Endpoint(host="::ffff:127.0.0.1", port=0)).socket.close()


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
def test_invalid_host_is_a_clear_error(host: str) -> None:
    with pytest.raises(ListenError, match=f"^Cannot listen on {host}:1: "):
        bind(Endpoint(host=host, port=1))


def test_locked_folder_does_not_stop_a_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "_LOCK_WAIT_S", 0.01)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        listening = bind(Endpoint.parse(str(folder / "socket")))
        listening.socket.close()
    finally:
        os.close(handle)
