"""A system without any protocol, to test the laboratory itself: an address is where the lab puts it."""

from tests.fault.lab.hosts import Lab


class Toy:
    """Every VIP is on the first node until it is moved. A `careless` move adds it on the new host, then removes it from
    the old."""

    name = "toy"
    vips: tuple[str, ...] = ("10.77.1.1", "fd77::1:1")
    steady_s = 0.3

    def __init__(self, lab: Lab, nodes: tuple[str, ...], careless_s: float = 0.0) -> None:
        self.nodes = nodes
        self._lab, self._careless_s = lab, careless_s

    def start(self) -> None:
        """Plumb every VIP on the first node."""
        for vip in self.vips:
            self._address("add", vip, self.nodes[0])

    def processes(self, node: str, part: str) -> list[int]:
        """Return nothing: it has no processes."""
        return []

    def move(self, vip: str, node: str, target: str) -> None:
        """Move the VIP from one host to the other."""
        if not self._careless_s:
            self._address("del", vip, node)
            self._address("add", vip, target)
            self._announce(vip, target)
            return
        self._address("add", vip, target)
        # Both hosts answer during this time.
        self._lab.hosts[node].run("sleep", str(self._careless_s))
        self._address("del", vip, node)
        self._announce(vip, target)

    def whole(self) -> bool:
        """True: it has no console to ask."""
        return True

    def mend(self, node: str) -> None:
        """Do nothing: there is nothing to restore."""

    def _address(self, action: str, vip: str, node: str) -> None:
        length = "128" if ":" in vip else "32"
        more = ("nodad",) if ":" in vip and action == "add" else ()
        self._lab.hosts[node].run("ip", "addr", action, f"{vip}/{length}", "dev", "eth0", *more)

    def _announce(self, vip: str, node: str) -> None:
        """Announce the address, so that clients learn of the move at once."""
        client = self._lab.hosts["client"]
        client.run("ip", "neigh", "replace", vip, "lladdr", self._lab.mac(node), "dev", "eth0", "nud", "stale")
