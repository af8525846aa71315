"""Simulated nodes: many in one process with a connection each, which speak with Redis exactly as nodes do, by the same
scripts: they join, renew, hear what is published, claim where a node would, and answer.

As a program it is some of them: `python -m ops.bench.swarm SOCKET FIRST COUNT`. It says `event=ready` once all
are members, and each time that they are again.
"""

import asyncio
import functools
import json
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import hiredis

from eccmgr.cluster.members import Identity, Role
from eccmgr.cluster.names import private_name
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import script
from ops.bench.fleet import Fleet
from ops.bench.thin import Connection, Reply, allow_connections, connect

UNCLAIMED = "cluster nodename"
"""The command that is answered without a claim, as nodes answer it; every other is claimed first."""

PROCESSES = 2
_CLUSTER = "ec_cluster"
_SUBCLUSTER = "default"
_BACKOFF_S = (0.05, 1.0)
_RESOLUTION_S = 0.01
_RESULTS_MS = to_ms(ClusterOptions().results_ttl_s)


@functools.lru_cache(16)
def _message(data: bytes) -> Any:
    """What is published, read once for all nodes of this process, as each would read it on a host of its own."""
    return json.loads(data)


@functools.lru_cache(16)
def _keys_of(keys: Keys, wanted: str) -> tuple[str, ...]:
    """The keys that an answer to the command `wanted` takes."""
    return (
        *(keys.state, keys.command(wanted), keys.responses(wanted), keys.arrived(wanted)),
        *(keys.roster, keys.plan(wanted)),
    )


class ThinNode:
    """One node of the swarm; `on_joined` and `on_lost` say that it is, or is no more, a member."""

    def __init__(
        self, path: str, keys: Keys, name: str, on_joined: Callable[[], None], on_lost: Callable[[], None]
    ) -> None:
        self.name = name
        self._path = path
        self._keys = keys
        self._options = ClusterOptions()
        self._step = to_ms(self._options.max_step_s)
        self._channels = (keys.everyone, keys.subcluster(_SUBCLUSTER), keys.node(name))
        self._on_joined, self._on_lost = on_joined, on_lost
        self._connection: Connection | None = None
        self._private = ""
        self.stretch = 1.0
        """How many times as long as configured its heartbeats are apart, as the last of them was told."""
        self._before: tuple[bytes, bytes, bytes] = (b"0", b"", b"1")
        self._view = 0
        self._entry = "0-0"
        self._reconnecting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, listen, and be a member: the old one where its session lives on, else anew."""
        connection = self._connection = await connect(self._path, self._heard, self._lost)
        connection.subscribe(*self._channels)
        if self._private and (await self._call("renew", self._renewal[0], *self._renewal[1]))[0] != b"renewed":
            self._private = ""
        if not self._private:
            await self._join()
        await self._catch_up()
        self._on_joined()

    def renew(self) -> None:
        """A heartbeat."""
        if self._connection is not None and self._private:
            self._run("renew", *self._renewal, self._renewed)

    def _run(self, name: str, keys: tuple[str, ...], args: tuple[str | bytes | int, ...], reply: Reply) -> None:
        """Call a script; one that the server does not know has not run, and is sent whole."""
        if (connection := self._connection) is None:
            reply(hiredis.ReplyError("the connection was lost"))
            return

        def heard(answer: Any) -> None:
            if isinstance(answer, hiredis.ReplyError) and str(answer).startswith("NOSCRIPT"):
                connection.send(hiredis.pack_command(("EVAL", script(name).source, len(keys), *keys, *args)), reply)
            else:
                reply(answer)

        connection.send(hiredis.pack_command(("EVALSHA", script(name).sha, len(keys), *keys, *args)), heard)

    async def _call(self, name: str, keys: tuple[str, ...], *args: str | bytes | int) -> Any:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._run(name, keys, args, done.set_result)
        answer = await done
        if isinstance(answer, hiredis.ReplyError):
            raise answer
        return answer

    async def _join(self) -> None:
        keys = self._keys
        fresh = private_name(Role.NODE.tag, os.getpid(), self.name)
        record = Identity(Role.NODE, self.name, _SUBCLUSTER, "5.0", "10.0.0.1:0", (keys.cluster,), 0.0)
        while True:
            answer = await self._call(
                "join",
                (
                    *(keys.state, keys.sessions, keys.members, keys.roster, keys.absent),
                    *(keys.absent_since, keys.seniority, keys.subclusters, keys.events),
                    *(keys.vips, keys.vip_changes, keys.late),
                ),
                *(self._step, to_ms(self._options.session_lease_s), fresh, self.name, _SUBCLUSTER),
                *(record.member(fresh).dump(), Role.NODE.value.lower(), "", 0),
                *("", 0, 0, keys.ended_prefix, *self._rates),
            )
            if answer[0] == b"joined":
                break
            await asyncio.sleep(0.1)
        self._private, self._view, self._entry = fresh, int(answer[1]), answer[3].decode()
        self.stretch = float(answer[5])
        self._before = (b"0", b"", b"1")

    @property
    def _renewal(self) -> tuple[tuple[str, ...], tuple[str | bytes | int, ...]]:
        own, options = self._keys, self._options
        keys = (own.state, own.sessions, own.seniority, own.heads, own.roster, own.vips, own.vip_changes, own.late)
        lease_ms = to_ms(options.session_lease_s)
        return keys, (
            self._step,
            lease_ms,
            self._private,
            *self._rates,
            *self._before,
            *self._carries_none,
            *self._channels,
        )

    @property
    def _rates(self) -> tuple[str, str]:
        return str(self._options.heartbeats_per_sec), str(self._options.heartbeats_borne_per_sec)

    @property
    def _carries_none(self) -> tuple[str | int, ...]:
        return ("", 0, "", 0, self._keys.ended_prefix)

    def _renewed(self, answer: Any) -> None:
        if isinstance(answer, hiredis.ReplyError):
            return
        if answer[0] != b"renewed":
            # It lapsed, or Redis has lost its memory: begin anew.
            self._private = ""
            if self._connection is not None:
                self._connection.transport.abort()
        else:
            self._before = (answer[1], answer[4], answer[6])
            self.stretch = float(answer[6])

    async def _catch_up(self) -> None:
        keys = (self._keys.state, self._keys.log)
        args = (self._step, self._entry, 200, self._keys.command_prefix, self.name, *self._channels)
        for message in (await self._call("catchup", keys, *args))[2]:
            self._heard(b"", message)

    def _heard(self, _channel: bytes, data: bytes) -> None:
        message = _message(data)
        if "abort" in message or message["view"] < self._view:
            return
        self._entry = message["entry"]
        if message["text"] == UNCLAIMED and not message["planned"]:
            self._respond(message["id"], 0)
        else:
            self._claim(message["id"])

    def _claim(self, wanted: str) -> None:
        state, command, responses, _, _, plan = _keys_of(self._keys, wanted)

        def claimed(answer: Any) -> None:
            if not isinstance(answer, hiredis.ReplyError) and answer[0] == b"claimed":
                self._respond(wanted, 1)

        self._run(
            "claim",
            (state, self._keys.sessions, command, responses, plan),
            (self._step, self._private, self.name, self._view, 0),
            claimed,
        )

    def _respond(self, wanted: str, claimed: int) -> None:
        said = (
            self._private,
            self.name,
            self._view,
            "ok",
            0,
            "",
            self.name,
            self._keys.view_prefix,
            _RESULTS_MS,
            claimed,
        )
        self._run("respond", _keys_of(self._keys, wanted), (self._step, *said), _ignore)

    def _lost(self) -> None:
        if self._reconnecting is None:
            self._on_lost()
            self._connection = None
            self._reconnecting = asyncio.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        shortest_s, longest_s = _BACKOFF_S
        pause_s = shortest_s
        while True:
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
            pause_s = min(pause_s * 2, longest_s)
            try:
                await self.start()
            except (OSError, hiredis.ReplyError):
                continue
            self._reconnecting = None
            return


class Swarm:
    """The nodes of one process."""

    def __init__(self, path: str, first: int, count: int) -> None:
        self._nodes = [
            ThinNode(path, Keys(_CLUSTER), f"node{number}", self._joined, self._lost)
            for number in range(first, first + count)
        ]
        self._members = 0

    async def run(self) -> None:
        """Join one after another, and stay."""
        allow_connections()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew_forever())
            for node in self._nodes:
                await node.start()

    def _joined(self) -> None:
        self._members += 1
        if self._members == len(self._nodes):
            print(f"event=ready at={time.time():.3f}", flush=True)

    def _lost(self) -> None:
        self._members -= 1

    async def _renew_forever(self) -> None:
        """Each node at its time: they stand evenly over the time between two heartbeats of one."""
        at, owed = 0, 0.0
        last = time.monotonic()
        while True:
            await asyncio.sleep(_RESOLUTION_S)
            now = time.monotonic()
            each_s = ClusterOptions().heartbeat_s * self._nodes[at].stretch
            owed = min(owed + (now - last) / each_s * len(self._nodes), float(len(self._nodes)))
            last = now
            while owed >= 1:
                self._nodes[at].renew()
                at, owed = (at + 1) % len(self._nodes), owed - 1


def start_swarm(running: Fleet, count: int) -> None:
    """Start `count` simulated nodes of the default cluster, in a few processes."""
    _start(running, "ops.bench.swarm", count)


def start_floor(running: Fleet, count: int) -> None:
    """Start `count` nodes of the floor, in as many processes."""
    _start(running, "ops.bench.floor", count)


def _start(running: Fleet, module: str, count: int) -> None:
    running.let_in(count)
    for number in range(PROCESSES):
        first, end = number * count // PROCESSES, (number + 1) * count // PROCESSES
        running.spawn(sys.executable, "-m", module, str(running.server.socket), str(first), str(end - first))


def _ignore(_reply: Any) -> None:
    pass


if __name__ == "__main__":
    asyncio.run(Swarm(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).run())
