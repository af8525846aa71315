"""The time for which each script blocks Redis in a cluster of 10,000 nodes: its longest call, from the slow log.

There are no subscribers here: the cost of PUBLISH with 10,000 subscribers is part of the floor, and no script of ours
can change it.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

from eccmgr.cluster.calls import answers, membership
from eccmgr.cluster.calls.answers import READ_AT_ONCE
from eccmgr.cluster.delivery import Delivery
from eccmgr.cluster.members import Identity, Role
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.view import EVERYONE, Target, TargetKind
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import ScriptCall, names, script
from ops.bench.fleet import Fleet, fleet
from ops.bench.table import Row
from ops.bench.thin import Connection, connect

NODES = 10_000
_TARGET_MS = 5
_SLOW_US = 500
_LEASE_S = 600.0
_SUBCLUSTER = "default"


def measure() -> dict[str, Any]:
    """The longest call of each script in ms, without those that never took half a millisecond."""
    with fleet() as running:
        return {"nodes": NODES, "longest_ms": asyncio.run(_longest(running))}


def rows(figures: dict[str, Any]) -> list[Row]:
    """The rows of the printed table."""
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
    """Play the life of a cluster: all nodes join, get a command and answer it; some disappear without a leave."""
    keys, options = Keys("bench"), ClusterOptions(session_lease_s=_LEASE_S, absent_ttl_s=600, max_step_s=1)
    delivery = Delivery(link, keys, options, "notices")

    def run(call: ScriptCall[Any]) -> Awaitable[Any]:
        return connection.call("EVALSHA", script(call.script).sha, len(call.keys), *call.keys, *call.args)

    for number in range(NODES):
        name = f"node{number}"
        times = replace(options, session_lease_s=0.001) if number >= NODES * 9 // 10 else options
        identity = Identity(Role.NODE, name, _SUBCLUSTER, "5.0", "10.0.0.1:0", (keys.cluster,), 0.0)
        await run(membership.join(keys, times, identity, f"#ec0-1-{number:08x}#{name}", rate=0))
    await delivery.view()
    spoken = await delivery.publish("pid", EVERYONE, "bench", 60.0)
    made = spoken.sent.id
    said = {"state": "ok", "took_ms": 1, "flags": "", "body": b"an answer", "claimed": False}
    for seat in spoken.live:
        await run(answers.respond(keys, options, made, seat.private_name, seat.key, 0, **said))
    for seen in range(0, len(spoken.live), READ_AT_ONCE):
        await run(answers.collect(keys, options, made, seen, len(spoken.live), last=False))
    await delivery.retrieve(spoken.sent.id)
    await delivery.publish("pid", Target(TargetKind.SET, f"node[0-{NODES - 1}]"), "bench")
    await delivery.publish("pid", Target(TargetKind.SUBCLUSTER, _SUBCLUSTER), "bench")
    for _ in range(10):
        await run(membership.sweep(keys, options))
    await delivery.retrieve(spoken.sent.id)
    await delivery.history(1000)
    await delivery.flush()
