"""The times to read and check, and to reload, a configuration of 12,000 bindings, beside splitting it into words."""

import asyncio
import shlex
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eccmgr.config.live.store import Store
from eccmgr.config.live.transaction import ConfigSession
from ops.bench.table import Row

_BINDINGS = 12_000
_ROUNDS = 5


def measure() -> dict[str, Any]:
    """The figures: medians in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        main = Path(folder) / "main.conf"
        main.write_text("".join(map(_binding, range(_BINDINGS))))
        store = Store.open(str(main))
        read_s = _median(lambda: Store.open(str(main)))
        reload_s = _median(lambda: asyncio.run(store.reload(ConfigSession(), "bench")))
        floor_s = _median(lambda: shlex.split(main.read_text(), comments=True))
        size = main.stat().st_size
    return {
        "bindings": _BINDINGS,
        "bytes": size,
        "read_and_check_s": round(read_s, 3),
        "reload_s": round(reload_s, 3),
        "floor_s": round(floor_s, 3),
        "read_to_floor": round(read_s / floor_s, 2),
        "target_read_s": 2,
        "target_reload_s": 4,
    }


def rows(figures: dict[str, Any]) -> list[Row]:
    """The rows of the printed table."""
    size, floor = f"{figures['bindings']:,} bindings", f"cutting it into words {figures['floor_s']} s"
    return [
        Row(f"{size} {what}", f"{figures[f'{name}_s']} s", floor, f"{figures[f'target_{target}_s']} s")
        for what, name, target in (("read and checked", "read_and_check", "read"), ("reloaded", "reload", "reload"))
    ]


def _binding(number: int) -> str:
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return (
        f'Binding "duravip-{number}" {{\n  Enable_Duravip = true\n  Bind_Address = "{address}"\n'
        f'  Duravip_Preference = "node{number % 40}"\n}}\n'
    )


def _median(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
