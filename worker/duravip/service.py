"""Wires together the parts that carry a node's floating addresses, and answers their commands."""

import asyncio
import contextlib
import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from eccmgr.cluster.heartbeats import Heartbeats
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.timing import Timing
from eccmgr.cluster.view import View
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.parts import NOTHING, Part, Prepared, Spawn, Takeover
from eccmgr.config.live.times import TIMES
from eccmgr.config.syntax.changes import Change
from eccmgr.duravip.beliefs import pack
from eccmgr.duravip.placement import Situation
from eccmgr.duravip.shares import Shares
from eccmgr.duravip.statements import Statement
from eccmgr.errors import CommandError, ConfigError, EccmgrError
from eccmgr.redis import replies
from eccmgr.redis.address import Mode
from eccmgr.redis.bounds import check_members
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import script
from eccmgr.redis.subscribe import Subscription
from eccmgr.text.counting import counted
from worker.duravip.beliefs import beliefs_of, read_table, read_upto
from worker.duravip.calls import ending_keys
from worker.duravip.carrying import Carrying
from worker.duravip.changes import Figures
from worker.duravip.charter import guardians_fence, guardians_plumber
from worker.duravip.model.deeds import Announced, Deed
from worker.duravip.model.table import VipTable
from worker.duravip.moving import Moving
from worker.duravip.options import DuravipOptions, duravip_options
from worker.duravip.pace import LoopPace
from worker.duravip.pipe import Pipe
from worker.duravip.placing import Placing
from worker.duravip.rendering import impediments
from worker.duravip.vips import ConfiguredVip, read_vips, touches_vips
from worker.guardian import wire
from worker.guardian.launch import Guardians, NoGuardian
from worker.guardian.parent import Pause

log = structlog.get_logger()

_AGREE_WAIT_S = 15.0
_LEAVE_WAIT_S = 5.0
_SAID_AGAIN_S = 60.0
_BELIEFS_EACH_S = 1.0
_BELIEFS_SHARE = 10
_MANY = 500
_COLLECTOR = (20_000, 20, 100)


class DuravipService(Part):
    """The agent, its guardian and placement of one node: the service behind `worker.duravip.commands`."""

    title = "VIPs"

    def __init__(
        self,
        link: Link,
        keys: Keys,
        options: ClusterOptions,
        heartbeats: Heartbeats,
        guardians: Guardians,
        view: ScopeView,
        copies: int,
    ) -> None:
        self._link, self._keys, self._options, self._session = link, keys, options, heartbeats.session
        self._guardians = guardians
        self._vips: dict[str, ConfiguredVip] = read_vips(view)
        self._held: DuravipOptions = duravip_options(view)
        self._shares = _shares(self._vips)
        self.carrying = Carrying(link, keys, options, heartbeats, self.node, copies)
        self.placing = Placing(link, self.carrying, lambda: self._held)
        self.placing.interfaces = {vip.address: vip.interface for vip in self._vips.values()}
        self.placing.restate = self._restate
        self._moving = Moving(self.carrying, self.placing)
        self._said_beliefs: object = None
        self._leaves = False
        self.carrying.guarding.ending = self._ending
        self.on_orphaned: Callable[[], None] = lambda: None
        """Called when the parent of this process is gone. Then nobody restarts the guardian or this process."""
        self._has_begun = False
        self._spawn: Spawn | None = None

    @property
    def node(self) -> str:
        """This node's name."""
        return self._session.identity.name

    @property
    def names(self) -> tuple[str, ...]:
        """The addresses of all VIPs and the names of their bindings."""
        standings = self.placing.standings
        return (*standings, *dict.fromkeys(name for standing in standings.values() for name in standing.names))

    def info(self) -> str:
        """One line about the fence and the plumber in force; "" without VIPs."""
        if not self._vips:
            return ""
        ready = self.carrying.ready
        if ready is None:
            return f"DuraVIP: takes no part: {self.carrying.guarding.missing}"
        if self.carrying.footing.refusal:
            return f"DuraVIP: nothing is carried: {self.carrying.footing.refusal}"
        why = f" ({ready.why})" if ready.why else ""
        vips = counted(len(self._vips), "VIP")
        unable = "".join(f"; {impediment}" for impediment in impediments(self.placing.unable, len(self._vips)))
        return f"DuraVIP: {vips}, fence {ready.fence}, plumber {ready.plumber}{why}{unable}"

    async def start(self, spawn: Spawn) -> None:
        """Begin to carry VIPs, now or once the configuration has any."""
        self._spawn = spawn
        spawn(self._watch_parent(), "parent")
        self._begin()

    async def _watch_parent(self) -> None:
        await self._guardians.orphaned()
        log.error("the parent is gone; the node ends")
        self.on_orphaned()

    def _begin(self) -> None:
        """Begin to carry VIPs, if the configuration has some for the first time.

        Raises SettingsError if the cluster's times leave no room for VIPs. The process keeps these times for as long as
        it runs.
        """
        if self._spawn is None or self._has_begun or not self._vips:
            return
        self.carrying.take_times()
        self._has_begun = True
        self._session.carrier = self.carrying
        self._spawn(self._run(), "duravip")

    async def _run(self) -> None:
        if len(self._vips) > _MANY:
            # A garbage collection over a configuration of thousands of VIPs would stop the heartbeats.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_COLLECTOR)
        channels = (self._keys.vip_events,)
        subscription = Subscription(self._link, channels, self.carrying.heard, lambda: self._options.heartbeat_s)
        subscription.on_listening = lambda: self.carrying.do(self.carrying.agent.noticed())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(subscription.run(), name="vip events")
            tasks.create_task(self.carrying.calls.run(), name="vip calls")
            tasks.create_task(self.placing.run(), name="placement")
            tasks.create_task(self._guard(), name="guardian")
            tasks.create_task(self.carrying.footing.watch(), name="footing")
            tasks.create_task(self._tell_beliefs(), name="beliefs")

    async def finish(self) -> None:
        """Give up all VIPs, and wait a while until all are gone."""
        agent = self.carrying.agent
        self.placing.interfaces = {}
        held = [address for address, vip in agent.vips.items() if vip.held]
        self.carrying.do(agent.give_up(held, "", "leaves"))
        await self.placing.until(lambda: not any(agent.owns(address) for address in held), _LEAVE_WAIT_S)
        self._leaves = True
        if self._said_beliefs is not None and self._link.fault is None:
            with contextlib.suppress(EccmgrError):
                await self._link.call("HDEL", self._keys.vip_beliefs, agent.node)

    async def close(self) -> None:
        """Let the guardian go: it unplumbs the addresses that are left."""
        self.carrying.guarding.let_go()
        await asyncio.to_thread(self._guardians.close)

    # The guardian.

    async def _guard(self) -> None:
        """Keep a guardian serving: start another when one is gone, and pause before that if it served only briefly."""
        pause, attempts, said = Pause(), 0, ("", -math.inf)
        while True:
            try:
                pipe = await Pipe.to_another(self._guardians)
            except NoGuardian as error:
                served_s, why = 0.0, str(error)
            else:
                served_s, why = await self.carrying.guarding.serve(pipe, self._configure())
            self.carrying.guarding.missing, pause_s, attempts = why, pause.after(served_s), attempts + 1
            if why != said[0] or wire.boot_time() - said[1] >= _SAID_AGAIN_S:
                said = why, wire.boot_time()
                log.error("no guardian serves", reason=why, attempts=attempts, pause_s=pause_s)
            self.placing.notice()
            await asyncio.sleep(pause_s)

    def _configure(self) -> wire.Configure:
        held = self._held
        addresses = tuple(wire.Address(vip.address, vip.prefix_length, vip.interface) for vip in self._vips.values())
        return wire.Configure(
            addresses,
            guardians_plumber(held.plumber),
            guardians_fence(held.fence),
            wire.Announcing(held.announce_count, held.announce_time_s, held.announce_refresh_s, held.arp_all_hosts),
            held.if_check_interval_s,
        )

    def _ending(self) -> wire.Ending:
        server = self._link.server
        source = script("vip_end", sharded=self._link.address.mode is Mode.CLUSTER).source
        return wire.Ending(source, ending_keys(self._keys), server.host, server.port)

    # The configuration.

    def check(self, view: ScopeView) -> None:
        """Raises ConfigError if the VIPs of a configuration, or their options, do not fit together."""
        duravip_options(view)
        read_vips(view)

    async def prepare(self, view: ScopeView, changes: Sequence[Change]) -> Prepared:
        """Read the VIPs of a changed configuration. Raises ConfigError."""
        if not touches_vips(changes):
            return NOTHING
        self._check_times(view, changes)
        held = duravip_options(view)
        vips = await asyncio.to_thread(read_vips, view)
        shares = await asyncio.to_thread(_shares, vips)

        def take() -> None:
            self._vips, self._held, self._shares = vips, held, shares
            self.placing.interfaces = {vip.address: vip.interface for vip in vips.values()}
            self.carrying.guarding.configure(self._configure())
            self._restate()
            self._begin()

        return Takeover(take)

    def _check_times(self, view: ScopeView, changes: Sequence[Change]) -> None:
        """Refuse times that do not fit this node's hold: the hold is fixed for as long as the node runs, and so is the
        wait of the others for it."""
        if not self._has_begun or not any(change.option.lower() in TIMES for change in changes):
            return
        timing, cluster = self.carrying.agent.timing, view.scope("cluster")
        heartbeat_s, lease_s = 1 / cluster.number("heartbeats_per_sec"), cluster.seconds("session_lease")
        wait_s = Timing(timing.heartbeat_s, timing.hold_s).watch_s
        if 2 * heartbeat_s > timing.hold_s or lease_s < wait_s + cluster.seconds("max_step"):
            raise ConfigError(
                f"This node holds VIPs for {timing.hold_s:g} s for as long as it runs, and others wait {wait_s:.2f} s "
                "for it; the new times do not fit that. Write them into the file, and restart the node"
            )

    def _restate(self) -> None:
        ready = self.carrying.ready
        old = self.placing.statement
        late_s = old.late_s if old is not None else 0.0  # the addresses that a guardian left are as late as its fence
        if ready is not None:
            late_s = ready.late_s if math.isfinite(ready.late_s) else 0.0
        if old is None or old.late_s != late_s or old.shares is not self._shares:
            self.placing.statement = Statement(
                old.view + 1 if old else 1, late_s, self.carrying.agent.timing.hold_s, self._shares
            )
            self.placing.notice()

    # The beliefs of the nodes.

    async def _tell_beliefs(self) -> None:
        """State our beliefs after a change, at most once a second."""
        pace = LoopPace(_BELIEFS_EACH_S, _BELIEFS_SHARE)
        while True:
            pace.begin()
            try:
                await self._tell()
            except EccmgrError as error:
                log.debug("beliefs not told", reason=str(error))
            await asyncio.sleep(pace.rest_s)

    async def _tell(self) -> None:
        agent = self.carrying.agent
        if not agent.joined or not agent.opened:
            return
        situation, upto, session = self.placing.situation(), agent.read_upto, self._session.private_name
        packed = await asyncio.to_thread(lambda: pack(beliefs_of(self.placing, situation)))
        # A new session states them anew, and so does whoever finds that Redis has forgotten them.
        said = f"{upto} {session} ".encode() + packed
        if (agent.era, said) != self._said_beliefs and not self._leaves:
            key = self._keys.vip_beliefs
            await self._link.pipeline(("HSET", key, agent.node, said), ("PEXPIRE", key, 24 * 3600 * 1000))
            self._said_beliefs = agent.era, said

    # For the commands.

    async def table(self) -> VipTable:
        """This node's beliefs about each VIP, and each participant's latest statement."""
        return await read_table(self._link, self._keys, self.placing)

    async def situation(self) -> Situation:
        """The present situation, for placement."""
        return self.placing.situation()

    async def move(self, addresses: Sequence[str], target: str) -> Sequence[Deed]:
        """Take this node's part in moving VIPs to a node, where they stay; answers nothing if this node has no part."""
        return await self._moving.move(addresses, target)

    async def home(self, addresses: Sequence[str]) -> Sequence[Deed]:
        """Take the pins off moved VIPs, and take this node's part in moving them home."""
        return await self._moving.home(addresses)

    @property
    def view(self) -> View:
        """The live nodes that take part in VIPs: those that a target may mean here."""
        return View(0, self.placing.roster, {})

    async def drain(self, nodes: Sequence[str]) -> Sequence[Deed]:
        """Drain nodes, and take this node's part in moving their VIPs away."""
        return await self._moving.drain(nodes)

    async def undrain(self, nodes: Sequence[str]) -> Sequence[Deed]:
        """End the drain of nodes, which may then have VIPs again."""
        return await self._moving.undrain(nodes)

    async def announce(self) -> Announced:
        """Publish the configuration of VIPs with a new view number, and wait until the nodes agree on it."""
        old = self.placing.statement
        if old is None:
            raise CommandError("No view is announced: no guardian serves this node yet")
        self.placing.statement = replace(old, view=old.view + 1)
        view = await self.carrying.say(f"@{self.carrying.agent.node}", self.placing.statement.dump())
        agreed: tuple[str, ...] = ()
        # If some nodes do not agree in time, the answer names them.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_AGREE_WAIT_S):
                while len(agreed) < len(self.placing.roster):
                    await check_members(self._link, self._keys.vip_beliefs)
                    (said,) = await self._link.pipeline(("HGETALL", self._keys.vip_beliefs))
                    agreed = self._agreed(replies.fields(said), view)
                    if len(agreed) < len(self.placing.roster):
                        await asyncio.sleep(0.1)
        return Announced(view, agreed, tuple(seat.name for seat in self.placing.roster.values()))

    def _agreed(self, said: dict[bytes, bytes], view: int) -> tuple[str, ...]:
        upto = read_upto(said)
        return tuple(seat.name for key, seat in self.placing.roster.items() if upto.get(key, -1) >= view)

    def figures(self) -> Figures:
        """The figures about this node's VIPs."""
        return self.carrying.figures()

    def debug(self, on: bool) -> None:
        """Begin or stop to log each event and each decision about VIPs."""
        self.carrying.verbose = on


def _shares(vips: dict[str, ConfiguredVip]) -> Shares:
    return {address: vip.share for address, vip in vips.items()}
