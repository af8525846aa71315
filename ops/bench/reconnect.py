"""The return of a thousand simulated nodes after their Redis server stopped and came back, with its data or without."""

import contextlib
import time
from pathlib import Path
from typing import Any

import redis

from ops.bench.fleet import Client, Fleet, fleet
from ops.bench.swarm import PROCESSES, UNCLAIMED, start_swarm
from ops.bench.table import Row

NODES = 1000
_LONGEST_S = 60.0
_TARGET_S = 3.0


def measure() -> dict[str, Any]:
    """The figures in seconds after the server answers again: until every node is a member and listens, and until a
    gather that is repeated from then on has the answers of all of them."""
    return {"nodes": NODES, "empty": _round(keep=False), "kept": _round(keep=True)}


def rows(figures: dict[str, Any]) -> list[Row]:
    """The rows of the printed table."""
    return [
        Row(
            f"{NODES} nodes back, Redis {'with its data' if name == 'kept' else 'empty'}",
            f"{figures[name]['back_s']} s",
            f"all answer after {figures[name]['answered_s']} s",
            f"{_TARGET_S:g} s",
        )
        for name in ("empty", "kept")
    ]


def _round(*, keep: bool) -> dict[str, float]:
    with fleet() as running:
        running.daemon("eccmgr", "manager")
        start_swarm(running, NODES)
        running.wait_ready()
        if keep:
            with _server(running) as server:
                server.save()
        running.server.stop()
        if not keep:
            (running.server.folder / "dump.rdb").unlink(missing_ok=True)
        running.server.start()
        started = time.time()
        back = max(_last_ready(running.folder / f"log-{number}") for number in range(1, PROCESSES + 1)) - started
        client = Client(running.folder / "manager")
        while f"{NODES} of {NODES} answered".encode() not in client.ask(f"gather --timeout 2 {UNCLAIMED}"):
            if time.time() > started + _LONGEST_S:
                raise RuntimeError("they do not come back")
        client.close()
        return {"back_s": round(back, 2), "answered_s": round(time.time() - started, 2)}


def _last_ready(log: Path) -> float:
    """The time at which the nodes of a process reported the second time that all of them are members."""
    deadline = time.monotonic() + _LONGEST_S
    while time.monotonic() < deadline:
        found = [line for line in log.read_text().splitlines() if line.startswith("event=ready")]
        if len(found) > 1:
            return float(found[-1].partition("at=")[2])
        time.sleep(0.02)
    raise RuntimeError(f"they do not come back: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def _server(running: Fleet) -> "Any":
    client = redis.Redis(unix_socket_path=str(running.server.socket))
    try:
        yield client
    finally:
        client.close()
