"""Resident memory of an idle manager and an idle node, against a Python process that runs an empty event loop."""

import sys
import time
from typing import Any

import psutil

from ops.bench.fleet import fleet
from ops.bench.table import Row

_SETTLE_S = 5.0
_MIB = 1024 * 1024


def measure() -> dict[str, Any]:
    """The figures in MiB; the target is under 60 for each daemon."""
    with fleet() as running:
        manager = running.daemon("eccmgr", "manager")
        node = running.daemon("ecnode", "node1")
        running.wait_ready()
        floor = running.spawn(sys.executable, "-c", "import asyncio; asyncio.run(asyncio.sleep(600))")
        time.sleep(_SETTLE_S)
        resident = {
            name: round(psutil.Process(process.pid).memory_info().rss / _MIB, 1)
            for name, process in (("manager", manager), ("node", node), ("floor", floor))
        }
    return {f"{name}_mib": value for name, value in resident.items()} | {"target_mib": 60}


def rows(figures: dict[str, Any]) -> list[Row]:
    """The rows of the printed table."""
    beside, target = f"an empty event loop {figures['floor_mib']} MiB", f"{figures['target_mib']} MiB"
    return [
        Row(f"idle {each}, memory", f"{figures[f'{each}_mib']} MiB", beside, target) for each in ("manager", "node")
    ]
