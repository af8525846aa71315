"""Logs of nodes on a manager: lines a second, processor a line and how far behind, beside rsyslog on the same lines;
what many nodes cost the manager and Redis; and a gather beside the collection.

`LINES` is the number of lines that are there at once, a million if not given; `NODES` and `RATE` those of the many.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil

from ops.bench.fleet import Client
from ops.bench.log_ways import LogWay, has_rsyslog, manager_file, node_file, our_way, site, way_of_rsyslog, writing
from ops.bench.log_writer import lines
from ops.bench.swarm import UNCLAIMED
from ops.bench.table import Row, ratio
from tests.waiting import wait_until_sync

_LINES = int(os.environ.get("LINES") or 1_000_000)
_NODES, _RATE = int(os.environ.get("NODES") or 100), int(os.environ.get("RATE") or 1000)
_SPAN_S = 10.0
_PACES = (1000, 100_000)
_LOOK_S = 0.05
_LIMIT_S = 300.0
_GATHERED, _GATHERS, _TURNS = 10, 50, 4

_Way = Callable[[Path], AbstractContextManager[LogWay]]


def measure() -> dict[str, Any]:
    """All parts, in seconds of processor and of time."""
    ways: dict[str, _Way] = {"ours": our_way, **({"rsyslog": way_of_rsyslog} if has_rsyslog() else {})}
    with tempfile.TemporaryDirectory(prefix="ecc-") as made:
        folder = Path(made)
        return {
            "lines": _LINES,
            **{name: _at_once(way, folder / name) for name, way in ways.items()},
            "paced": {
                str(rate): {name: _paced(way, folder / f"{name}{rate}", rate) for name, way in ways.items()}
                for rate in _PACES
            },
            "many": _many_nodes(folder / "many"),
            "gather_ms": _gathers(folder / "gather"),
        }


def rows(figures: dict[str, Any]) -> list[Row]:
    """The figures beside rsyslog's."""
    return [*_rows_of_one(figures), *_rows_of_paces(figures["paced"]), *_rows_of_many(figures)]


def _rows_of_one(figures: dict[str, Any]) -> list[Row]:
    ours, theirs, count = figures["ours"], figures.get("rsyslog"), figures["lines"]
    rate, shown = f"{count / ours['took_s']:.0f} lines/s", []
    if theirs is None:
        shown.append(Row("logs: one node", rate, "rsyslog with RELP is not installed"))
    else:
        shown.append(Row("logs: one node", rate, f"rsyslog {count / theirs['took_s']:.0f} lines/s", "no slower"))
        cpu = _us(ours, count), _us(theirs, count)
        shown.append(ratio("logs: processor a line, all", *cpu, "us", None, "rsyslog"))
    for part, cpu_s in ours["cpu_s"].items():
        beside = f"{ours['mib'][part]} MiB"
        if theirs is not None and part in theirs["cpu_s"]:
            beside += f"; rsyslog {theirs['cpu_s'][part] / count * 1e6:.2f} us, {theirs['mib'][part]} MiB"
        shown.append(Row(f"logs: {part}", f"{cpu_s / count * 1e6:.2f} us a line", beside))
    return shown


def _rows_of_paces(paced: dict[str, Any]) -> list[Row]:
    shown = []
    for rate, by_way in paced.items():
        texts = {
            name: f"{way['behind_s']:.2f} s, at most {way['most_s']:.2f} s, {way['cores']:.3f} cores"
            for name, way in by_way.items()
        }
        beside = f"rsyslog {texts['rsyslog']}" if "rsyslog" in texts else ""
        shown.append(Row(f"logs: behind at {rate} lines/s", texts["ours"], beside))
    return shown


def _rows_of_many(figures: dict[str, Any]) -> list[Row]:
    many, gather = figures["many"], figures["gather_ms"]
    figure = f"logs: {many['nodes']} nodes x {many['rate']} lines/s"
    return [
        Row(figure, f"{many['cores']:.2f} cores", f"manager {many['mib']} MiB; with Redis", "0.5 cores"),
        Row(f"{figure}: behind", f"{many['behind_s']:.1f} s"),
        ratio(f"gather of {_GATHERED} nodes beside their logs", gather["busy"], gather["quiet"], "ms", 1.2, "without"),
    ]


def _us(figures: dict[str, Any], count: int) -> float:
    return round(sum(figures["cpu_s"].values()) / count * 1e6, 2)


def _cpu(pid: int) -> float:
    used = psutil.Process(pid).cpu_times()
    return used.user + used.system


def _at_once(way: _Way, folder: Path) -> dict[str, Any]:
    """The lines are there at once: the time until all are collected, and the processor and memory of each process."""
    folder.mkdir()
    made = folder / "made.log"
    with made.open("wb") as log:
        for first in range(0, _LINES, 1000):
            log.write(lines(first, 1000))
    size = made.stat().st_size
    with way(folder) as running:
        before, began = {name: _cpu(pid) for name, pid in running.pids.items()}, time.monotonic()
        made.rename(running.source)
        wait_until_sync(lambda: running.collected() >= size, "all lines are there", _LIMIT_S)
        return {
            "took_s": round(time.monotonic() - began, 3),
            "cpu_s": {name: round(_cpu(pid) - before[name], 3) for name, pid in running.pids.items()},
            "mib": {name: psutil.Process(pid).memory_info().rss >> 20 for name, pid in running.pids.items()},
        }


def _paced(way: _Way, folder: Path, rate: int) -> dict[str, float]:
    """How far behind the targets are while lines are written at a rate: the median and the most, in seconds."""
    folder.mkdir()
    with way(folder) as running, writing(rate, running.source):
        wait_until_sync(lambda: running.collected() > 0, "the first lines are there", _LIMIT_S)
        behind, cpu_s, began = [], sum(map(_cpu, running.pids.values())), time.monotonic()
        begin = running.source.stat().st_size
        while time.monotonic() - began < _SPAN_S:
            collected = running.collected()
            behind.append((running.source.stat().st_size - collected) / 100 / rate)
            time.sleep(_LOOK_S)
        written = (running.source.stat().st_size - begin) / 100
        cores = (sum(map(_cpu, running.pids.values())) - cpu_s) / written * rate
        return {"behind_s": statistics.median(behind), "most_s": max(behind), "cores": cores}


def _many_nodes(folder: Path) -> dict[str, Any]:
    with site(folder) as (server, processes):
        manager = processes.manager("barca", "-c", manager_file(folder))
        (folder / "source").mkdir()
        arguments = (sys.executable, "-m", "ops.bench.log_swarm", server.url, "bench", str(folder / "source"))
        swarm = subprocess.Popen([*arguments, str(_NODES)])
        try:
            return asyncio.run(_load(folder, server.pid, manager.popen.pid))
        finally:
            swarm.kill()
            swarm.wait(30)


async def _load(folder: Path, redis: int, manager: int) -> dict[str, Any]:
    """Write the lines, wait until all are collected, and reckon the processor for each second's lines."""
    logs = [(folder / "source" / f"n{number}.log").open("ab", buffering=0) for number in range(_NODES)]
    out = LogWay(folder / "source", folder / "out", {})
    try:
        written, began, cpu_s = 0, time.monotonic(), _cpu(redis) + _cpu(manager)
        while (now_s := time.monotonic() - began) < _SPAN_S:
            due = int(now_s * _RATE) - written
            for log in logs:
                log.write(lines(written, due))
            written += due
            await asyncio.sleep(0.1)
        ended, size = time.monotonic(), sum(os.fstat(log.fileno()).st_size for log in logs)
        await asyncio.to_thread(wait_until_sync, lambda: out.collected() >= size, "all lines are there", _LIMIT_S)
        behind_s = time.monotonic() - ended
        cores = (_cpu(redis) + _cpu(manager) - cpu_s) / written * _RATE
        mib = psutil.Process(manager).memory_info().rss >> 20
        return {"nodes": _NODES, "rate": _RATE, "cores": round(cores, 3), "behind_s": behind_s, "mib": mib}
    finally:
        for log in logs:
            log.close()


def _gathers(folder: Path) -> dict[str, float]:
    """The median time in ms of a gather over node processes, without the collection of their logs and beside it."""
    with site(folder) as (_, processes):
        logs = [folder / f"n{number}.log" for number in range(_GATHERED)]
        manager = processes.manager("barca", "-c", manager_file(folder))
        for number, log in enumerate(logs):
            processes.node(f"n{number}", "east", "-c", node_file(folder, f"n{number}", log))
        client, took_s = Client(manager.endpoint), dict[str, list[float]](quiet=[], busy=[])
        for _ in range(_TURNS):
            took_s["quiet"] += _times(client)
            with writing(_RATE, *logs):
                took_s["busy"] += _times(client)
        client.close()
    return {name: round(statistics.median(times) * 1000, 2) for name, times in took_s.items()}


def _times(client: Client) -> list[float]:
    times = []
    for _ in range(_GATHERS):
        began = time.perf_counter()
        answer = client.ask(f"gather {UNCLAIMED}")
        times.append(time.perf_counter() - began)
        if f"{_GATHERED} of {_GATHERED} answered".encode() not in answer:
            raise RuntimeError(answer.decode())
    return times
