"""The processor time in which the console folds the answers of 10,000 nodes, against that in which it reads them as
JSON."""

import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from cli.console.display import folded
from cli.console.glance import LiveGather
from cli.console.likeness import Folding
from cli.console.region import region
from cli.console.settings import DisplaySettings
from ops.bench.table import Row

NODES = 10_000
ROUNDS = 7
TARGET_S = 0.7
_SHAPES = {
    "equal": DisplaySettings(Folding.ON),
    "similar": DisplaySettings(Folding.SIMILAR),
    "similar, differences": DisplaySettings(Folding.SIMILAR, diff=True),
}


def measure() -> dict[str, Any]:
    """The figures: medians in s for each way to fold, for the live groups of a stream, and for reading the JSON."""
    body = _body()
    figures: dict[str, Any] = {"nodes": NODES, "rounds": ROUNDS, "target_s": TARGET_S}
    figures["read_s"] = _median_s(lambda: json.loads(body))
    for name, settings in _SHAPES.items():
        figures[name] = _median_s(lambda settings=settings: folded(body, settings))  # type: ignore[misc]
    events = [{"event": "response", **node} for node in json.loads(body)["nodes"]]
    figures["live"] = _median_s(lambda: _followed(events))
    return figures


def rows(figures: dict[str, Any]) -> list[Row]:
    """The rows of the printed table."""
    read_s = figures["read_s"]
    return [
        Row(
            f"{figures['nodes']} answers, {name}",
            f"{figures[name]:g} s  ({figures[name] / read_s:.3g} x)",
            f"json.loads {read_s:g} s",
            f"{figures['target_s']} s",
        )
        for name in (*_SHAPES, "live")
    ]


def _median_s(measured: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS + 1):
        started = time.process_time()
        measured()
        seconds.append(time.process_time() - started)
    return round(statistics.median(seconds[1:]), 3)


def _body() -> str:
    """An answer in which each node tells its own name and two numbers, and every thousandth has failed."""
    draw = random.Random(1)
    nodes = [
        {
            "node": f"node{number}",
            "state": "failed" if number % 1000 == 0 else "ok",
            "seconds": round(draw.uniform(0, 3), 3),
            "text": f"node{number} up {draw.randrange(60)} m {draw.randrange(60)} s",
        }
        for number in range(NODES)
    ]
    return json.dumps({"body": "# HEADER", "nodes": nodes})


def _followed(events: list[dict[str, Any]]) -> None:
    """Follow a stream as the terminal does, with one drawing at its end."""
    gather = LiveGather(Folding.SIMILAR, time.monotonic)
    names = [event["node"] for event in events]
    gather.take({"event": "progress", "command_id": "ID", "expected": len(names), "nodes": names})
    for event in events:
        gather.take(event)
    region(gather.now(), 100, 24, grouping=True, keys=True)
