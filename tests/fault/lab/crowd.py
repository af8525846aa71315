"""Thousands of addresses: one of four hosts is lost, and other hosts take over its addresses."""

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.fault.lab.analysis import MS
from tests.fault.lab.hosts import Lab, now_ns
from tests.fault.lab.nodes import Nodes, Profile
from tests.fault.lab.redis_host import SERVER, LabRedis
from tests.fault.lab.watch import Watch
from tests.waiting import wait_until_sync

NODES = ("east1", "east2", "west1", "west2")
_FIRST = ipaddress.ip_address("10.77.64.1")
_PROBED = 8


@dataclass(frozen=True)
class Crowd:
    """The measurements; times in seconds."""

    vips: int
    carried: int
    """The number of addresses of the lost host."""
    first_s: float
    """The time from the loss of the host until the first address was on another interface."""
    last_s: float
    """The time until the last address was on another interface."""


def addresses(count: int) -> tuple[str, ...]:
    """The first addresses of the range, in order."""
    return tuple(str(_FIRST + number) for number in range(count))


def held(lines: Iterable[str]) -> dict[str, int]:
    """The addresses that a host holds at the end of its notes, each with the time since which it holds it."""
    found: dict[str, int] = {}
    for line in lines:
        sign, time, address = line.split(" ", 2)
        if sign == "+":
            found[address] = int(time)
        elif sign == "-":
            found.pop(address, None)
    return found


def play_crowd(folder: Path, profile: Profile, count: int, say: Callable[[str], None]) -> Crowd:
    """Start, spread the addresses, remove one host. Raises NoLab, and AssertionError if an address stays without a
    host."""
    vips = addresses(count)
    with Lab(folder, (*NODES, SERVER, "client")) as lab:
        nodes = Nodes(lab, NODES, profile, vips, LabRedis(lab))

        def held_by(node: str) -> dict[str, int]:
            noted = held((folder / f"{node}-holding").read_text().splitlines())
            return {vip: since for vip, since in noted.items() if vip in wanted}

        wanted = set(vips)
        with Watch(lab, vips[:: max(1, count // _PROBED)], NODES) as watch:
            # The program that notes addresses starts before any address is there.
            nodes.start()
            share = count // len(NODES)
            wait_until_sync(
                lambda: all(abs(len(held_by(node)) - share) <= 1 for node in NODES), "all are spread evenly", 300.0
            )
            victim = NODES[0]
            lost = held_by(victim).keys()
            others = [node for node in NODES if node != victim]
            began = now_ns()
            lab.remove(victim)

            def left() -> int:
                return len(lost - {vip for node in others for vip in held_by(node)})

            wait_until_sync(lambda: left() == 0, "all that were lost are carried again", 120.0)
            taken = [since for node in others for vip, since in held_by(node).items() if vip in lost]
            # The watch needs all of its hosts to the end.
            lab.add(victim)
            watch.look_at(victim)
    seen = Crowd(count, len(lost), (min(taken) - began) / MS / 1000, (max(taken) - began) / MS / 1000)
    say(f"{seen.vips} addresses, {seen.carried} lost: carried again after {seen.first_s:.2f} to {seen.last_s:.2f} s")
    return seen
