"""Simulated nodes: many in one process, each with its own connection.

They talk to Redis as nodes do, by the same scripts: they join, renew their leases, hear published commands, claim those
that a node would claim, and answer.

As a program this module is some of them: `python -m ops.bench.swarm SOCKET FIRST COUNT [signed]`. It prints
`event=ready` when all are members, and each time that they all are members again.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import hiredis

from eccmgr.access.seals import SealedAnswer
from eccmgr.cluster.calls import answers, commands, membership
from eccmgr.cluster.calls.answers import ClaimVerdict
from eccmgr.cluster.calls.membership import Joined, LastBeat, Renewed
from eccmgr.cluster.carrier import SessionRefusal
from eccmgr.cluster.members import Identity, Role
from eccmgr.cluster.names import private_name
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.results import SEALED, State
from eccmgr.node.messages import Message
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import ReadAs, ScriptCall, script
from ops.bench.fleet import Fleet
from ops.bench.keyed import CLUSTER, SUBCLUSTER, authenticity_of, certificate_of, sealer_of, voucher_of
from ops.bench.thin import Connection, Reply, allow_connections, connect

UNCLAIMED = "cluster nodename"
"""The command that nodes answer without a claim; they claim every other command first."""

PROCESSES = 2
_BACKOFF_S = (0.05, 1.0)
_RESOLUTION_S = 0.01


class ThinNode:
    """One node of the swarm; it calls `on_joined` when it is a member, and `on_lost` when it no longer is one.

    If it is `signed`, it believes the manager alone, and seals its answers.
    """

    def __init__(
        self,
        path: str,
        keys: Keys,
        name: str,
        on_joined: Callable[[], None],
        on_lost: Callable[[], None],
        *,
        signed: bool,
    ) -> None:
        self.name = name
        self._authenticity, self._sealer = authenticity_of(name, signed=signed), sealer_of(name, signed=signed)
        self._signed = signed
        self._path = path
        self._keys = keys
        self._options = ClusterOptions()
        self._channels = (keys.everyone, keys.subcluster(SUBCLUSTER), keys.node(name))
        self._on_joined, self._on_lost = on_joined, on_lost
        self._connection: Connection | None = None
        self._private = ""
        self._last = LastBeat()
        self._view = 0
        self._entry = "0-0"
        self._reconnecting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, subscribe, and go on with the old session, or join anew if that has ended."""
        connection = self._connection = await connect(self._path, self._heard, self._lost)
        connection.subscribe(*self._channels)
        if self._signed:
            line = certificate_of(self.name)
            connection.send(hiredis.pack_command(("SET", self._keys.certificate(self.name), line)), _ignore)
        if self._private and not isinstance(await self._call(self._heartbeat), Renewed):
            self._private = ""
        if not self._private:
            await self._join()
        await self._catch_up()
        self._on_joined()

    @property
    def stretch(self) -> float:
        """The factor by which its heartbeats are further apart than configured, from the reply to the last of them."""
        return self._last.stretch

    def renew(self) -> None:
        """Send a heartbeat."""
        if self._connection is not None and self._private:
            self._run(self._heartbeat, self._renewed)

    def _run(self, call: ScriptCall[Any], reply: Reply) -> None:
        """Call a script; if the server does not know it, it has not run, and its text is sent."""
        if (connection := self._connection) is None:
            reply(hiredis.ReplyError("the connection was lost"))
            return
        name, keys, args, _ = call

        def heard(answer: Any) -> None:
            if isinstance(answer, hiredis.ReplyError) and str(answer).startswith("NOSCRIPT"):
                connection.send(hiredis.pack_command(("EVAL", script(name).source, len(keys), *keys, *args)), reply)
            else:
                reply(answer)

        connection.send(hiredis.pack_command(("EVALSHA", script(name).sha, len(keys), *keys, *args)), heard)

    async def _call(self, call: ScriptCall[ReadAs]) -> ReadAs:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._run(call, done.set_result)
        reply = await done
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return call.answer(reply)

    async def _join(self) -> None:
        keys, options = self._keys, self._options
        fresh = private_name(Role.NODE.tag, os.getpid(), self.name)
        identity = Identity(Role.NODE, self.name, SUBCLUSTER, "5.0", "10.0.0.1:0", (keys.cluster,), 0.0)
        if self._signed:
            identity = replace(identity, vouch=voucher_of(self.name).vouch)
        call = membership.join(keys, options, identity, fresh, rate=options.heartbeats_per_sec)
        while not isinstance(joined := await self._call(call), Joined):
            await asyncio.sleep(0.1)
        self._private, self._view, self._entry = fresh, joined.view, joined.last_entry
        self._last = LastBeat(stretch=joined.stretch)

    @property
    def _heartbeat(self) -> ScriptCall[Renewed | SessionRefusal]:
        rate = self._options.heartbeats_per_sec
        return membership.renew(self._keys, self._options, self._private, self._channels, rate=rate, last=self._last)

    def _renewed(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            return
        answer = self._heartbeat.answer(reply)
        if isinstance(answer, Renewed):
            self._last = LastBeat(answer.view, answer.leader, answer.stretch)
            return
        # The session has lapsed, or Redis has lost its data: join anew.
        self._private = ""
        if self._connection is not None:
            self._connection.transport.abort()

    async def _catch_up(self) -> None:
        read = commands.catch_up(self._keys, self._options, self._entry, 200, self.name, self._channels)
        for message in (await self._call(read)).messages:
            self._heard(b"", message)

    def _heard(self, _channel: bytes, data: bytes) -> None:
        if data.startswith(b'{"abort":'):
            return
        message = Message.parse(data, time.monotonic())
        if message.view < self._view:
            return
        self._entry = message.entry
        self._authenticity.open(message)
        if message.text == UNCLAIMED and not message.planned:
            self._respond(message, claimed=False)
        else:
            self._claim(message)

    def _claim(self, message: Message) -> None:
        call = answers.claim(self._keys, self._options, message.id, self._private, self.name, self._view)

        def claimed(reply: Any) -> None:
            if not isinstance(reply, hiredis.ReplyError) and call.answer(reply).verdict is ClaimVerdict.CLAIMED:
                self._respond(message, claimed=True)

        self._run(call, claimed)

    def _respond(self, message: Message, *, claimed: bool) -> None:
        body, flags = self.name.encode(), ""
        answer = SealedAnswer(message.id, message.of, self._private, State.OK.value, 0, SEALED, body)
        if seals := self._sealer.seals(answer):
            body, flags = seals + b"\n" + body, SEALED
        call = answers.respond(
            self._keys,
            self._options,
            message.id,
            self._private,
            self.name,
            self._view,
            state=State.OK,
            took_ms=0,
            flags=flags,
            body=body,
            claimed=claimed,
        )
        self._run(call, _ignore)

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

    def __init__(self, path: str, first: int, count: int, *, signed: bool) -> None:
        self._nodes = [
            ThinNode(path, Keys(CLUSTER), f"node{number}", self._joined, self._lost, signed=signed)
            for number in range(first, first + count)
        ]
        self._members = 0

    async def run(self) -> None:
        """Have the nodes join one after another, and keep them in the cluster."""
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
        """Send the nodes' heartbeats, evenly spread over the time between two heartbeats of a node."""
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


def start_swarm(running: Fleet, count: int, *, signed: bool = False) -> None:
    """Start `count` simulated nodes of the default cluster, in a few processes."""
    _start(running, "ops.bench.swarm", count, *(("signed",) if signed else ()))


def start_floor(running: Fleet, count: int) -> None:
    """Start `count` nodes of the floor, in as many processes."""
    _start(running, "ops.bench.floor", count)


def _start(running: Fleet, module: str, count: int, *more: str) -> None:
    running.let_in(count)
    for number in range(PROCESSES):
        first, end = number * count // PROCESSES, (number + 1) * count // PROCESSES
        running.spawn(sys.executable, "-m", module, str(running.server.socket), str(first), str(end - first), *more)


def _ignore(_reply: Any) -> None:
    pass


if __name__ == "__main__":
    asyncio.run(Swarm(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), signed="signed" in sys.argv[4:]).run())
