"""Logs of nodes on a manager: lines a second and processor a line beside rsyslog (imfile, RELP, omfile) on the same
lines, and what a hundred nodes with a thousand lines a second each cost the manager and Redis.

`LINES` is the number of lines, a million if not given; `NODES` and `RATE` those of the second part.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from eccmgr.redis.embedded import EmbeddedServer
from ops.bench.table import Row, ratio
from tests.daemons import Processes
from tests.servers import free_port
from tests.waiting import wait_until_sync

_LINES = int(os.environ.get("LINES") or 1_000_000)
_NODES, _RATE = int(os.environ.get("NODES") or 100), int(os.environ.get("RATE") or 1000)
_SPAN_S = 10.0
_BATCH = b"".join(b"%06d %s\n" % (number, b"." * 92) for number in range(1000))
_LIMIT_S = 300.0
_QUEUE = 'main_queue(queue.type="LinkedList" queue.size="200000" queue.dequeueBatchSize="4096")\n'
"""More than rsyslog's own values, with which it is slower."""
_RSYSLOG, _MODULES = shutil.which("rsyslogd"), Path("/usr/lib/x86_64-linux-gnu/rsyslog")


def measure() -> dict[str, Any]:
    """Both parts, in seconds of processor and of time."""
    with tempfile.TemporaryDirectory(prefix="ecc-") as folder:
        figures: dict[str, Any] = {"lines": _LINES, "ours": _one_node(Path(folder) / "ours")}
        if _RSYSLOG and (_MODULES / "omrelp.so").exists():
            figures["rsyslog"] = _rsyslog(Path(folder) / "rsyslog")
        figures["many"] = _many_nodes(Path(folder) / "many")
    return figures


def rows(figures: dict[str, Any]) -> list[Row]:
    """The figures beside rsyslog's."""
    ours, theirs, many = figures["ours"], figures.get("rsyslog"), figures["many"]
    lines, shown = figures["lines"], []
    rate = f"{lines / ours['took_s']:.0f} lines/s"
    if theirs is None:
        shown.append(Row("logs: one node", rate, "rsyslog with RELP is not installed"))
    else:
        beside = f"rsyslog {lines / theirs['took_s']:.0f} lines/s"
        shown.append(Row("logs: one node", rate, beside, "no slower"))
        shown.append(
            ratio(
                *("logs: processor a line, all", _us(ours, lines), _us(theirs, lines)),
                *("us", None, "rsyslog"),
            )
        )
    shown += [
        Row(f"logs: {part}", f"{cpu_s / lines * 1e6:.2f} us a line", f"{ours['mib'][part]} MiB")
        for part, cpu_s in ours["cpu_s"].items()
    ]
    figure = f"logs: {many['nodes']} nodes x {many['rate']} lines/s"
    shown.append(Row(figure, f"{many['cores']:.2f} cores", "manager and Redis", "0.5 cores"))
    shown.append(Row(f"{figure}: behind", f"{many['behind_s']:.1f} s"))
    return shown


def _us(figures: dict[str, Any], lines: int) -> float:
    return round(sum(figures["cpu_s"].values()) / lines * 1e6, 2)


def _write(path: Path, lines: int) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as log:
        for _ in range(lines // 1000):
            log.write(_BATCH)
    return path.stat().st_size


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and ".collected" not in file.parts)


def _cpu(pid: int) -> float:
    used = psutil.Process(pid).cpu_times()
    return used.user + used.system


def _timed(pids: dict[str, int], done: Callable[[], bool]) -> dict[str, Any]:
    """Wait until `done`: the time, and the processor of each process."""
    before, began = {name: _cpu(pid) for name, pid in pids.items()}, time.monotonic()
    wait_until_sync(done, "all lines are there", _LIMIT_S)
    took_s = time.monotonic() - began
    return {
        "took_s": round(took_s, 3),
        "cpu_s": {name: round(_cpu(pid) - before[name], 3) for name, pid in pids.items()},
        "mib": {name: psutil.Process(pid).memory_info().rss >> 20 for name, pid in pids.items()},
    }


def _one_node(folder: Path) -> dict[str, Any]:
    size = _write(folder / "source" / "new.log", _LINES)
    with _site(folder) as (server, processes):
        manager = processes.manager("barca", "-c", _manager_file(folder))
        main = folder / "node.conf"
        main.write_text(f'cluster {{ logs = [ x = "{folder}/source/x.log" ] plumber = memory fence = none }}')
        node = processes.node("east1", "east", "-c", str(main))
        wait_until_sync(lambda: "joined" in node.log, "the node has joined")
        (folder / "source" / "new.log").rename(folder / "source" / "x.log")
        pids = {"node": node.popen.pid, "redis": server.pid, "manager": manager.popen.pid}
        return _timed(pids, lambda: _size(folder / "out") >= size)


@contextlib.contextmanager
def _site(folder: Path) -> Iterator[tuple[EmbeddedServer, Processes]]:
    folder.mkdir(exist_ok=True)
    with EmbeddedServer(folder / "redis") as server:
        processes = Processes(server.url, "bench", folder)
        try:
            yield server, processes
        finally:
            processes.end()


def _manager_file(folder: Path) -> str:
    (folder / "manager.conf").write_text(f'Logs {{ logfile = "{folder}/out/%Y/%m/%d/%{{l}}/%{{n}}" }}')
    return str(folder / "manager.conf")


def _rsyslog(folder: Path) -> dict[str, Any]:
    size, port = _write(folder / "source" / "new.log", _LINES), free_port()
    receiving = (
        f'global(workDirectory="{folder}" maxMessageSize="64k")\n{_QUEUE}module(load="imrelp")\n'
        'template(name="bare" type="string" string="%msg:2:$%\\n")\n'
        f'input(type="imrelp" port="{port}" address="127.0.0.1")\n'
        f'action(type="omfile" file="{folder}/out/x" template="bare" asyncWriting="off")\n'
    )
    sending = (
        f'global(workDirectory="{folder}/state" maxMessageSize="64k")\n{_QUEUE}module(load="imfile")\n'
        'module(load="omrelp")\n'
        f'input(type="imfile" file="{folder}/source/x.log" tag="x")\n'
        f'action(type="omrelp" target="127.0.0.1" port="{port}" windowSize="4096")\n'
    )
    (folder / "state").mkdir()
    running = []
    try:
        for name, text in (("manager", receiving), ("node", sending)):
            (folder / f"{name}.conf").write_text(text)
            arguments = ("-n", "-f", str(folder / f"{name}.conf"), "-i", str(folder / f"{name}.pid"))
            running.append(
                subprocess.Popen([str(_RSYSLOG), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            wait_until_sync((folder / f"{name}.pid").exists, "rsyslogd runs")
        (folder / "source" / "new.log").rename(folder / "source" / "x.log")
        pids = {"manager": running[0].pid, "node": running[1].pid}
        return _timed(pids, lambda: _size(folder / "out") >= size)
    finally:
        for process in running:
            process.terminate()
            process.wait(30)


def _many_nodes(folder: Path) -> dict[str, Any]:
    with _site(folder) as (server, processes):
        manager = processes.manager("barca", "-c", _manager_file(folder))
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
    try:
        written, began, cpu_s = 0, time.monotonic(), _cpu(redis) + _cpu(manager)
        while (now_s := time.monotonic() - began) < _SPAN_S:
            due = int(now_s * _RATE) - written
            # Half of each line is random, as addresses and ids are.
            lines = b"".join(b"%06d to=<%s> %s\n" % (n, os.urandom(24).hex().encode(), b"." * 37) for n in range(due))
            for log in logs:
                log.write(lines)
            written += due
            await asyncio.sleep(0.1)
        ended, size = time.monotonic(), sum(os.fstat(log.fileno()).st_size for log in logs)
        await asyncio.to_thread(wait_until_sync, lambda: _size(folder / "out") >= size, "all lines are there", _LIMIT_S)
        behind_s = time.monotonic() - ended
        cores = (_cpu(redis) + _cpu(manager) - cpu_s) / written * _RATE
        return {"nodes": _NODES, "rate": _RATE, "cores": round(cores, 3), "behind_s": behind_s}
    finally:
        for log in logs:
            log.close()
