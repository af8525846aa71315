"""Ours: ecnode on every host, Redis on a host of its own with a manager beside it."""

import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import redis

from eccmgr.redis.embedded import find_server
from tests.daemons import ask_sync
from tests.fault.lab.hosts import Lab, Namespace
from tests.waiting import wait_until_sync

SERVER = "redis"
"""The host of Redis and of the manager."""
_CLUSTER = "lab"
_TITLE = ":6379"
"""In what the server calls itself."""
_FAKETIME = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
)
_PARTS = {
    "all": ("cli.ecnode", "worker.guardian"),
    "agent": ("cli.ecnode", "worker.guardian.agent"),
    "guardian": ("worker.guardian",),
    "agent and guardian": ("cli.ecnode", "worker.guardian"),
}
"""Words in the command lines of the processes of each part."""
_CONFIGURATION = """
cluster {{
  heartbeats_per_sec = {heartbeats_per_sec}
  session_lease = {session_lease}
  max_step = {max_step}
  view_mature_time = 2
  view_balance_interval = 1
  Topology "10.77.1.0/24" {{ interface = "eth0"  cidrmask = "32" }}
  Topology "fd77::1:0/112" {{ interface = "eth0"  cidrmask = "128" }}
}}
"""
_BINDING = """
Binding "vip-{number}" {{ Enable_Duravip = true  Bind_Address = "{address}" }}
"""


@dataclass(frozen=True)
class Profile:
    """The times of a cluster, in seconds, and what follows from them."""

    name: str
    heartbeats_per_sec: float
    session_lease: float
    max_step: float
    deadline_s: float
    """A holder's deadline from before its renewal was sent."""
    takeover_s: float
    """How long a challenger watches."""

    @property
    def heartbeat_s(self) -> float:
        """Between two."""
        return 1 / self.heartbeats_per_sec


USUAL = Profile("heartbeat 0.5 s", 2, 2.5, 0.6, 1.5, 1.84)
FAST = Profile("heartbeat 0.1 s", 10, 0.6, 0.12, 0.36, 0.48)
PROFILES = {"usual": USUAL, "fast": FAST}


class LabRedis:
    """Redis on its host, whose wall clock can be stepped where libfaketime is."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.folder = lab.folder / "redis"
        self.folder.mkdir()
        self._offset = self.folder / "offset"
        self._offset.write_text("+0\n")
        self.url = f"redis://{lab.address(SERVER)}:6379/0"
        self.socket = self.folder / "redis.sock"
        self._faketime = next((path for path in _FAKETIME if Path(path).exists()), None)

    @property
    def host(self) -> Namespace:
        """Where it runs."""
        return self._lab.hosts[SERVER]

    def start(self) -> None:
        """Start it with the data that it saved, if any, and wait until it answers."""
        options = ("--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no", "--unixsocket", str(self.socket))
        kept = ("--dir", str(self.folder), "--save", "", "--maxmemory-policy", "noeviction")
        clock = {}
        if self._faketime is not None:
            clock = {
                "LD_PRELOAD": self._faketime,
                "FAKETIME_TIMESTAMP_FILE": str(self._offset),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        self.host.start(str(find_server()), *options, *kept, log=self._lab.folder / "redis.log", more=clock)
        wait_until_sync(self._answers, "Redis answers")

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError, OSError), self.client() as client:
            return bool(client.ping())
        return False

    def client(self) -> redis.Redis:
        """A connection past all partitions: by its socket."""
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=5, decode_responses=True)

    def save(self) -> None:
        """What it knows now is what it knows after it was killed and started."""
        with self.client() as client:
            client.save()

    def forget(self) -> None:
        """It starts empty."""
        (self.folder / "dump.rdb").unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill it (-9) and wait for its end."""
        self.host.kill(_TITLE)

    def signal(self, number: signal.Signals) -> None:
        """Stop it, or let it go on."""
        self.host.signal(number, self.host.pids(_TITLE))

    def step_clock(self, offset_s: float) -> None:
        """Its wall clock is `offset_s` ahead of the machine's from now on. Raises RuntimeError without libfaketime."""
        if self._faketime is None:
            raise RuntimeError("libfaketime is not installed")
        # Renamed into place: it is read while it is written.
        beside = self._offset.with_suffix(".new")
        beside.write_text(f"{offset_s:+f}\n")
        os.replace(beside, self._offset)


class Nodes:
    """ecnode on each of `nodes`, which all may carry each of `vips`."""

    def __init__(self, lab: Lab, nodes: tuple[str, ...], profile: Profile, vips: tuple[str, ...]) -> None:
        self.name = f"eccmgr, {profile.name}"
        self.nodes, self.vips, self.profile = nodes, vips, profile
        self.redis = LabRedis(lab)
        self._lab = lab
        self._configuration = lab.folder / "node.conf"
        bindings = (_BINDING.format(number=number, address=vip) for number, vip in enumerate(vips, 1))
        self._configuration.write_text(_CONFIGURATION.format(**vars(profile)) + "".join(bindings))
        self._manager_configuration = lab.folder / "manager.conf"
        self._manager_configuration.write_text(_CONFIGURATION.format(**vars(profile)))

    def start(self) -> None:
        """Redis, the manager, the nodes."""
        self.redis.start()
        self._begin(SERVER, "eccmgr", self._manager_configuration)
        for node in self.nodes:
            self._begin(node, "ecnode", self._configuration)

    def _begin(self, host: str, program: str, configuration: Path) -> None:
        name = "barca" if program == "eccmgr" else host
        flags = ("--name", name, "--redis", self.redis.url, "--cluster", _CLUSTER, "--config", str(configuration))
        self.endpoint(name).unlink(missing_ok=True)
        self._lab.hosts[host].start(
            *(sys.executable, "-c", f"from cli.{program} import main; main()", *flags),
            *("--listen", str(self.endpoint(name))),
            log=self._lab.folder / f"{name}.log",
        )

    def endpoint(self, name: str) -> Path:
        """Where a daemon listens for consoles."""
        return self._lab.folder / f"console-{name}"

    def processes(self, node: str, part: str) -> list[int]:
        """Those of a part on a host."""
        return self._lab.hosts[node].pids(*_PARTS[part])

    def move(self, vip: str, node: str, target: str) -> None:
        """As an operator at the manager's console."""
        answer = ask_sync(self.endpoint("barca"), f"broadcast cluster duravip move {vip} to {target}", 10.0)
        if not answer.startswith("Broadcast"):
            raise RuntimeError(f"the move was refused: {answer}")

    def mend(self, node: str) -> None:
        """Start ecnode where it does not run, as a service manager would."""
        if not self.processes(node, "agent"):
            self._begin(node, "ecnode", self._configuration)
