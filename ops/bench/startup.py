"""The time of `ec_console ENDPOINT version` as a whole process, and with an option, against `python -c pass`."""

import statistics
import subprocess
import sys
import time
from typing import Any

from ops.bench.fleet import PROGRAMS, fleet
from ops.bench.table import Row, ratio

ROUNDS = 20


def measure() -> dict[str, Any]:
    """The figures: medians in ms and their ratios; the targets are at most 8, and 15 with an option."""
    with fleet() as running:
        running.daemon("eccmgr", "manager")
        running.wait_ready()
        console, endpoint = str(PROGRAMS / "ec_console"), str(running.folder / "manager")
        calls = (
            [console, endpoint, "version"],
            [console, "--fold", endpoint, "version"],
            [sys.executable, "-c", "pass"],
        )
        rounds = [[_milliseconds(call) for call in calls] for _ in range(ROUNDS + 2)][2:]
    console_ms, option_ms, floor_ms = (statistics.median(column) for column in zip(*rounds, strict=True))
    return {
        "console_ms": round(console_ms, 1),
        "option_ms": round(option_ms, 1),
        "floor_ms": round(floor_ms, 1),
        "console_to_floor": round(console_ms / floor_ms, 2),
        "option_to_floor": round(option_ms / floor_ms, 2),
        "target": 8,
        "option_target": 15,
    }


def rows(figures: dict[str, Any]) -> list[Row]:
    """The rows of the printed table."""
    floor = figures["floor_ms"]
    return [
        ratio("ec_console ENDPOINT version", figures["console_ms"], floor, "ms", figures["target"], "python -c pass"),
        ratio(
            "ec_console --fold ENDPOINT version",
            *(figures["option_ms"], floor, "ms", figures["option_target"], "python -c pass"),
        ),
    ]


def _milliseconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1000
