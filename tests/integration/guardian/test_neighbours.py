"""`cluster arp show` shows the neighbours that the host's kernel knows."""

import sys

from tests.integration.guardian.conftest import Host

ASK = """
import asyncio
from eccmgr.commands.caller import Caller
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import Table
from worker.arp import arp_command
table = Table()
table.add(arp_command())
print(asyncio.run(Gate(table).run("cluster arp show", Caller("ann"))).text)
"""


def ask(host: Host) -> list[list[str]]:
    return [line.split() for line in host.run(sys.executable, "-c", ASK).splitlines()]


def test_neighbours_are_listed_in_order_of_address(host: Host) -> None:
    for address in ("10.1.1.10", "10.1.1.9", "2001:db8::9"):
        host.ip("neigh", "replace", address, "lladdr", "02:00:00:00:00:09", "dev", "eth1", "nud", "permanent")
    host.ip("neigh", "replace", "10.1.1.8", "dev", "eth1", "nud", "failed")
    heading, *rows = ask(host)
    assert heading == ["ADDRESS", "HARDWARE", "ADDRESS", "INTERFACE", "STATE"]
    assert [row for row in rows if row[3] in ("permanent", "failed")] == [
        ["10.1.1.8", "-", "eth1", "failed"],
        ["10.1.1.9", "02:00:00:00:00:09", "eth1", "permanent"],
        ["10.1.1.10", "02:00:00:00:00:09", "eth1", "permanent"],
        ["2001:db8::9", "02:00:00:00:00:09", "eth1", "permanent"],
    ]


def test_a_host_without_neighbours_says_so(host: Host) -> None:
    host.ip("link", "set", "eth1", "down")
    host.ip("neigh", "flush", "all")
    assert ask(host) == [["No", "neighbours", "are", "known"]]
