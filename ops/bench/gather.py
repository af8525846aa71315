"""Gathers over real node processes: 20 nodes against the floor of the same round, and ten nodes of which one died."""

import asyncio
import statistics
import sys
import time

from eccmgr.cluster.options import ClusterOptions
from ops.bench.fleet import Client, fleet
from ops.bench.floor import rounds
from ops.bench.swarm import UNCLAIMED
from ops.bench.table import Row, ratio

NODES = 20
ROUNDS = 100
_WARM = 10
_DEATHS = 5
_TEN = 10


def measure() -> dict[str, float]:
    """The figures: medians in ms for a command that needs no claim, and the worst time after a death in s."""
    return {
        "nodes": NODES,
        "rounds": ROUNDS,
        "floor_ms": round(_floor(), 2),
        "gather_ms": round(gathers(), 2),
        "one_dead_s": round(max(_one_dead() for _ in range(_DEATHS)), 2),
        "lease_s": ClusterOptions().session_lease_s,
    }


def rows(figures: dict[str, float]) -> list[Row]:
    """The rows of the printed table."""
    return [
        ratio(f"gather, {NODES} processes", figures["gather_ms"], figures["floor_ms"], "ms", None),
        Row(
            f"gather, one of {_TEN} killed",
            f"{figures['one_dead_s']} s",
            f"lease {figures['lease_s']} s",
            f"{figures['lease_s'] + 0.1:g} s",
        ),
    ]


def _floor() -> float:
    with fleet() as running:
        path = str(running.server.socket)
        for number in range(NODES):
            running.spawn(sys.executable, "-m", "ops.bench.floor", path, str(number), "1")
        running.wait_ready()
        seconds = asyncio.run(rounds(path, NODES, ROUNDS + _WARM))
    return statistics.median(seconds[_WARM:]) * 1000


def gathers() -> float:
    """The median time in ms of a gather over the processes."""
    with fleet() as running:
        running.daemon("eccmgr", "manager")
        for number in range(NODES):
            running.daemon("ecnode", f"node{number}")
        running.wait_ready()
        client = Client(running.folder / "manager")
        seconds = []
        for _ in range(ROUNDS + _WARM):
            started = time.perf_counter()
            answer = client.ask(f"gather {UNCLAIMED}")
            seconds.append(time.perf_counter() - started)
            if f"{NODES} of {NODES} answered".encode() not in answer:
                raise RuntimeError(answer.decode())
        client.close()
    return statistics.median(seconds[_WARM:]) * 1000


def _one_dead() -> float:
    """The time in s of a gather over ten nodes, one of which was killed just before."""
    with fleet() as running:
        running.daemon("eccmgr", "manager")
        nodes = [running.daemon("ecnode", f"node{number}") for number in range(_TEN)]
        running.wait_ready()
        client = Client(running.folder / "manager")
        client.ask(f"gather {UNCLAIMED}")
        nodes[0].kill()
        nodes[0].wait()
        started = time.perf_counter()
        answer = client.ask(f"gather {UNCLAIMED}")
        seconds = time.perf_counter() - started
        client.close()
    if b"node0: (lost)" not in answer or f"{_TEN - 1} of {_TEN} answered".encode() not in answer:
        raise RuntimeError(answer.decode())
    return seconds
