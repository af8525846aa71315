"""The time of `ec_console ENDPOINT version` as a whole process, against `python -c pass`."""

import statistics
import subprocess
import sys
import time
from typing import Any

from ops.bench.fleet import PROGRAMS, fleet
from ops.bench.table import Row, ratio

ROUNDS = 20


def measure() -> dict[str, Any]:
    """The figures: medians in ms and their ratio; the target is at most 8."""
    with fleet() as running:
        running.daemon("eccmgr", "manager")
        running.wait_ready()
        ours = [str(PROGRAMS / "ec_console"), str(running.folder / "manager"), "version"]
        floor = [sys.executable, "-c", "pass"]
        pairs = [(_milliseconds(ours), _milliseconds(floor)) for _ in range(ROUNDS + 2)][2:]
    console_ms, floor_ms = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {
        "console_ms": round(console_ms, 1),
        "floor_ms": round(floor_ms, 1),
        "console_to_floor": round(console_ms / floor_ms, 2),
        "target": 8,
    }


def rows(figures: dict[str, Any]) -> list[Row]:
    """The rows of the printed table."""
    ours, floor = figures["console_ms"], figures["floor_ms"]
    return [ratio("ec_console ENDPOINT version", ours, floor, "ms", figures["target"], "python -c pass")]


def _milliseconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1000
