"""A short refusal of Redis costs no VIP. A full Redis costs no VIP either, and allows takeovers."""

import contextlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Process, Processes, ask_sync
from tests.refusing import REFUSALS, full, plain_server
from tests.servers import Server
from tests.waiting import wait_until_sync

CONFIGURATION = """
cluster {
  heartbeats_per_sec = 1
  session_lease = 6
  max_step = 1.2
  plumber = "memory"
  fence = "none"
  Topology "10.9.0.0/16" { interface = "lo"  cidrmask = "32" }
}
Binding "vip-1" { Enable_Duravip = true  Bind_Address = "10.9.0.1" }
"""


class Pair:
    """Two nodes with one VIP; a node holds it for 3 s after a heartbeat."""

    def __init__(self, folder: Path, server: Server) -> None:
        file = folder / "vips.conf"
        file.write_text(CONFIGURATION)
        self.processes = Processes(f"redis://{server.address}/0", "vips", folder)
        self._flags = ("-c", str(file))
        self.nodes: dict[str, Process] = {}

    def start(self, *names: str) -> None:
        for name in names:
            self.nodes[name] = self.processes.start("ecnode", name, *self._flags, wait=False)
        for name in names:
            self.nodes[name].wait_ready()

    def owner(self, asked: str) -> tuple[str, str]:
        """The owner of the VIP and the epoch, as a node believes them; '' without an owner."""
        text = ask_sync(self.nodes[asked].endpoint, "cluster duravip show")
        found = re.search(r"\(owned,\w+\) epoch (\d+).*^ \*\s+(\S+)", text, re.MULTILINE | re.DOTALL)
        return (found[2], found[1]) if found else ("", "")

    def settled(self, *names: str) -> tuple[str, str]:
        """Wait until all of `names` agree on an owner among them."""

        def agreed() -> bool:
            seen = {self.owner(name) for name in names}
            return len(seen) == 1 and seen.pop()[0] in names

        wait_until_sync(agreed, f"{names} agree on an owner")
        return self.owner(names[0])

    @property
    def lost(self) -> list[str]:
        """The nodes' log lines about VIPs that went away."""
        logs = "".join(node.log for node in self.nodes.values())
        return re.findall(r'event="(?:vip lost|vip given up|guardian went down)".*', logs)


@pytest.fixture
def pair(folder: Path) -> Iterator[tuple[Pair, Server]]:
    with plain_server(folder) as server, contextlib.ExitStack() as end:
        made = Pair(folder, server)
        end.callback(made.processes.end)
        made.start("a1", "a2")
        yield made, server


@pytest.mark.timeout(300)
@pytest.mark.parametrize("code", [code for code in REFUSALS if code != "NOAUTH"])
def test_a_short_refusal_costs_no_vip(pair: tuple[Pair, Server], code: str) -> None:
    made, server = pair
    before = made.settled("a1", "a2")
    refused = {name: node.log.count("event=joined") for name, node in made.nodes.items()}
    with REFUSALS[code](server):
        # Redis has refused a heartbeat, and the nodes still have most of their deadline.
        said = 'event="redis refuses"'
        wait_until_sync(lambda: code == "OOM" or all(said in node.log for node in made.nodes.values()), "they notice")
    if code in ("READONLY", "MASTERDOWN"):
        # The promotion is a new life of the server's memory.
        wait_until_sync(
            lambda: all(node.log.count("event=joined") > refused[name] for name, node in made.nodes.items()),
            "they state what they hold",
        )
    assert made.settled("a1", "a2") == before
    assert made.lost == []


@pytest.mark.timeout(300)
def test_full_server_allows_a_takeover(pair: tuple[Pair, Server]) -> None:
    made, server = pair
    owner, epoch = made.settled("a1", "a2")
    other = next(name for name in made.nodes if name != owner)
    with full(server):
        made.nodes[owner].end(signal.SIGKILL)
        taken = made.settled(other)
        assert int(taken[1]) > int(epoch)
        made.start(owner)
        assert made.settled(owner, other)[0] == other
        made.nodes[other].end()
        assert made.settled(owner)[0] == owner
