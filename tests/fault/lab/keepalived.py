"""The peer: keepalived, one VRRP instance on each host."""

import signal
from pathlib import Path

from tests.fault.lab.hosts import Lab

_CONFIGURATION = """
global_defs {{
  router_id {name}
  vrrp_version 3
}}
vrrp_instance lab {{
  state BACKUP
  interface eth0
  virtual_router_id 77
  priority {priority}
  advert_int {advert}
  virtual_ipaddress {{
    {vip}/32 dev eth0
  }}
}}
"""
PROGRAM = "keepalived"


class Keepalived:
    """keepalived with an advertisement every `advert_s` seconds. It prefers the first node."""

    vips = ("10.77.1.1",)
    steady_s = 0.5

    def __init__(self, lab: Lab, nodes: tuple[str, ...], advert_s: float) -> None:
        self.name = f"keepalived, advert {advert_s:g} s"
        self.nodes = nodes
        self._lab, self._advert = lab, advert_s

    def start(self) -> None:
        """Start it on every host."""
        for node in self.nodes:
            self._begin(node)

    def _begin(self, node: str) -> None:
        self._write(node, 150 - 10 * self.nodes.index(node))
        host = self._lab.hosts[node]
        # After keepalived was killed, another process may have the process id in its pid files.
        pids = [self._lab.folder / f"{node}-{kind}.pid" for kind in ("main", "vrrp")]
        for each in pids:
            each.unlink(missing_ok=True)
        program = (PROGRAM, "-n", "-l", "-f", str(self._file(node)), "-p", str(pids[0]), "-r", str(pids[1]))
        host.start(*program, log=self._lab.folder / f"{node}-keepalived.log")

    def _write(self, node: str, priority: int) -> None:
        text = _CONFIGURATION.format(name=node, priority=priority, advert=self._advert, vip=self.vips[0])
        self._file(node).write_text(text)

    def _file(self, node: str) -> Path:
        return self._lab.folder / f"{node}-keepalived.conf"

    def processes(self, node: str, part: str) -> list[int]:
        """The ids of all its processes: keepalived has no parts."""
        return self._lab.hosts[node].pids(PROGRAM)

    def move(self, vip: str, node: str, target: str) -> None:
        """End it, as its operators do. It tells the other hosts."""
        host = self._lab.hosts[node]
        host.signal(signal.SIGTERM, self.processes(node, "all"))

    def whole(self) -> bool:
        """Do nothing: it has no console."""
        return True

    def mend(self, node: str) -> None:
        """If it does not run, remove the address that it left behind, and start it."""
        if not self.processes(node, "all"):
            host = self._lab.hosts[node]
            host.run("ip", "addr", "del", f"{self.vips[0]}/32", "dev", "eth0", check=False)
            self._begin(node)
