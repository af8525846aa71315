"""Hosts, processes, clocks, a network and servers, which fail at random around the pure agent and the pure guard.

Time is real seconds; a clock runs at a constant rate within 1 ± ρ. A run fails as UNLAW when two hosts answer for one
VIP at one instant (plumbed and the kernel's fence open), and as ORPHAN when, long after the last fault, a VIP is not
carried by one and the same host. Each run draws its own few kinds of fault.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from eccmgr.cluster.timing import CLOCK_RATE_ERROR, KERNEL_LATE_S, TOKEN_S, Timing
from eccmgr.duravip.records import Era, SessionAnswer
from tests.model.server import Data, Scripts
from worker.duravip.model.actions import (
    Acquire,
    Action,
    Beat,
    EndCarrying,
    Extend,
    Read,
    RedisCall,
    ReplaceGuardian,
    StateHeld,
    TellPlumb,
    TellUnplumb,
)
from worker.duravip.model.agent import Agent
from worker.guardian import guard as guarding
from worker.guardian import wire
from worker.guardian.guard import Guard, Steps

UNLAW, ORPHAN = "unlaw", "orphan"
KINDS = ("stop a", "stop g", "stop", "kill a", "kill g", "kill", "cut", "stall", "restart", "step", "steps", "failover",
         "failback", "evict", "newcomer")  # fmt: skip
PAIRS = (("cut", "steps"), ("cut", "stall"), ("stop", "steps"), ("stop", "stop g"), ("restart", "cut"),
         ("restart", "stop"), ("failover", "cut"), ("failover", "stop"), ("failback", "stop"), ("kill a", "stop g"),
         ("newcomer", "stop"))  # fmt: skip


class Found(Exception):
    """Raised when the law was broken, or a VIP was left alone."""


@dataclass(frozen=True)
class Profile:
    """The times of one kind of cluster, in seconds."""

    heartbeat: float
    lease: float
    max_step: float


SLOW, FAST = Profile(0.5, 2.5, 0.6), Profile(0.1, 0.6, 0.12)


class Process:
    """A process. While it is stopped, events for it wait in order; when it is dead, they are lost."""

    dead, until = False, 0.0


class AgentProcess(Process):
    """A process around the pure agent."""

    agent: Agent
    fresh = True
    served = ""
    """The last session of which its guardian was told."""
    unguarded_since: float | None = None
    """The time on its own clock since which it has no guardian."""

    def __init__(self) -> None:
        self.outbox: deque[Action] = deque()
        self.busy = False


class GuardProcess(Process):
    """A process around the guard: it handles one event after the other, step by step."""

    def __init__(self, agent: AgentProcess, guard: Guard) -> None:
        self.agent, self.guard = agent, guard
        self.events: deque[Callable[[], Steps]] = deque()
        self.steps: Steps | None = None
        self.answer: Any = None


class Server:
    """One Redis: its life, its clock, its data."""

    def __init__(self, name: str, rate: float, world: "World") -> None:
        self.name, self.boots, self.rate, self.offset = name, 0, rate, 0.0
        self.up, self.stall, self.follows, self.lag = True, 0.0, None, 0.0
        profile = world.profile
        self.scripts = Scripts(
            lambda: self.offset + world.now * self.rate,
            lambda: self.run if "replid" in world.off else f"{self.run}|{self.replid}",
            profile.max_step,
            1.2 * profile.heartbeat,
            world.off,
        )
        self.boot()

    follows: "Server | None"

    def boot(self) -> None:
        self.boots += 1
        self.run = self.replid = f"{self.name}{self.boots}"

    def promote(self) -> None:
        self.boots += 1
        self.follows, self.replid = None, f"{self.name}{self.boots}"


class Host:
    """A host. The state of its kernel outlives its processes."""

    agent: AgentProcess
    guard: GuardProcess
    server: Server

    def __init__(self, number: int, rate: float) -> None:
        self.number, self.rate, self.lives, self.cut, self.barred = number, rate, 0, 0.0, 0.0
        self.plumbed: dict[str, int] = {}
        self.fence = self.armed = -1.0

    @property
    def name(self) -> str:
        return f"h{self.number}"


class World:
    """One run, drawn from a seed. `off` names rules that are off; `kind` is the class of the agent, `guard` that of the
    guard."""

    def __init__(
        self,
        seed: int,
        profile: Profile = SLOW,
        off: frozenset[str] = frozenset(),
        kind: type[Agent] = Agent,
        kinds: tuple[str, ...] | None = None,
        timing: type[Timing] = Timing,
        guard: type[Guard] = Guard,
        vips: int = 2,
        trace: bool = False,
    ) -> None:
        self.random = r = random.Random(seed)
        self.profile, self.off, self.kind, self.guard, self.trace = profile, off, kind, guard, trace
        self.timing = timing.of(profile.heartbeat, profile.lease, profile.max_step)
        self.now, self.queue, self.order = 0.0, [], 0
        self.log: list[str] = []
        self.calm, self.snap, self.faults = False, Data(), 0
        self.vips = [f"10.0.0.{i + 1}" for i in range(vips)]
        self.servers = [Server(name, self.rate(), self) for name in ("ABC" if r.random() < 0.5 else "A")]
        self.master = self.servers[0]
        for server in self.servers[1:]:
            server.follows = self.master
        self.hosts = [Host(i, self.rate()) for i in range(r.choice((2, 3)))]
        self.kinds = kinds or r.choice(PAIRS + (tuple(r.sample(KINDS, r.randint(1, 4))),) * len(PAIRS))
        self.moves, self.trips = r.choice((0, 0.05, 0.2)), r.choice((0, 0.01, 0.05))
        self.rare = r.choice((0.02, 0.15))

    queue: "list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]]"

    def rate(self) -> float:
        r = self.random
        return 1 + CLOCK_RATE_ERROR * r.choice((-1, 1, r.uniform(-1, 1)))

    # Time.

    def at(self, when: float, call: Callable[..., Any], *args: Any) -> None:
        self.order += 1
        heapq.heappush(self.queue, (when, self.order, call, args))

    def soon(self, process: Process, call: Callable[..., Any], *args: Any) -> None:
        self.at(self.now + 0.0001, self.on, process, call, *args)

    def on(self, process: Process, call: Callable[..., Any], *args: Any) -> None:
        if process.dead:
            return
        if self.now < process.until:
            self.at(process.until, self.on, process, call, *args)
        else:
            call(*args)

    def trip(self, *processes: Process) -> None:
        """Sometimes stop a process, or a whole host, right here between two steps."""
        if not self.calm and self.random.random() < self.trips:
            for each in processes[: self.random.randint(1, 2)]:
                longest = self.random.choice(
                    (0.03, self.timing.hold_s * 0.8, self.timing.watch_s, 2 * self.profile.lease)
                )
                each.until = self.now + longest * self.random.uniform(0.5, 1.5)

    def clock(self, host: Host) -> float:
        return self.now * host.rate

    def say(self, *words: Any) -> None:
        if self.trace:
            self.log.append(f"{self.now:9.4f}  " + " ".join(map(str, words)))

    def carriers(self, vip: str) -> list[int]:
        return [host.number for host in self.hosts if vip in host.plumbed and self.now < host.fence]

    def check(self) -> None:
        for vip in self.vips:
            if len(self.carriers(vip)) > 1:
                self.say("TWO HOLDERS", vip, self.carriers(vip))
                raise Found(UNLAW)

    # Redis.

    def call(self, host: Host, process: Process, asked: RedisCall, hear: Callable[[Any], None] | None) -> None:
        """Call the server that the host believes in. The call may be lost or late, before or after its execution."""
        r, late = self.random, self.random.uniform(0.0002, 0.003)
        if not self.calm:
            if r.random() < (0.02 if isinstance(asked, (Beat, Read)) else self.rare):
                late += r.choice((r.uniform(0, self.profile.heartbeat), r.uniform(0, 2 * self.profile.lease)))
            elif r.random() < 0.01:
                return
        if self.now < host.cut:
            if r.random() < 0.6:
                return
            late += host.cut - self.now
        self.at(self.now + late, self.execute, host.server, host, process, asked, hear)

    def execute(self, server: Server, host: Host, process: Process, asked: RedisCall, hear: Any) -> None:
        if not server.up or server.follows:
            return
        if self.now < server.stall:
            self.at(server.stall + self.random.uniform(0, 0.001), self.execute, server, host, process, asked, hear)
            return
        fresh = isinstance(process, AgentProcess) and process.fresh
        answer = server.scripts.call(asked, host.name, fresh)
        self.say(server.name, host.name, asked, "->", answer)
        acked, when = [len(self.servers) == 1], self.now
        peers = [each for each in self.servers if each.up and each.follows is server]
        for each in peers:  # WAIT 1 of two replicas: a majority, with the master
            rare = self.random.random() < 0.03 and not self.calm
            slow = self.random.uniform(0, self.profile.lease) if rare else 0
            each.lag = max(each.lag, self.now + self.random.uniform(0.0002, 0.002) + slow)
            self.at(each.lag, self.replicate, server, each, server.scripts.data.copy(), acked)
        if peers:
            when = min(each.lag for each in peers)
        if hear is not None and (self.calm or (self.random.random() > 0.01 and self.now > host.cut)):
            rare = self.random.random() < self.rare / 3 and not self.calm
            late = self.random.uniform(0, 2 * self.profile.lease) if rare else 0
            self.at(when + late + self.random.uniform(0.0002, 0.003), self.on, process, self.hear, hear, answer, acked)

    def replicate(self, server: Server, copy: Server, data: Data, acked: list[bool]) -> None:
        if copy.up and server.up and copy.follows is server:
            copy.scripts.data = data
            acked[0] = True

    def hear(self, hear: Callable[[Any], None], answer: SessionAnswer | None, acked: list[bool]) -> None:
        if answer is not None:
            object.__setattr__(answer, "acked", acked[0])  # known only after the script has answered
        hear(answer)

    # A host's kernel and guardian.

    def befalls(self, host: Host, process: GuardProcess, event: Callable[[], Steps]) -> None:
        """An event for the guard, which handles it after the earlier ones."""
        process.events.append(event)
        if process.steps is None and len(process.events) == 1:
            self.go_on(host, process)

    def go_on(self, host: Host, process: GuardProcess) -> None:
        """Take the next step. The process may be stopped before each step."""
        guard = process.guard
        while True:
            if process.steps is None:
                if not process.events:
                    if not guard.has_work:
                        return
                    process.events.append(guard.work)
                process.steps, process.answer = process.events.popleft()(), None
            try:
                step = process.steps.send(process.answer)
            except StopIteration:
                process.steps = None
                continue
            if not isinstance(step, guarding.Say):
                break
            self.soon(process.agent, self.tell, host, process, step.message)
            process.answer = None
        if self.random.random() < 0.5:
            self.trip(process, process.agent)
        self.at(self.now + self.random.uniform(1e-6, 2e-5), self.on, process, self.take, host, process, step)

    def take(self, host: Host, process: GuardProcess, step: guarding.Step) -> None:
        """Have the kernel do it."""
        answer: Any = True
        match step:
            case guarding.ReadClock():
                answer = self.clock(host)
            case guarding.Arm():
                host.armed = self.now
            case guarding.OpenFence(until):
                # The clock is read before the transaction: the time that is left then takes effect, however late the
                # transaction is.
                left = (until - self.clock(host)) / host.rate
                self.trip(process, process.agent)
                late = self.now + self.random.uniform(1e-5, 1e-4)
                self.at(late, self.on, process, self.commit, host, process, left)
                return
            case guarding.Close() | guarding.Rebuild():
                host.fence = host.armed = -1.0
            case guarding.Add(addresses, epochs):
                answer = [self.plumb(host, each.address, epoch) for each, epoch in zip(addresses, epochs, strict=True)]
                self.check()
            case guarding.Remove(addresses):
                for each in addresses:
                    host.plumbed.pop(each.address, None)
                answer = ()
            case guarding.EndSession(session, arguments):
                self.say(host.name, "guardian ends", session)
                self.call(host, process, EndCarrying(session, Era(int(arguments[0]), arguments[1])), None)
        process.answer = answer
        self.go_on(host, process)

    def plumb(self, host: Host, address: str, epoch: int) -> str:
        if not self.calm and self.random.random() < 0.01:
            return "no such interface"
        host.plumbed[address] = epoch
        self.say(host.name, "plumbs", address, epoch)
        return ""

    def commit(self, host: Host, process: GuardProcess, left: float) -> None:
        """The second transaction: if the token is gone, the kernel refuses it as a whole."""
        taken = left > 0 and (self.now <= host.armed + TOKEN_S or "token" in self.off)
        if taken:
            host.fence, host.armed = self.now + left + self.random.uniform(0, KERNEL_LATE_S), -1.0
            self.say(host.name, f"fence open until {host.fence:.3f}")
            self.check()
            wake = self.now + left + self.random.uniform(0, 0.001)
            self.at(wake, self.on, process, self.befalls, host, process, process.guard.timer)
        process.answer = taken
        self.go_on(host, process)

    # A host's agent.

    def start(self, host: Host) -> None:
        host.lives += 1
        process = host.agent = AgentProcess()
        names = (f"{host.name}.{host.lives}.{i}" for i in range(10**6))
        process.agent = self.kind(host.name, self.timing, lambda: next(names))
        process.served = ""
        self.spawn(host, process)
        first = self.now + self.random.uniform(0, self.profile.heartbeat)
        self.at(first, self.on, process, self.beat, host, process)

    def spawn(self, host: Host, process: AgentProcess) -> None:
        """Start a new guardian. The old one is killed first; before the new one serves, nothing is plumbed and the
        fence is closed."""
        if self.now < host.barred:
            host.guard.dead = True
            return
        if hasattr(host, "guard"):
            host.guard.dead = True
        host.guard = GuardProcess(process, self.guard())
        vips = tuple(wire.Address(vip, 32, "eth0") for vip in self.vips)
        assert not list(host.guard.guard.configure(vips))
        host.fence, host.plumbed = -1.0, {}
        self.do(host, process, process.agent.respawned(served=process.served == process.agent.session))

    def respawn(self, host: Host, process: AgentProcess) -> None:
        if host.guard.dead and host.agent is process:
            self.spawn(host, process)

    def beat(self, host: Host, process: AgentProcess) -> None:
        pause = self.profile.heartbeat / host.rate * self.random.uniform(0.95, 1.05)
        self.at(self.now + pause, self.on, process, self.beat, host, process)
        if host.guard.dead:
            self.at(self.now + 0.6 * self.profile.heartbeat, self.on, process, self.respawn, host, process)
            self.miss(host, process, process.agent)
        else:
            process.unguarded_since = None
        self.do(host, process, process.agent.beat(self.clock(host)))

    def miss(self, host: Host, process: AgentProcess, agent: Agent) -> None:
        """The agent has no guardian. Once none of its addresses can answer, it gives up."""
        if process.unguarded_since is None:
            process.unguarded_since = self.clock(host)
        alone_s = self.clock(host) - process.unguarded_since
        if agent.carries and alone_s >= agent.timing.hold_s + agent.timing.fence_late_s and "give up" not in self.off:
            self.do(host, process, agent.unguarded("no guardian serves"))

    def tell(self, host: Host, guard: GuardProcess, message: wire.Message) -> None:
        """Pass the guardian's message to the agent."""
        if guard is not host.guard or guard.agent is not host.agent:
            return
        agent, actions = guard.agent.agent, list[Action]()
        match message:
            case wire.Kept():
                agent.kept()
            case wire.Plumbed(address, epoch):
                agent.plumbed(address, epoch)
            case wire.NotPlumbed(address, epoch, reason):
                if reason in guarding.ASK_AGAIN:
                    agent.missed(address, epoch)
                else:
                    actions = agent.not_plumbed([(address, epoch)], reason)
            case wire.Unplumbed(tag):
                actions = agent.unplumbed(self.clock(host), int(tag))
            case wire.Down(session):
                self.say(host.name, "guardian went down")
                actions = agent.down(session)
        self.do(host, guard.agent, actions)

    def do(self, host: Host, process: AgentProcess, actions: list[Action]) -> None:
        process.outbox.extend(actions)
        if not process.busy:
            self.pump(host, process)

    def pump(self, host: Host, process: AgentProcess) -> None:
        """Carry out the decisions in order. The process may be stopped between any two steps."""
        process.busy = True
        while process.outbox:
            self.trip(process)
            if self.now < process.until:
                self.at(process.until, self.on, process, self.pump, host, process)
                return
            self.carry_out(host, process, process.outbox.popleft())
        process.busy = False

    def carry_out(self, host: Host, process: AgentProcess, action: Action) -> None:
        at = host.guard
        guard, told = at.guard, lambda event: self.soon(at, self.befalls, host, at, event)
        if isinstance(action, ReplaceGuardian):
            at.dead = True
            self.at(self.now + 0.6 * self.profile.heartbeat, self.on, process, self.respawn, host, process)
        elif isinstance(action, Extend):
            process.served = process.served if at.dead else action.session
            era = (str(action.era.number), action.era.memory)
            told(partial(guard.extend, wire.Deadline(action.session, action.at, era)))
        elif isinstance(action, TellPlumb):
            told(partial(guard.plumb, wire.Plumb(_grants(action.addresses), action.session, action.at)))
        elif isinstance(action, TellUnplumb):
            told(partial(guard.unplumb, wire.Unplumb(_grants(action.addresses), str(action.tag))))
        elif isinstance(action, RedisCall):
            self.call(host, process, action, lambda answer: self.answered(host, process, action, answer))

    def answered(self, host: Host, process: AgentProcess, asked: RedisCall, answer: Any) -> None:
        agent, now = process.agent, self.clock(host)
        if answer is None or answer.era.number < agent.era.number:
            host.server = self.master
        if answer is None:
            return
        if isinstance(asked, Beat):
            actions = agent.beaten(now, asked, answer)
            if agent.joined:
                process.fresh = False
                if not host.guard.dead:
                    actions += agent.place(now, dict.fromkeys(self.vips, "wanted"))
                actions += self.move_some(host, agent)
        elif isinstance(asked, StateHeld):
            actions = agent.stated(now, asked, answer)
        elif isinstance(asked, Acquire):
            actions = agent.granted(now, asked, answer)
        elif isinstance(asked, Read):
            actions = agent.changed(now, asked, answer)
        else:
            actions = []
        self.do(host, process, actions)

    def move_some(self, host: Host, agent: Agent) -> list[Action]:
        actions = []
        for vip in self.vips:
            if vip in agent.vips and agent.vips[vip].held and not self.calm and self.random.random() < self.moves:
                to = self.random.choice([each.name for each in self.hosts if each is not host])
                actions += agent.give_up([vip], to, "move")
        return actions

    # Faults.

    def fault(self) -> None:
        r, kind = self.random, self.random.choice(self.kinds)
        host = next((each for each in self.hosts if each.plumbed and r.random() < 0.6), r.choice(self.hosts))
        profile = self.profile
        lasts = r.choice(
            (r.uniform(0, profile.heartbeat), r.uniform(0, self.timing.hold_s), r.uniform(0, 2 * profile.lease))
        )
        self.say("FAULT", kind, host.name, f"{lasts:.3f}")
        self.faults += 1
        end = self.now + lasts
        if kind.startswith(("stop", "kill")):
            self.harm(kind, host, end)
        elif kind == "bar":  # its guardian ends, and no other can start for a while
            host.barred, host.guard.dead = end, True
        elif kind == "cut":
            host.cut = end
        elif kind == "stall":
            self.master.stall = end
        elif kind in ("step", "steps"):
            for i in range(1 if kind == "step" else 8):
                by = r.choice((-1, 1, 1)) * r.choice((profile.heartbeat, profile.lease, 3600))
                self.at(self.now + i * profile.heartbeat / 3, self.step, self.master, by)
        elif kind == "restart":
            self.master.up = False
            back = end + r.uniform(0.005, profile.heartbeat)
            self.at(back, self.reboot, self.master, r.choice(("kept", "stale", "empty")))
        elif kind == "newcomer":
            self.newcomer(host)
        elif kind == "evict":
            data = self.master.scripts.data
            setattr(data, r.choice(("vips", "lives", "changes")), None)
        else:
            self.failover(r.choice((0, r.uniform(0, profile.lease), 3 * profile.lease)))
            if kind == "failback":
                self.at(self.now + r.uniform(0.001, 0.3 * profile.heartbeat), self.failover, 0)

    def harm(self, kind: str, host: Host, end: float) -> None:
        agent, guard, r = host.agent, host.guard, self.random
        if kind.startswith("stop"):
            for each in {"stop a": (agent,), "stop g": (guard,)}.get(kind, (agent, guard)):
                each.until = max(each.until, end + r.choice((0, r.uniform(0, self.profile.heartbeat))))
            return
        if kind != "kill g":
            agent.dead = True
            gone = partial(guard.guard.go_down, "the agent is gone")
            self.at(self.now + 0.001, self.on, guard, self.befalls, host, guard, gone)
            self.at(end + 0.02, lambda: self.start(host) if host.agent is agent and not self.calm else None)
        if kind != "kill a":
            guard.dead = True

    def newcomer(self, host: Host) -> None:
        """Redis comes back empty, and a node that knows nothing is the first to call."""
        host.agent.dead = host.guard.dead = True
        self.master.scripts.data = Data()
        self.master.boot()
        self.start(host)
        for each in self.hosts:
            if each is not host:
                each.cut = self.now + self.profile.heartbeat * 1.5

    def step(self, server: Server, by: float) -> None:
        server.offset += by

    def reboot(self, server: Server, how: str) -> None:
        if not server.up:
            if how != "kept":
                server.scripts.data = Data() if how == "empty" else self.snap.copy()
            server.up = True
            server.boot()
            self.say("Redis back", how, server.run)

    def failover(self, linger: float) -> None:
        """Promote a replica. The others follow later, and the old master still answers calls."""
        old, r = self.master, self.random
        heirs = [each for each in self.servers if each.up and each.follows is old]
        if not heirs:
            return
        new = self.master = r.choice(heirs)
        new.promote()
        old.up = old.up and linger > 0
        self.say("failover to", new.name, f"old answers for {linger:.3f}")
        for each in self.servers:
            if each is not new:
                late = linger if each is old else r.uniform(0, self.profile.lease)
                self.at(self.now + late, self.follow, each, new)
        for host in self.hosts:
            self.at(self.now + r.choice((0, r.uniform(0, linger), linger)), self.redirect, host)

    def redirect(self, host: Host) -> None:
        host.server = self.master

    def follow(self, server: Server, new: Server) -> None:
        if self.master is new and new.up and server is not new:
            server.follows, server.up, server.replid, server.lag = new, True, new.replid, self.now
            server.scripts.data = new.scripts.data.copy()

    def snapshot(self) -> None:
        if self.master.up:
            self.snap = self.master.scripts.data.copy()

    def heal(self) -> None:
        """End the faults and start dead processes. But one guardian may hang for ever, and one host be gone for
        ever."""
        self.calm, master, r = True, self.master, self.random
        hang, lost = r.random() < 0.5, r.choice([*self.hosts, None, None, None])
        self.reboot(master, "kept")
        master.stall = 0
        for server in self.servers:
            self.follow(server, master)
        barred = self.random.choice(self.hosts) if "bar" in self.kinds and lost is None else None
        for host in self.hosts:
            host.cut, host.server = 0, master
            host.barred = 1e12 if host is barred else 0.0
            host.guard.dead = host.guard.dead or host is barred
            host.agent.until = min(host.agent.until, self.now)
            if host is lost:
                host.agent.dead = host.guard.dead = True
                host.fence = -1.0
            elif host.agent.dead:
                self.start(host)
            host.guard.until = 1e12 if hang and host.plumbed else min(host.guard.until, self.now)

    def run(self) -> None:
        lease, r = self.profile.lease, self.random
        for host in self.hosts:
            host.server = self.master
            self.start(host)
        when, last = 2.2 * lease, 8 * lease
        while when < last:
            self.at(when, self.fault)
            when += r.choice(
                (r.uniform(0, self.profile.heartbeat), r.uniform(0, self.timing.hold_s), r.expovariate(1 / lease))
            )
        for _ in range(25):
            self.at(r.uniform(lease, last), self.snapshot)
        self.at(last + lease, self.heal)
        carried: dict[str, set[tuple[int, ...]]] = {vip: set() for vip in self.vips}
        while self.queue and self.now < 16 * lease:
            self.now, _, call, args = heapq.heappop(self.queue)
            call(*args)
            if self.now > 15 * lease:
                for vip in self.vips:
                    carried[vip].add(tuple(self.carriers(vip)))
        if any(len(each) != 1 or () in each for each in carried.values()):
            self.say("ORPHAN", carried)
            raise Found(ORPHAN)


def _grants(addresses: tuple[tuple[str, int], ...]) -> tuple[wire.Grant, ...]:
    return tuple(wire.Grant(*each) for each in addresses)
