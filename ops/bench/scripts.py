"""How long each script holds the server where there are 10,000 nodes: the longest call of each, by the slow log.

Nobody listens here; what PUBLISH itself costs with 10,000 who do is in the floor, and in no script of ours to change.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

from eccmgr.cluster.delivery import READ_AT_ONCE, Delivery
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.publishing import TOLD_OF
from eccmgr.cluster.view import EVERYONE, Target, TargetKind
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import names, script
from ops.bench.fleet import Fleet, fleet
from ops.bench.table import Row
from ops.bench.thin import Connection, connect

NODES = 10_000
_TARGET_MS = 5
_SLOW_US = 500
_LEASE_MS = 600_000
_STEP_MS = 1000
_SUBCLUSTER = "default"


def measure() -> dict[str, Any]:
    """The longest call of each script in ms; those that never took half a millisecond are left out."""
    with fleet() as running:
        return {"nodes": NODES, "longest_ms": asyncio.run(_longest(running))}


def rows(figures: dict[str, Any]) -> list[Row]:
    """The table's."""
    worst = sorted(figures["longest_ms"].items(), key=lambda item: -item[1])
    return [
        Row(f"{name}.lua holds Redis, {figures['nodes']} nodes", f"{ms} ms", "", f"{_TARGET_MS} ms")
        for name, ms in worst
    ]


async def _longest(running: Fleet) -> dict[str, float]:
    connection = await connect(str(running.server.socket))
    await connection.call("CONFIG", "SET", "slowlog-log-slower-than", _SLOW_US, "slowlog-max-len", 100_000)
    loaded = {await connection.call("SCRIPT", "LOAD", script(name).source): name for name in names()}
    link = Link(running.server.url)
    try:
        await _play(connection, link)
    finally:
        await link.close()
    longest: dict[str, float] = {}
    for entry in await connection.call("SLOWLOG", "GET", -1):
        if entry[3][0].upper() == b"EVALSHA":
            name = loaded[entry[3][1]]
            longest[name] = max(longest.get(name, 0.0), entry[2] / 1000)
    connection.transport.close()
    return longest


async def _play(connection: Connection, link: Link) -> None:
    """What happens to a cluster: all join, are asked and answer; some leave without a word."""
    keys = Keys("bench")
    delivery = Delivery(link, keys, ClusterOptions(), "notices")
    membership = (
        *(keys.state, keys.sessions, keys.members, keys.roster, keys.absent),
        *(keys.absent_since, keys.seniority, keys.subclusters, keys.events),
    )

    def run(name: str, names: tuple[str, ...], *args: str | int) -> Awaitable[Any]:
        return connection.call("EVALSHA", script(name).sha, len(names), *names, _STEP_MS, *args)

    for number in range(NODES):
        name = f"node{number}"
        lease_ms = 1 if number >= NODES * 9 // 10 else _LEASE_MS
        joined = (lease_ms, f"#ec0-1-{number:08x}#{name}", name, _SUBCLUSTER, "{}" * 100, "node", "", 0)
        await run(
            "join", (*membership, keys.vips, keys.vip_changes, keys.late), *joined, "", 0, 0, keys.ended_prefix, 0, 1
        )
    await delivery.view()
    spoken = await delivery.publish("pid", EVERYONE, "bench", 60.0)
    answers = (keys.state, keys.command(spoken.sent.id), keys.responses(spoken.sent.id), keys.arrived(spoken.sent.id))
    for seat in spoken.live:
        said = (seat.private_name, seat.key, 0, "ok", 1, "", "an answer", keys.view_prefix, 3_600_000, 0)
        await run("respond", (*answers, keys.roster, keys.plan(spoken.sent.id)), *said)
    for seen in range(0, len(spoken.live), READ_AT_ONCE):
        await run("collect", answers, seen, READ_AT_ONCE, len(spoken.live), TOLD_OF, "0")
    await delivery.retrieve(spoken.sent.id)
    await delivery.publish("pid", Target(TargetKind.SET, f"node[0-{NODES - 1}]"), "bench")
    await delivery.publish("pid", Target(TargetKind.SUBCLUSTER, _SUBCLUSTER), "bench")
    for _ in range(10):
        tail = (keys.log, keys.latest, keys.audit, keys.heads)
        await run("sweep", (*membership, *tail), 600_000, 3_600_000, 10_000, keys.command_prefix)
    await delivery.retrieve(spoken.sent.id)
    await delivery.history(1000)
    await delivery.flush()
