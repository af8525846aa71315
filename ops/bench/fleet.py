"""Processes for benchmarks: a server, a manager and nodes in a temporary folder, ended by their pids."""

import contextlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis

from eccmgr.redis.embedded import EmbeddedServer, end_with_parent

PROGRAMS = Path(sys.executable).parent


@dataclass
class Fleet:
    """The processes of one benchmark."""

    folder: Path
    server: EmbeddedServer
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a process whose output goes to a log in the folder."""
        with (self.folder / f"log-{len(self.running)}").open("wb") as log:
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent
            )
        self.running.append(process)
        return process

    def daemon(self, program: str, name: str, *flags: str) -> subprocess.Popen[bytes]:
        """Start a manager or a node that listens on `folder/NAME`."""
        program_here = f"from cli.{program} import main; main()"
        return self.spawn(
            *(sys.executable, "-c", program_here),
            *("--name", name, "--redis", self.server.url, "--listen", str(self.folder / name)),
            *flags,
        )

    def let_in(self, clients: int) -> None:
        """Raise the server's limit of clients to a little more than `clients`."""
        with redis.Redis(unix_socket_path=str(self.server.socket)) as server:
            server.config_set("maxclients", clients + 1000)

    def processor_s(self) -> float:
        """The processor time that the server and all processes have used, in seconds."""
        pids = (self.server.pid, *(process.pid for process in self.running))
        return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)

    def wait_ready(self, word: bytes = b"event=ready") -> None:
        """Wait until the log of every process has `word`."""
        for number, process in enumerate(self.running):
            while word not in (self.folder / f"log-{number}").read_bytes():
                if process.poll() is not None:
                    raise RuntimeError((self.folder / f"log-{number}").read_text()[-2000:])
                time.sleep(0.02)


@contextlib.contextmanager
def fleet() -> Iterator[Fleet]:
    """A fleet with its Redis server only."""
    folder = Path(tempfile.mkdtemp(prefix="ecc-bench-"))
    try:
        with EmbeddedServer(folder / "redis") as server:
            made = Fleet(folder, server)
            try:
                yield made
            finally:
                for process in made.running:
                    process.terminate()
                for process in made.running:
                    process.wait(60)
    finally:
        shutil.rmtree(folder)


class Client:
    """The simplest possible client of the control protocol."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rb")

    def ask(self, command: str) -> bytes:
        """Send one command and return its answer."""
        payload = command.encode()
        self._socket.sendall(struct.pack("!HH", 1, len(payload)) + payload)
        (kind,) = struct.unpack("!H", self._file.read(2))
        (length,) = struct.unpack("!H" if kind == 1 else "!I", self._file.read(2 if kind == 1 else 4))
        return self._file.read(length)

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()
