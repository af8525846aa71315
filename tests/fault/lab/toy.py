"""A holder without any sense, to try the laboratory itself: addresses are where the lab put them."""

from tests.fault.lab.hosts import Lab


class Toy:
    """Every VIP is on the first node until it is moved; `careless`: it is added there before it is removed here."""

    name = "toy"
    vips: tuple[str, ...] = ("10.77.1.1", "fd77::1:1")
    steady_s = 0.3

    def __init__(self, lab: Lab, nodes: tuple[str, ...], careless_s: float = 0.0) -> None:
        self.nodes = nodes
        self._lab, self._careless_s = lab, careless_s

    def start(self) -> None:
        """Plumb all on the first."""
        for vip in self.vips:
            self._address("add", vip, self.nodes[0])

    def processes(self, node: str, part: str) -> list[int]:
        """It has none."""
        return []

    def move(self, vip: str, node: str, target: str) -> None:
        """From here to there."""
        if not self._careless_s:
            self._address("del", vip, node)
            self._address("add", vip, target)
            self._announce(vip, target)
            return
        self._address("add", vip, target)
        # For as long as that both answer.
        self._lab.hosts[node].run("sleep", str(self._careless_s))
        self._address("del", vip, node)
        self._announce(vip, target)

    def whole(self) -> bool:
        """It cannot be asked."""
        return True

    def mend(self, node: str) -> None:
        """Nothing to mend."""

    def _address(self, action: str, vip: str, node: str) -> None:
        length = "128" if ":" in vip else "32"
        more = ("nodad",) if ":" in vip and action == "add" else ()
        self._lab.hosts[node].run("ip", "addr", action, f"{vip}/{length}", "dev", "eth0", *more)

    def _announce(self, vip: str, node: str) -> None:
        """So that clients need not find out by themselves."""
        client = self._lab.hosts["client"]
        client.run("ip", "neigh", "replace", vip, "lladdr", self._lab.mac(node), "dev", "eth0", "nud", "stale")
