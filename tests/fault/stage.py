"""Real processes on a real server, each behind its own proxy, and the faults that strike them."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from eccmgr.cluster.calls.views import roster
from eccmgr.cluster.options import ClusterOptions
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import script
from tests.daemons import ROOT
from tests.fault.ledger import Ledger, Mark, Sample, Sent
from tests.fault.plan import MANAGERS, NODES, Fault, Kind
from tests.fault.proxy import FaultProxy, Trap
from tests.fault.vetoes import REAL, Veto, Vetoing
from tests.times import FAULT_TIMES

COMMAND_TTL_S = 2.0
_CONFIGURATION = f"""
cluster {{
  {FAULT_TIMES}
  command_ttl = {COMMAND_TTL_S}
}}
"""
_SAMPLE_EVERY_S = 0.05
_HEARD_KEPT = 500
_TRAP_WAIT_S = 1.5


@dataclass
class Actor:
    """A daemon in a process of its own, which is killed and started again."""

    name: str
    arguments: tuple[str, ...]
    proxy: FaultProxy
    endpoint: Path
    log: Path
    popen: subprocess.Popen[bytes] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def start(self) -> None:
        """Start it if it does not run."""
        if self.popen is not None and self.popen.poll() is None:
            return
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("ECCMGR_", "EC_", "COV_"))}
        with self.log.open("ab") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", *self.arguments, "--redis", self.proxy.url, "--listen", str(self.endpoint)],
                cwd=ROOT,
                env=clean,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.popen is not None and self.popen.poll() is None:
            self.popen.send_signal(number)

    def kill(self) -> None:
        """Kill it, and wait for its end."""
        self.signal(signal.SIGKILL)
        if self.popen is not None:
            self.popen.wait(30)

    def end(self) -> None:
        """Tell it to end, and wait for that; kill it if it does not end."""
        self.signal(signal.SIGTERM)
        if self.popen is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(3)
        self.kill()


class Stage:
    """The server, the daemons and the observers of a whole run."""

    def __init__(self, folder: Path) -> None:
        self.keys = Keys("stage")
        self.server = EmbeddedServer(folder / "redis")
        self.ledger = Ledger(COMMAND_TTL_S)
        self.done: dict[str, int] = {}
        """The number of faults of each kind so far."""
        self.vetoing = Vetoing(self._connect, self.server.folder)
        self.in_vain: dict[str, int] = {}
        """The number of faults that waited for a call that never came."""
        self._marks = folder / "marks"
        self._marks.touch()
        self._marks_read = 0
        self._heard: list[tuple[bytes, bytes]] = []
        self._direct = redis.asyncio.Redis(
            unix_socket_path=str(self.server.socket), socket_timeout=1.0, retry=Retry(NoBackoff(), 0)
        )
        configuration = folder / "cluster.conf"
        configuration.write_text(_CONFIGURATION)
        common = ("--cluster", self.keys.cluster, "--config", str(configuration))
        self.actors: dict[str, Actor] = {}
        for number, name in enumerate((*MANAGERS, *NODES)):
            # Half of the proxies listen on TCP.
            proxy = FaultProxy(self.server.socket, folder / f"redis-{name}" if number % 2 else None)
            module, more = "cli.eccmgr", ()
            if name in NODES:
                module, more = "tests.fault.marking_node", ("--subcluster", NODES[name], "--marks", str(self._marks))
            arguments = (f"from {module} import main; main()", "--name", name, *common, *more)
            self.actors[name] = Actor(name, arguments, proxy, folder / name, folder / f"{name}.log")

    def _connect(self, timeout_s: float | None) -> redis.Redis:
        path = str(self.server.socket)
        return redis.Redis(unix_socket_path=path, socket_timeout=timeout_s, socket_connect_timeout=1.0)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Stage"]:
        """Run the whole stage until the block ends."""
        async with contextlib.AsyncExitStack() as stack:
            await asyncio.to_thread(self.server.start)
            stack.push_async_callback(asyncio.to_thread, self.server.stop, signal.SIGKILL)
            stack.push_async_callback(self._direct.aclose)
            for actor in self.actors.values():
                await stack.enter_async_context(actor.proxy.running())
                stack.callback(actor.kill)
                actor.start()
            watchers = [asyncio.create_task(self._listen()), asyncio.create_task(self._sample())]
            stack.push_async_callback(asyncio.gather, *watchers, return_exceptions=True)
            for watcher in watchers:
                stack.callback(watcher.cancel)
            yield self
            for watcher in watchers:
                if watcher.done():
                    await watcher

    def read_marks(self) -> None:
        """Add the nodes' new notes to the ledger."""
        with self._marks.open() as file:
            file.seek(self._marks_read)
            self.ledger.marks += [Mark.parse(line) for line in file]
            self._marks_read = file.tell()

    def heal(self) -> None:
        """End every fault that has not ended by itself."""
        for actor in self.actors.values():
            actor.proxy.heal()
            actor.signal(signal.SIGCONT)
            actor.start()

    async def befall(self, fault: Fault) -> None:
        """Play `fault` from its beginning to its end."""
        count = self.done
        if fault.kind is Kind.REFUSE:
            await self._refuse(fault)
        elif fault.script:
            count = self.done if await self._at_a_point(self.actors[fault.victim], fault) else self.in_vain
        elif fault.victim:
            await self._befall(self.actors[fault.victim], fault)
        elif fault.kind is Kind.DUPLICATE:
            with contextlib.suppress(RedisError, OSError):
                # The latest messages, and older ones.
                for channel, data in (*self._heard[-20:], *self._heard[::10]):
                    await self._direct.publish(channel, data)
        elif fault.kind is Kind.SERVER_SLOW:
            await self._slow_down(fault)
        elif fault.kind is Kind.SERVER_STOP:
            os.kill(self.server.pid, signal.SIGSTOP)
            await asyncio.sleep(fault.for_s)
            os.kill(self.server.pid, signal.SIGCONT)
        else:
            await self._restart_server(fault)
        count[fault.name] = count.get(fault.name, 0) + 1

    async def _befall(self, actor: Actor, fault: Fault) -> None:
        proxy = actor.proxy
        match fault.kind:
            case Kind.KILL | Kind.STOP | Kind.END:
                async with actor.turn:
                    await self._strike(actor, fault)
            case Kind.RESET:
                proxy.reset()
            case Kind.STALL:
                proxy.stall()
                await asyncio.sleep(fault.for_s)
                proxy.resume()
            case Kind.DELAY:
                proxy.delay_s = min(0.3, fault.for_s / 5)
                await asyncio.sleep(fault.for_s)
                proxy.resume()
            case Kind.HALF_OPEN | Kind.DEAF:
                (proxy.deafen if fault.kind is Kind.DEAF else proxy.half_open)()
                await asyncio.sleep(fault.for_s)
                proxy.heal()
            case Kind.REJOIN:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError, AssertionError):
                    await self.ask(actor.name, "cluster reset", 2.0)
            case _:
                raise AssertionError(f"{fault.kind} needs no victim")

    async def _strike(self, actor: Actor, fault: Fault) -> None:
        if fault.kind is Kind.END:
            await asyncio.to_thread(actor.end)
            await asyncio.sleep(fault.for_s)
            actor.start()
        elif fault.kind in (Kind.KILL, Kind.KILL_AT):
            actor.kill()
            await asyncio.sleep(fault.for_s)
            actor.start()
        else:
            actor.signal(signal.SIGSTOP)
            await asyncio.sleep(fault.for_s)
            actor.signal(signal.SIGCONT)

    async def _slow_down(self, fault: Fault) -> None:
        proxies = [actor.proxy for actor in self.actors.values()]
        for proxy in proxies:
            proxy.delay_s = min(0.2, fault.for_s / 5)
        await asyncio.sleep(fault.for_s)
        for proxy in proxies:
            proxy.resume()

    async def _at_a_point(self, actor: Actor, fault: Fault) -> bool:
        """Wait for the point, and return whether it came. A kill comes at once, before another byte can pass."""
        sprung = asyncio.Event()
        if fault.veto is not None:
            return await self._refuse_at_a_point(actor, fault, fault.veto)
        sudden = {Kind.KILL_AT: signal.SIGKILL, Kind.STOP_AT: signal.SIGSTOP}.get(fault.kind)

        def spring() -> None:
            if sudden is not None:
                actor.signal(sudden)
            sprung.set()

        if not await _springs(actor, Trap(fault.script, fault.moment, spring), sprung):
            return False
        if sudden is not None:
            async with actor.turn:
                await self._strike(actor, fault)
        return True

    async def _refuse(self, fault: Fault) -> None:
        assert fault.veto is not None
        actors = [self.actors[fault.victim]] if fault.victim else list(self.actors.values())
        await self._begin_refusing(actors, fault.veto)
        await asyncio.sleep(fault.for_s)
        await self._end_refusing(actors, fault.veto)

    async def _refuse_at_a_point(self, actor: Actor, fault: Fault, veto: Veto) -> bool:
        """Refuse from the point on: the server refuses every process, a proxy only its own process."""
        sprung = asyncio.Event()

        async def spring() -> None:
            try:
                await self._begin_refusing([actor], veto)
            finally:
                sprung.set()

        if not await _springs(actor, Trap(fault.script, fault.moment, spring, resets=False), sprung):
            return False
        await asyncio.sleep(fault.for_s)
        await self._end_refusing([actor], veto)
        return True

    async def _begin_refusing(self, actors: Iterable[Actor], veto: Veto) -> None:
        if veto in REAL:
            await asyncio.to_thread(self.vetoing.begin, veto)
        else:
            for actor in actors:
                actor.proxy.refuse(veto)

    async def _end_refusing(self, actors: Iterable[Actor], veto: Veto) -> None:
        if veto in REAL:
            await asyncio.to_thread(self.vetoing.end, veto)
        else:
            for actor in actors:
                actor.proxy.allow(veto)

    async def _restart_server(self, fault: Fault) -> None:
        dump = self.server.folder / "dump.rdb"
        with contextlib.suppress(OSError):  # While saves have to fail, there is a folder in its place.
            dump.unlink(missing_ok=True)
        if fault.kind is not Kind.SERVER_EMPTY:
            with contextlib.suppress(RedisError, OSError):
                await self._direct.save()
        if fault.kind is Kind.SERVER_PAST:
            await asyncio.sleep(fault.for_s / 2)
        await asyncio.to_thread(self.server.stop, signal.SIGKILL)
        await asyncio.sleep(fault.for_s)
        await asyncio.to_thread(self.server.start)
        self.ledger.losses.append(time.monotonic())

    async def ask(self, name: str, line: str, timeout_s: float) -> str:
        """The answer of `name` to `line`. Raises OSError, IncompleteReadError, TimeoutError."""
        from tests import daemons

        async with asyncio.timeout(timeout_s):
            (answer,) = await daemons.ask(self.actors[name].endpoint, line)
        return answer

    async def _listen(self) -> None:
        """Note each command as it is published."""

        async def attempt() -> None:
            async with self._direct.pubsub() as pubsub:
                await pubsub.psubscribe(f"{self.keys.tag}:*")
                while True:
                    message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=0.5)
                    if message is not None:
                        self._note(message["channel"], message["data"])

        await _for_ever(attempt)

    def _note(self, channel: bytes, data: bytes) -> None:
        try:
            fields = json.loads(data)
            what, token, _ = fields["text"].split()
        except (ValueError, LookupError, TypeError):
            return
        self._heard = [*self._heard[-_HEARD_KEPT:], (channel, data)]
        if what == "mark":
            self.ledger.sent.setdefault(token, Sent(token, fields["id"], time.monotonic()))

    async def _sample(self) -> None:
        """Advance the lease clock, and note it."""
        keys = self.keys
        call = roster(keys, ClusterOptions(max_step_s=0.4), 3600_000)

        async def attempt() -> None:
            while True:
                asked = time.monotonic()
                await script(call.script)(self._direct.execute_command, call.keys, call.args)
                clock, born = await self._direct.hmget(keys.state, "clock", "born")
                if clock and born:
                    self.ledger.clock.add(Sample(asked, time.monotonic(), born.decode(), int(clock)))
                await asyncio.sleep(_SAMPLE_EVERY_S)

        await _for_ever(attempt)


async def _springs(actor: Actor, trap: Trap, sprung: asyncio.Event) -> bool:
    """Wait for a trap to spring; return whether it did."""
    actor.proxy.traps.append(trap)
    if trap.script == "catchup":  # To provoke this call: a node that has lost its subscription catches up.
        actor.proxy.reset()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_TRAP_WAIT_S):
            await sprung.wait()
    # The awaited call may still be on its way, or lost.
    trap.disarmed = True
    with contextlib.suppress(ValueError):
        actor.proxy.traps.remove(trap)
    if trap.sprung:
        await sprung.wait()
    return trap.sprung


async def _for_ever(attempt: Callable[[], "asyncio.Future[None] | object"]) -> None:
    while True:
        with contextlib.suppress(RedisError, OSError):
            await attempt()  # type: ignore[misc]
        await asyncio.sleep(0.02)
