"""Our system: ecnode on each host, and Redis and a manager on one more host."""

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.daemons import ask_sync
from tests.fault.lab.hosts import Lab
from tests.fault.lab.redis_host import SERVER, LabRedis
from tests.fault.lab.replicated import ReplicatedRedis
from worker.guardian.launch import CONTROL

_CLUSTER = "lab"
_NODE, _GUARDIAN = "cli.ecnode", "worker.guardian"
"""Words in the command lines of the agent and its parent, and of guardians."""
_SPARE_SOCKETS = 2
"""The number of sockets of a spare guardian, which so far only talks to its agent."""
_CONFIGURATION = """
cluster {{
  heartbeats_per_sec = {heartbeats_per_sec}
  session_lease = {session_lease}
  max_step = {max_step}
  view_mature_time = {mature_s}
  view_balance_interval = {mature_s}
  Topology "10.77.0.0/16" {{ interface = "eth0"  cidrmask = "32" }}
  Topology "fd77::1:0/112" {{ interface = "eth0"  cidrmask = "128" }}
}}
"""
_BINDING = """
Binding "vip-{number}" {{ Enable_Duravip = true  Bind_Address = "{address}" }}
"""


@dataclass(frozen=True)
class Profile:
    """The times of a cluster, in seconds, and the times that follow from them."""

    name: str
    heartbeats_per_sec: float
    session_lease: float
    max_step: float
    deadline_s: float
    """A holder's deadline from before its renewal was sent."""
    mature_s: float
    """The time for which a view must be stable, and the time between two steps of balancing."""

    @property
    def heartbeat_s(self) -> float:
        """The time between two heartbeats."""
        return 1 / self.heartbeats_per_sec


USUAL = Profile("heartbeat 0.5 s", 2, 2.5, 0.6, 1.5, 1.0)
FAST = Profile("heartbeat 0.1 s", 10, 0.6, 0.12, 0.36, 0.3)
PROFILES = {"usual": USUAL, "fast": FAST}


class Nodes:
    """ecnode on each of `nodes`; each node may carry each of `vips`."""

    def __init__(
        self,
        lab: Lab,
        nodes: tuple[str, ...],
        profile: Profile,
        vips: tuple[str, ...],
        server: LabRedis | ReplicatedRedis,
    ) -> None:
        self.name = f"eccmgr, {profile.name}"
        self.nodes, self.vips, self.profile = nodes, vips, profile
        self.redis = server
        self.steady_s = 2 * profile.mature_s + 0.5
        self._lab = lab
        self._configuration = lab.folder / "node.conf"
        bindings = (_BINDING.format(number=number, address=vip) for number, vip in enumerate(vips, 1))
        self._configuration.write_text(_CONFIGURATION.format(**vars(profile)) + "".join(bindings))
        self._manager_configuration = lab.folder / "manager.conf"
        self._manager_configuration.write_text(_CONFIGURATION.format(**vars(profile)))

    def start(self) -> None:
        """Start Redis, the manager and the nodes."""
        self.start_manager()
        for node in self.nodes:
            self.begin(node)

    def start_manager(self) -> None:
        """Start Redis and the manager only."""
        self.redis.start()
        self._begin(SERVER, "eccmgr", self._manager_configuration)

    def begin(self, node: str, *before: str) -> None:
        """Start ecnode on a host, with the command `before` in front of it, if any."""
        self._begin(node, "ecnode", self._configuration, before)

    def _begin(self, host: str, program: str, configuration: Path, before: tuple[str, ...] = ()) -> None:
        name = "barca" if program == "eccmgr" else host
        flags = ("--name", name, "--redis", self.redis.url, "--cluster", _CLUSTER, "--config", str(configuration))
        self.endpoint(name).unlink(missing_ok=True)
        self._lab.hosts[host].start(
            *(*before, sys.executable, "-c", f"from cli.{program} import main; main()", *flags),
            *("--listen", str(self.endpoint(name))),
            log=self._lab.folder / f"{name}.log",
        )

    def endpoint(self, name: str) -> Path:
        """The control endpoint of a daemon."""
        return self._lab.folder / f"console-{name}"

    def processes(self, node: str, part: str) -> list[int]:
        """The process ids of a part on a host: all (with parent and spare), agent, guardian, or agent and guardian."""
        host = self._lab.hosts[node]
        if part == "all":
            return host.pids(_NODE, _GUARDIAN)
        nodes = host.pids(_NODE)
        agents = [pid for pid in nodes if _has_parent(pid)] or nodes
        guardians = [pid for pid in host.pids(_GUARDIAN) if _sockets(pid) > _SPARE_SOCKETS]
        return {"agent": agents, "guardian": guardians, "agent and guardian": agents + guardians}[part]

    def move(self, vip: str, node: str, target: str) -> None:
        """Give a command at the manager's console."""
        answer = ask_sync(self.endpoint("barca"), f"broadcast cluster duravip move {vip} to {target}", 10.0)
        if not answer.startswith("Broadcast"):
            raise RuntimeError(f"the move was refused: {answer}")

    def whole(self) -> bool:
        """Whether the manager and every node are members."""
        try:
            said = ask_sync(self.endpoint("barca"), "show cluster membership", 5.0)
        except (OSError, AssertionError):
            return False
        return said.count("<Member>") == len(self.nodes) + 1

    def mend(self, node: str) -> None:
        """If ecnode does not run, start it, as a service manager would."""
        if not self.processes(node, "all"):
            self.begin(node)


def _has_parent(pid: int) -> bool:
    """Whether a node process is the agent of a privileged parent, and not the parent itself."""
    with contextlib.suppress(OSError):
        return f"{CONTROL}=".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    return False


def _sockets(pid: int) -> int:
    with contextlib.suppress(OSError):
        return sum(os.readlink(each.path).startswith("socket:") for each in os.scandir(f"/proc/{pid}/fd"))
    return 0
