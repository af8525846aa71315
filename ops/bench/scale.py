"""Gathers over 100, 1,000 and 10,000 simulated nodes, each against the floor of the same round in the same run."""

import asyncio
import os
import statistics
import time
from typing import Any

import psutil

from ops.bench.fleet import Client, Fleet, fleet
from ops.bench.floor import rounds
from ops.bench.swarm import UNCLAIMED, start_floor, start_swarm
from ops.bench.table import Row, ratio

SIZES = {100: 40, 1000: 20, 10_000: 6}
"""The sizes: the number of nodes, and the number of rounds."""
TARGETS = {"unclaimed": 1.5, "claimed": 2.5}
_COMMANDS = {"unclaimed": UNCLAIMED, "claimed": "work"}
_WARM = 2
_LOAD_S = 5.0


def measure() -> dict[str, Any]:
    """The figures: medians in ms; the floor is measured before and after the gathers, and both are used.

    Beside each, `…_cpu` is the processor time of all processes together for a round, which says more than the wall
    clock on a machine that others use too.
    """
    return {str(nodes): _size(nodes, number) for nodes, number in SIZES.items()}


def _size(nodes: int, number: int) -> dict[str, float]:
    before, before_cpu = _floor(nodes, number)
    found = _gathers(nodes, number)
    after, after_cpu = _floor(nodes, number)
    floor = statistics.median(before + after)
    return {"floor": round(floor * 1000, 1), "floor_cpu": round((before_cpu + after_cpu) * 500, 1)} | found


def _floor(nodes: int, number: int) -> tuple[list[float], float]:
    with fleet() as running:
        start_floor(running, nodes)
        running.wait_ready()
        path = str(running.server.socket)
        asyncio.run(rounds(path, nodes, _WARM))
        spent = _cpu(running)
        seconds = asyncio.run(rounds(path, nodes, number))
        return seconds, (_cpu(running) - spent) / number


def _gathers(nodes: int, number: int) -> dict[str, float]:
    with fleet() as running:
        running.daemon("eccmgr", "manager")
        start_swarm(running, nodes)
        running.wait_ready()
        found = {"heartbeats_core": round(_load(running.server.pid), 3)}
        client = Client(running.folder / "manager")
        for name, command in _COMMANDS.items():
            for _ in range(_WARM):
                _gather(client, command, nodes)
            spent = _cpu(running)
            seconds = [_gather(client, command, nodes) for _ in range(number)]
            found[name] = round(statistics.median(seconds) * 1000, 1)
            found[f"{name}_cpu"] = round((_cpu(running) - spent) / number * 1000, 1)
        client.close()
        return found


def _gather(client: Client, command: str, nodes: int) -> float:
    started = time.perf_counter()
    answer = client.ask(f"gather {command}")
    seconds = time.perf_counter() - started
    if f"{nodes} of {nodes} answered".encode() not in answer:
        raise RuntimeError(answer.decode()[:1000])
    return seconds


def _cpu(running: Fleet) -> float:
    """The processor time that the fleet's processes and this one have used."""
    return running.processor_s() + sum(psutil.Process(os.getpid()).cpu_times()[:2])


def _load(pid: int) -> float:
    """The part of a core that a process uses while it gets no commands."""
    process = psutil.Process(pid)
    time.sleep(_LOAD_S)
    before = process.cpu_times()
    time.sleep(_LOAD_S)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / _LOAD_S


def rows(figures: dict[str, Any]) -> list[Row]:
    """The rows of the printed table."""
    found = []
    for nodes, each in figures.items():
        for name, target in TARGETS.items():
            reach = target if int(nodes) >= 1000 else None
            words = f"gather, {nodes} nodes, {name}"
            found.append(ratio(words, each[name], each["floor"], "ms", reach))
            found.append(ratio(f"{words}, processor", each[f"{name}_cpu"], each["floor_cpu"], "ms", None))
        found.append(Row(f"heartbeats, {nodes} nodes", f"{each['heartbeats_core']:.1%} of a core", "", "20 %"))
    return found
