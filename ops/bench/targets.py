"""Targets in a cluster of 10,000 nodes with tags: what a view of them takes of Redis, and what finding the nodes takes.

All figures are medians of processor time.
"""

import asyncio
import re
import statistics
import time
from collections.abc import Callable
from typing import Any

from eccmgr.cluster.calls import membership, views
from eccmgr.cluster.facts import facts
from eccmgr.cluster.members import Identity, Role
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.roster import Roster
from eccmgr.cluster.view import View
from eccmgr.commands.target import read_target
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from ops.bench.fleet import Fleet, fleet
from ops.bench.table import Row
from ops.bench.thin import connect

NODES = 10_000
_ROUNDS = 9
_ROLES = ("mta", "db", "web")
_DCS = ("ams", "fra", "lon", "nyc")
_REDIS_MS = 5
_ALL_MS = 100
_KEPT_MS = 60_000
_BUSY = re.compile(rb"used_cpu_(?:sys|user)_main_thread:([0-9.]+)")
TARGETS = ("@all!node7", "@role:mta", "@east&role:m*!node3", "(@east^@dc:ams),node[0-999]")


def measure() -> dict[str, Any]:
    """The figures in ms: what making a view takes of Redis in one step, and what reading each target takes."""
    with fleet() as running:
        bare_ms, _ = asyncio.run(_read(running, "bare"))
        redis_ms, view = asyncio.run(_read(running, "tagged"))
    by_hand = _median(lambda: _by_hand(view))
    first, later = {}, {}
    for target in TARGETS:
        first[target] = _median(lambda target=target: read_target(target, _anew(view)))  # type: ignore[misc]
        later[target] = _median(lambda target=target: read_target(target, view))  # type: ignore[misc]
    redis = {"redis_ms": redis_ms, "redis_bare_ms": bare_ms}
    return {"nodes": NODES, **redis, "floor_ms": by_hand, "first_ms": first, "later_ms": later}


def rows(figures: dict[str, Any]) -> list[Row]:
    """The rows of the printed table."""
    nodes, floor, bare = figures["nodes"], figures["floor_ms"], figures["redis_bare_ms"]
    return [
        Row(
            f"a view of {nodes:,} tagged nodes, the step of Redis",
            f"{figures['redis_ms']} ms  ({figures['redis_ms'] / bare:.3g} x)",
            f"without tags {bare} ms",
            f"{_REDIS_MS} ms",
        ),
        *(
            Row(
                f"{target} of {nodes:,} nodes, {when} in a view",
                f"{ms} ms  ({ms / floor:.3g} x)",
                f"Python's sets {floor} ms",
                f"{_ALL_MS} ms",
            )
            for when in ("first", "later")
            for target, ms in figures[f"{when}_ms"].items()
        ),
    ]


async def _read(running: Fleet, cluster: str) -> tuple[float, View]:
    """The time that Redis takes for the one step that makes a view, in ms, and the view."""
    keys, options = Keys(cluster), ClusterOptions(session_lease_s=600.0, max_step_s=1)
    connection, link = await connect(str(running.server.socket)), Link(running.server.url)

    async def join(number: int, life: int) -> None:
        name = f"node{number}"
        tags = {"role": _ROLES[number % 3], "dc": _DCS[number // 7 % 4], "rack": f"r{number // 40}", **facts()}
        identity = Identity(Role.NODE, name, "east" if number % 2 else "west", tags=tags if cluster == "tagged" else {})
        await link.run(membership.join(keys, options, identity, f"#ec0-{life}#{name}", rate=0, takes_over=True))

    async def busy_s() -> float:
        return sum(float(part) for part in _BUSY.findall(await connection.call("INFO", "cpu")))

    try:
        for number in range(NODES):
            await join(number, 0)
        took_s = []
        for life in range(1, _ROUNDS + 1):
            # A change of any node makes a new view, which the next reader has copied.
            await join(0, life)
            before_s = await busy_s()
            await link.run(views.roster(keys, options, _KEPT_MS, ""))
            took_s.append(await busy_s() - before_s)
        return round(statistics.median(took_s) * 1000, 2), await Roster(link, keys, options).now()
    finally:
        await link.close()
        connection.transport.close()


def _anew(view: View) -> View:
    """The same view, as it was read and never asked for anything."""
    return View(view.number, view.live, view.absent)


def _by_hand(view: View) -> str:
    """`@east&role:mta!node3` by Python's own sets, the names with commas between them."""
    seats = view.live.values()
    east = {seat.name for seat in seats if seat.subcluster == "east"}
    mta = {seat.name for seat in seats if seat.tags["role"] == "mta"}
    return ",".join(sorted((east & mta) - {"node3"}))


def _median(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return round(statistics.median(times) * 1000, 2)
