"""Resident memory of an idle manager and an idle node, against a Python process that runs an empty event loop."""

import sys
import time

import psutil

from ops.bench.fleet import fleet

_SETTLE_S = 5.0
_MIB = 1024 * 1024


def measure() -> dict[str, object]:
    """Megabytes (MiB); the target is under 60 for each daemon."""
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
