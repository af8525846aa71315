"""Placement on one node: from records, statements and the roster it decides which VIPs the node takes and gives up."""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping

import structlog

from eccmgr.cluster.view import Seat, View
from eccmgr.duravip.placement import Move, Placement, Situation, next_batch, place
from eccmgr.duravip.records import MOVED, Era
from eccmgr.duravip.shares import Shares
from eccmgr.duravip.statements import Said, Statement, dump_unable, participants
from eccmgr.duravip.states import Agreed, assess
from eccmgr.errors import EccmgrError, Unreadable
from eccmgr.redis import replies
from eccmgr.redis.bounds import check_members
from eccmgr.redis.connect import Link
from worker.duravip.carrying import Carrying
from worker.duravip.footing import NOT_LOOKED
from worker.duravip.guarding import STARTING
from worker.duravip.model.vip_state import VipState
from worker.duravip.options import DuravipOptions
from worker.duravip.pace import LoopPace
from worker.duravip.rendering import impediments
from worker.guardian.wire import boot_time

log = structlog.get_logger()

_PAUSE_S = 0.02
_RECHECK_S = 0.5
_BUSY_S = 2.0
"""While earlier decisions are under way, placement waits this long before it makes new ones."""
_SHARE = 4
"""Placement rests this many times as long as it computed: thousands of VIPs take long."""
_RETRY_FAILED_S = 10.0
_AGAIN_S = 20.0
"""After this time a node states everything again, in case that somebody else has changed it in Redis."""


class Placing:
    """Keeps a picture of the cluster, and has our node take and give up VIPs as placement says."""

    def __init__(self, link: Link, carrying: Carrying, options: Callable[[], DuravipOptions]) -> None:
        self.carrying, self.said = carrying, Said()
        self.roster: Mapping[str, Seat] = {}
        """The live participants, by name in small letters."""
        self.standings: Mapping[str, Agreed] = {}
        self.roster_since = self.stated_since = boot_time()
        """The time since which the live nodes are the same, and the time since which their statements and the drained
        nodes are the same."""
        self.changed = asyncio.Event()
        """This event is set when something may have changed, and a new one takes its place."""
        self._link, self._options = link, options
        self._roster_view: object = None
        self._seats: dict[str, Seat] = {}
        self._sessions: dict[str, str] = {}
        self._assessed: dict[str, Shares] = {}
        self._drained: frozenset[str] = frozenset()
        self._stated_for: object = None
        self._stated_at = -math.inf
        self._unable_said: tuple[dict[str, str], Era] | None = None
        self.unable: dict[str, str] = {}
        """Our last statement of the VIPs that we cannot carry, with reasons."""
        self._balanced_at = self._placed_at = 0.0
        self._down: dict[str, str] = {}
        """The interfaces that carry no VIP now, with reasons."""
        self._failed: dict[str, tuple[float, str]] = {}
        """The VIPs that could not be plumbed, with time and reason."""
        self.statement: Statement | None = None
        self.restate: Callable[[], None] = lambda: None
        """Called before `statement` is read, to bring it up to date."""
        self.interfaces: Mapping[str, str] = {}
        """Address → interface of each VIP in our configuration."""
        carrying.on_change = carrying.footing.on_change = self.notice
        carrying.on_said, carrying.on_read_anew = self._hear, self._forget
        carrying.on_link = self._hear_link

    def notice(self) -> None:
        """Something may have changed."""
        self.changed.set()
        self.changed = asyncio.Event()

    async def until(self, done: Callable[[], bool], longest_s: float) -> None:
        """Wait until `done` answers true, for at most `longest_s`."""
        try:
            async with asyncio.timeout(longest_s):
                while not done():
                    changed = self.changed
                    try:
                        async with asyncio.timeout(0.05):
                            await changed.wait()
                    except TimeoutError:
                        pass
        except TimeoutError:
            return

    def _hear(self, name: str, text: str) -> None:
        self.said.hear(name, text)
        if name == self._unable_name and self._unable_said and text != dump_unable(self._unable_said[0]):
            # When a link went down, a call may have counted as lost and still be carried out long afterwards.
            self._unable_said = None
            self.notice()

    def _forget(self) -> None:
        """Forget the picture and read it anew: statements to a server that has lost its memory do not count."""
        self.said.forget()

    @property
    def _unable_name(self) -> str:
        return f"~{self.carrying.agent.node}"

    def _hear_link(self, interface: str, up: bool, there: bool) -> None:
        if up:
            self._down.pop(interface, None)
            log.info("interface", name=interface, up=up)
        else:
            self._down[interface] = f"{interface} is down" if there else f"there is no interface {interface}"
            log.warning("interface", name=interface, up=up, reason=self._down[interface])
        self.notice()

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        pace, said = LoopPace(_PAUSE_S, _SHARE), ""
        while True:
            changed = self.changed
            pace.begin()
            try:
                await self._turn()
                said = ""
            except EccmgrError as error:
                # The heartbeats tell of a Redis that is away.
                say = log.warning if isinstance(error, Unreadable) and str(error) != said else log.debug
                say("placement waits", reason=str(error))
                said = str(error)
            await asyncio.sleep(pace.rest_s)
            try:
                async with asyncio.timeout(_RECHECK_S):
                    await changed.wait()
            except TimeoutError:
                pass

    async def _turn(self) -> None:
        agent, ready = self.carrying.agent, self.carrying.ready
        if not agent.joined:
            return
        self.restate()
        await self._look_around()
        await self._state()
        if not agent.opened or agent.read_upto < agent.latest:
            return
        if self.carrying.calls.is_busy and boot_time() - self._placed_at < _BUSY_S:
            return
        self._placed_at = boot_time()
        await self._assess()
        if self.carrying.footing.refusal:
            self._carry_nothing()
            return
        situation = self.situation()
        placement = await asyncio.to_thread(place, situation)
        # Our statement rests on a guardian that is gone.
        if agent.joined and agent.opened and ready is not None and ready is self.carrying.ready:
            self._apply(placement)

    async def _look_around(self) -> None:
        """Read the roster if the view has changed."""
        view = (self.carrying.session.view, self.carrying.agent.era)
        if view != self._roster_view:
            await check_members(self._link, self.carrying.keys.roster)
            (lines,) = await self._link.pipeline(("HGETALL", self.carrying.keys.roster))
            self._seats = dict(View.read(0, replies.fields(lines), {}).live)
            self._roster_view = view

    async def _state(self) -> None:
        """State the VIPs in our configuration, and those that we cannot carry, unless Redis has this already. Now and
        then state all of it again, with the VIPs that we hold."""
        carrying, era = self.carrying, self.carrying.agent.era
        if (now := boot_time()) - self._stated_at >= _AGAIN_S:
            self._stated_at, self._stated_for, self._unable_said = now, None, None
            if held := [address for address, vip in carrying.agent.vips.items() if vip.held]:
                carrying.do(carrying.agent.restate(held, ""))
        if self.statement is not None and (self.statement, era) != self._stated_for:
            await carrying.say(f"@{carrying.agent.node}", await asyncio.to_thread(self.statement.dump))
            self._stated_for = (self.statement, era)
        unable = self._unable()
        if (unable, era) != self._unable_said:
            self._unable_said = None  # A call that fails may have been carried out.
            if unable != self.unable:
                self._log_unable(unable)
            await carrying.say(self._unable_name, dump_unable(unable))
            self._unable_said = (unable, era)

    def _unable(self) -> dict[str, str]:
        """The VIPs that we cannot carry, with reasons."""
        if self.carrying.ready is None:
            return dict.fromkeys(self.interfaces, self.carrying.guarding.missing)
        if self.carrying.footing.refusal:
            return dict.fromkeys(self.interfaces, self.carrying.footing.refusal)
        now = boot_time()
        self._failed |= {address: (now, reason) for address, reason in self.carrying.failed.items()}
        self.carrying.failed.clear()
        self._failed = {
            address: (failed_at, why)
            for address, (failed_at, why) in self._failed.items()
            if now - failed_at < _RETRY_FAILED_S
        }
        down = {vip_address: self._down[name] for vip_address, name in self.interfaces.items() if name in self._down}
        return {address: why for address, (_, why) in self._failed.items()} | down

    def _log_unable(self, unable: dict[str, str]) -> None:
        previous, self.unable = self.unable, unable
        if _is_grave(unable):
            reasons = "; ".join(impediments(unable, len(self.interfaces)))
            log.warning("vips cannot be carried here", vips=len(unable), reason=reasons)
        elif _is_grave(previous) and not unable:
            log.info("vips can be carried here again", vips=len(previous))

    async def _assess(self) -> None:
        while self.said.unread:
            node, text = self.said.unread.popitem()
            try:
                self.said.statements[node] = await asyncio.to_thread(Statement.parse, text)
            except Unreadable as error:
                log.warning("statement not understood", node=node, reason=str(error))
        self.carrying.agent.reckon(self.said.longest_hold_s, self.said.latest_s)
        self.roster = participants(self._seats.values(), self.said)
        stated = {seat.name: self.said.statements[key].shares for key, seat in self.roster.items()}
        drained, sessions = frozenset(self.said.drained), {key: seat.private_name for key, seat in self.roster.items()}
        if sessions != self._sessions:
            # This includes a node that is back before anybody has missed it: its VIPs have just been taken over.
            self._sessions, self.roster_since = sessions, boot_time()
        if (stated, drained) == (self._assessed, self._drained):
            return
        self.standings = await asyncio.to_thread(assess, stated)
        known = {name: self._assessed.get(name, shares) for name, shares in stated.items()}
        if (stated, drained) != (known, self._drained):
            self.stated_since = boot_time()
        self._assessed, self._drained = stated, drained

    def situation(self) -> Situation:
        """The situation, for placement."""
        agent, now = self.carrying.agent, boot_time()
        by_private = {seat.private_name: seat.name for seat in self._seats.values()}
        owners, pins = {}, {}
        for address, vip in agent.vips.items():
            owner = self._holder(vip, by_private, now)
            if owner is not None:
                owners[address] = owner
                if vip.record.reason == MOVED:
                    pins[address] = owner
        named = {seat.key: seat.name for seat in self.roster.values()}
        return Situation(
            frozenset(named.values()),
            self.standings,
            owners,
            pins,
            frozenset(named[node] for node in self.said.drained if node in named),
            {named[node]: gone for node, gone in self.said.unable.items() if node in named and gone},
        )

    def _holder(self, vip: VipState, by_private: Mapping[str, str], now: float) -> str | None:
        """The node that has a VIP, or the node for which the VIP waits after a move."""
        agent, record = self.carrying.agent, vip.record
        if record.era != agent.era.number:
            return None
        if record.owner:
            return by_private.get(record.owner)
        if record.to and now - vip.waited_since < agent.timing.reserved_s and record.to in self.roster:
            return self.roster[record.to].name
        return None

    def _apply(self, placement: Placement) -> None:
        agent, now = self.carrying.agent, boot_time()
        to_take = {move.address: move.reason for move in placement.takeovers if self._is_us(move.target)}
        for address, vip in agent.vips.items():
            if not vip.record.owner and vip.record.to == agent.node and vip.record.era == agent.era.number:
                to_take.setdefault(address, vip.record.reason)
        to_take = {address: reason for address, reason in to_take.items() if address in self.interfaces}
        self.carrying.do(agent.place(now, to_take))
        self._give_up(placement.departures)
        options = self._options()
        is_mature = now - max(self.roster_since, self.stated_since) >= options.view_mature_time_s
        if placement.balancing and is_mature and now - self._balanced_at >= options.view_balance_interval_s:
            self._balanced_at = now
            self._give_up(next_batch(placement.balancing, options.balance_set_size))

    def _carry_nothing(self) -> None:
        agent = self.carrying.agent
        self.carrying.do(agent.place(boot_time(), {}))
        held = [address for address, vip in agent.vips.items() if vip.held]
        self.carrying.do(agent.give_up(held, "", "refused"))

    def _give_up(self, moves: Iterable[Move]) -> None:
        ours: dict[tuple[str, str], list[str]] = {}
        for move in moves:
            if move.source is not None and self._is_us(move.source):
                ours.setdefault((move.target, move.reason), []).append(move.address)
        for (target, reason), addresses in ours.items():
            self.carrying.do(self.carrying.agent.give_up(addresses, target, reason))

    def _is_us(self, node: str) -> bool:
        return node.lower() == self.carrying.agent.node


def _is_grave(unable: Mapping[str, str]) -> bool:
    """Whether any reason is graver than those that are usual at a start."""
    return bool(set(unable.values()) - {STARTING, NOT_LOOKED})
