"""Makes a real server refuse: the begin and the end of each kind of refusal."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.servers import Server
from tests.waiting import wait_until_sync

_ENDLESS = "while true do end"


def _config(server: Server, name: str, value: str) -> None:
    server.call("CONFIG", "SET", name, value)


@contextlib.contextmanager
def full(server: Server) -> Iterator[None]:
    """Its memory is full."""
    _config(server, "maxmemory", "1")
    yield
    _config(server, "maxmemory", "0")


@contextlib.contextmanager
def demoted(server: Server) -> Iterator[None]:
    """It is a replica of a missing master."""
    server.call("REPLICAOF", "127.0.0.1", "1")
    yield
    server.call("REPLICAOF", "NO", "ONE")


@contextlib.contextmanager
def masterless(server: Server) -> Iterator[None]:
    """It is a replica of a missing master, and serves no stale data."""
    _config(server, "replica-serve-stale-data", "no")
    with demoted(server):
        yield


@contextlib.contextmanager
def without_replicas(server: Server) -> Iterator[None]:
    """It wants a replica and has no replica."""
    _config(server, "min-replicas-to-write", "1")
    yield
    _config(server, "min-replicas-to-write", "0")


@contextlib.contextmanager
def unsaved(server: Server) -> Iterator[None]:
    """It cannot save its data."""
    (server.folder / "dump.rdb").mkdir()
    _config(server, "save", "900 1")
    server.call("SET", "unsaved", "1", "EX", "60")
    server.call("BGSAVE")
    wait_until_sync(lambda: _saving(server) == "err", "it has failed to save")
    yield
    _config(server, "save", "")
    (server.folder / "dump.rdb").rmdir()


@contextlib.contextmanager
def busy(server: Server) -> Iterator[None]:
    """A script does not end."""
    _config(server, "busy-reply-threshold", "20")
    with socket.create_connection(("127.0.0.1", server.port)) as asker:
        asker.sendall(b"*3\r\n$4\r\nEVAL\r\n$17\r\n" + _ENDLESS.encode() + b"\r\n$1\r\n0\r\n")
        wait_until_sync(lambda: _first_word(server) == b"-BUSY", "it is busy")
        yield
        server.call("SCRIPT", "KILL")
        asker.recv(100)


@contextlib.contextmanager
def forbidden(server: Server, *commands: str) -> Iterator[None]:
    """Its default user may not run `commands`."""
    server.call("ACL", "SETUSER", "default", *(f"-{each}" for each in commands or ("evalsha", "eval")))
    yield
    server.call("ACL", "SETUSER", "default", "+@all")


@contextlib.contextmanager
def locked(server: Server) -> Iterator[None]:
    """It demands a password that we do not have."""
    _config(server, "requirepass", "another")
    server.call("CLIENT", "KILL", "TYPE", "normal", password="another")
    yield
    server.call("CONFIG", "SET", "requirepass", "", password="another")


REFUSALS: dict[str, Callable[[Server], contextlib.AbstractContextManager[None]]] = {
    "OOM": full,
    "READONLY": demoted,
    "MASTERDOWN": masterless,
    "NOREPLICAS": without_replicas,
    "MISCONF": unsaved,
    "BUSY": busy,
    "NOPERM": forbidden,
    "NOAUTH": locked,
}
"""The refusals that one plain server can give, by their first words."""


def _saving(server: Server) -> str:
    return str(server.call("INFO", "persistence")["rdb_last_bgsave_status"])


def _first_word(server: Server) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port)) as probe:
        probe.sendall(b"GET x\r\n")
        return probe.recv(100).partition(b" ")[0]


@contextlib.contextmanager
def plain_server(folder: Path) -> Iterator[Server]:
    """A plain server that does not refuse yet."""
    server = Server(folder / "redis").start()
    try:
        yield server
    finally:
        server.stop()
