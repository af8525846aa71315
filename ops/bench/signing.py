"""What signatures cost: gathers over a signed cluster beside gathers over an unsigned one, round by round.

A signed cluster signs each command, verifies it on each node, seals each answer, and verifies each seal.
"""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator

from ops.bench.fleet import Client, Fleet, fleet
from ops.bench.keyed import manager_flags, node_flags
from ops.bench.swarm import UNCLAIMED, start_swarm
from ops.bench.table import Row, ratio

NODES, ROUNDS = 20, 100
SIMULATED, BLOCKS, OF_A_BLOCK = 1000, 6, 10
TARGETS = {"processes": 1.15, "simulated": 1.3}
_BLOCKS_MAX = 60
_WARM = 10


def measure() -> dict[str, dict[str, float]]:
    """The figures, each without and with signatures: the median of a gather over processes in ms, and the processor
    time in ms of all processes for a gather over simulated nodes."""
    with _both(_processes) as (plain, signed):
        processes = _rounds(plain[1], signed[1])
    with _both(_simulated) as (plain, signed):
        simulated = _processor(plain, signed)
    return {"processes": processes, "simulated": simulated}


def rows(figures: dict[str, dict[str, float]]) -> list[Row]:
    """The rows of the printed table."""
    names = {
        "processes": f"gather, {NODES} processes, signed",
        "simulated": f"gather, {SIMULATED} simulated nodes, signed, processor",
    }
    found = []
    for kind, name in names.items():
        figure = figures[kind]
        found.append(ratio(name, figure["signed_ms"], figure["unsigned_ms"], "ms", TARGETS[kind], "unsigned"))
    return found


_Gather = Callable[[], bool]
"""Gathers once; answers whether all nodes have answered. On a busy machine simulated nodes may miss heartbeats."""


@contextlib.contextmanager
def _both(start: Callable[[Fleet, bool], int]) -> Iterator[list[tuple[Fleet, _Gather]]]:
    """An unsigned and a signed cluster at the same time, each with what gathers over it; `start` answers the nodes."""
    with contextlib.ExitStack() as ending:
        fleets = [ending.enter_context(fleet()) for _ in range(2)]
        for running, signed in zip(fleets, (False, True), strict=True):
            running.daemon("eccmgr", "manager", *(manager_flags(running.folder / "keys") if signed else ()))
            nodes = start(running, signed)
            running.wait_ready()
        made = []
        for running in fleets:
            client = Client(running.folder / "manager")
            ending.callback(client.close)
            made.append((running, _gatherer(client, nodes)))
        for _, gather in made:
            for _ in range(_WARM):
                gather()
        yield made


def _gatherer(client: Client, nodes: int) -> _Gather:
    def gather() -> bool:
        answer = client.ask(f"gather {UNCLAIMED}")
        if b"failed" in answer:
            raise RuntimeError(answer.decode()[:1000])
        return f"{nodes} of {nodes} answered\n".encode() in answer

    return gather


def _processes(running: Fleet, signed: bool) -> int:
    for number in range(NODES):
        name = f"node{number}"
        running.daemon("ecnode", name, *(node_flags(running.folder / "keys", name) if signed else ()))
    return NODES


def _simulated(running: Fleet, signed: bool) -> int:
    start_swarm(running, SIMULATED, signed=signed)
    return SIMULATED


def _rounds(plain: _Gather, signed: _Gather) -> dict[str, float]:
    """The medians in ms; the rounds of both take turns, so that both meet the same load of the machine."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for gather, taken in zip((plain, signed), seconds, strict=True):
            started = time.perf_counter()
            gather()
            taken.append(time.perf_counter() - started)
    plain_ms, signed_ms = (statistics.median(taken) * 1000 for taken in seconds)
    return {"unsigned_ms": round(plain_ms, 2), "signed_ms": round(signed_ms, 2)}


def _processor(*clusters: tuple[Fleet, _Gather]) -> dict[str, float]:
    """The median processor time in ms for a gather; the blocks of rounds take turns."""
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(_BLOCKS_MAX):
        for (running, gather), taken in zip(clusters, spent, strict=True):
            before = running.processor_s()
            if all(gather() for _ in range(OF_A_BLOCK)):
                taken.append((running.processor_s() - before) / OF_A_BLOCK)
        if min(map(len, spent)) >= BLOCKS:
            break
    else:
        raise RuntimeError("too few nodes were members for the whole of a block; is the machine busy?")
    plain_ms, signed_ms = (statistics.median(taken) * 1000 for taken in spent)
    return {"unsigned_ms": round(plain_ms, 1), "signed_ms": round(signed_ms, 1)}
