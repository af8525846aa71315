"""One gather over 20 node processes, against the floor of the same round."""

import asyncio
import statistics
import sys
import time

from ops.bench.fleet import Client, fleet
from ops.bench.floor import rounds

NODES = 20
ROUNDS = 100


def measure() -> dict[str, object]:
    """Medians in ms, and their ratio, for a command that nodes answer without a claim."""
    floor_ms, gather_ms = _floor(), _gathers("cluster nodename")
    return {
        "nodes": NODES,
        "rounds": ROUNDS,
        "floor_ms": round(floor_ms, 2),
        "gather_ms": round(gather_ms, 2),
        "gather_to_floor": round(gather_ms / floor_ms, 2),
    }


def _floor() -> float:
    with fleet() as running:
        path = str(running.server.socket)
        for number in range(NODES):
            running.spawn(sys.executable, "-m", "ops.bench.floor", path, f"node{number}")
        running.wait_ready(b"subscribed")
        seconds = asyncio.run(rounds(path, NODES, ROUNDS + 10))
    return statistics.median(seconds[10:]) * 1000


def _gathers(command: str) -> float:
    with fleet() as running:
        running.daemon("eccmgr", "manager")
        for number in range(NODES):
            running.daemon("ecnode", f"node{number}")
        running.wait_ready()
        client = Client(running.folder / "manager")
        seconds = []
        for _ in range(ROUNDS + 10):
            started = time.perf_counter()
            answer = client.ask(f"gather {command}")
            seconds.append(time.perf_counter() - started)
            if f"{NODES} of {NODES} answered".encode() not in answer:
                raise RuntimeError(answer.decode())
        client.close()
    return statistics.median(seconds[10:]) * 1000
