"""The shell around the pure agent: it carries out the agent's decisions in Redis and through the guardian, and brings
back the answers."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from eccmgr.cluster.carrier import CarrierState, SessionRefusal, VipNews
from eccmgr.cluster.heartbeats import Heartbeats
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.timing import Timing
from eccmgr.duravip.records import Granted, Page, SessionAnswer, Stated, Verdict
from eccmgr.errors import RedisUnreachable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from worker.duravip import calls
from worker.duravip.asking import VipCalls
from worker.duravip.changes import Changes, Figures
from worker.duravip.footing import Footing
from worker.duravip.guarding import Guarding
from worker.duravip.model import actions as act
from worker.duravip.model.agent import Agent
from worker.duravip.model.telling import told
from worker.guardian import wire
from worker.guardian.guard import ASK_AGAIN
from worker.guardian.wire import boot_time

log = structlog.get_logger()


@dataclass(frozen=True)
class Carried:
    """A VIP that was plumbed here: the time on CLOCK_BOOTTIME, and how long the plumbing took."""

    epoch: int
    at: float
    took_s: float


class Carrying:
    """A session's carrier: the agent of one node with its guardian.

    `copies` is the number of Redis's copies; 0 takes the number that the sentinels know.
    """

    def __init__(
        self, link: Link, keys: Keys, options: ClusterOptions, heartbeats: Heartbeats, node: str, copies: int
    ) -> None:
        self.keys, self.session, self._hurry = keys, heartbeats.session, heartbeats.hurry
        self.agent = Agent(node, Timing(options.heartbeat_s, 3 * options.heartbeat_s), self.session.fresh_name)
        link.on_move.append(self._moved)
        self.footing = Footing(link)
        self.calls = VipCalls(link, keys, options, self.agent, node, self.footing, copies)
        self.guarding = Guarding(link, self.calls, lambda: options.heartbeat_s)
        self.guarding.on_ready, self.guarding.on_message = self._respawned, self._hear
        self.guarding.on_gone = lambda: self.on_change()
        self.calls.flush, self.calls.hear = self.guarding.flush, self._hear_answer
        self.verbose = False
        """Whether each decision is logged."""
        self.changes = Changes(node, 2.5 * options.heartbeat_s)
        self.agent.on_given_up = lambda *seen: self.changes.given_up(boot_time(), *seen)
        self.agent.on_lost = lambda *seen: self.changes.lost(boot_time(), *seen)
        self._renewed_at: float | None = None
        """The time at which the last answered renewal was sent."""
        self.carried: dict[str, Carried] = {}
        self.failed: dict[str, str] = {}
        """Addresses that could not be plumbed, each with its reason, until placement takes them out."""
        self.on_said: Callable[[str, str], None] = lambda _name, _text: None
        self.on_read_anew: Callable[[], None] = lambda: None
        """Called before all changes are read again from the beginning."""
        self.on_link: Callable[[str, bool, bool], None] = lambda _interface, _up, _there: None
        self.on_change: Callable[[], None] = lambda: None
        """Called when VIPs or members may have changed."""
        self._link, self._options = link, options
        self._broken: dict[tuple[str, str], list[tuple[str, int]]] = {}
        """VIPs that could not be plumbed, grouped by the reason and by the node that gave them to us."""
        self._beat: act.Beat | None = None
        self._generation: object = None

    def take_times(self) -> None:
        """Use the cluster's present times. Raises SettingsError if VIPs cannot be held with them."""
        options = self._options
        self.agent.timing = Timing.of(options.heartbeat_s, options.session_lease_s, options.max_step_s)

    # The session.

    async def begin(self, *, joins: bool) -> CarrierState:
        """A heartbeat or a join is about to be sent."""
        if joins:
            self.agent.left()
        self._give_up_unguarded()
        await self.guarding.flush()
        *more, beat = self.agent.beat(boot_time())
        assert isinstance(beat, act.Beat)
        self.do(more)
        await self.guarding.flush()
        self._beat = beat
        return CarrierState(beat.session, beat.era.number, beat.era.memory, self.calls.copies)

    def _give_up_unguarded(self) -> None:
        """Give up our session once all our addresses are silent, so that other nodes carry the VIPs."""
        timing = self.agent.timing
        if self.agent.carries and self.guarding.is_over(timing.hold_s + timing.fence_late_s):
            log.error("session and vips given up", session=self.agent.session, reason=self.guarding.missing)
            self.do(self.agent.unguarded(f"no guardian serves: {self.guarding.missing}"))
            self.on_change()

    async def joined(self, news: VipNews, acked: bool) -> None:
        """We have joined: state our VIPs. Raises RedisUnreachable if it turns out that the join does not count."""
        assert self._beat is not None
        if not acked:
            self.footing.doubt()
        pending = self.agent.beaten(boot_time(), self._beat, calls.beaten(news, acked))
        while states := [action for action in pending if isinstance(action, act.StateHeld)]:
            self.do(action for action in pending if not isinstance(action, act.StateHeld))
            answer = await self.calls.ask(states[0])
            assert isinstance(answer, Stated)
            pending = self.agent.stated(boot_time(), states[0], answer)
        self.do(pending)
        self._renewed_at = self._beat.sent
        if not self.agent.joined:
            raise RedisUnreachable("Redis is not reachable: it has lost its memory while we joined")
        self._noticed()

    async def renewed(self, news: VipNews, acked: bool) -> None:
        """A heartbeat was answered."""
        assert self._beat is not None
        self.guarding.tell_ending()
        if not acked:
            self.footing.doubt()
        answer, self._renewed_at = calls.beaten(news, acked), self._beat.sent
        self.changes.late(boot_time(), answer.late)
        self.do(self.agent.beaten(boot_time(), self._beat, answer))
        self._noticed()

    def _moved(self) -> None:
        """Another server has taken over."""
        self.guarding.tell_ending()
        self._hurry()

    async def refused(self, refusal: SessionRefusal, acked: bool) -> None:
        """A heartbeat or a join did not count."""
        assert self._beat is not None
        self.do(self.agent.beaten(boot_time(), self._beat, calls.refused(refusal, acked)))

    async def reset(self) -> None:
        """The session continues under another name."""
        self.do(self.agent.reset())

    async def left(self) -> None:
        """The session has ended for good, and everything is unplumbed."""
        await self._link.run(self.calls.end(self.agent.session, self.agent.era, "leave"))

    def _noticed(self) -> None:
        seen = (self.agent.session, self.agent.era, self.agent.opened, self.session.view)
        if seen != self._generation:
            self._generation = seen
            self.on_change()

    def figures(self) -> Figures:
        """The present figures for the metrics."""
        now, ready, changes = boot_time(), self.guarding.ready, self.changes
        return Figures(
            changes.addresses,
            dict(changes.counts),
            changes.outage_s,
            now - self._renewed_at if self._renewed_at is not None else None,
            ready.fence if ready is not None else "",
            ready is not None and now < self.agent.deadline,
        )

    # Decisions.

    def do(self, actions: Iterable[act.Action]) -> None:
        """Carry out the agent's decisions. When this returns, the messages to the guardian are in its pipe."""
        for action in actions:
            if self.verbose:
                log.info("vip decision", action=told(action, boot_time()))
            match action:
                case act.Beat():
                    pass
                case act.Read():
                    self.calls.read()
                case act.RedisCall():
                    if self.calls.has_room:
                        self._note_wishes(action)
                        self.calls.add(action)
                case act.ReplaceGuardian():
                    if not self.guarding.serves:
                        continue
                    log.error("guardian is silent; another takes its place")
                    self.guarding.let_go()
                case _:
                    self.guarding.tell(action)

    def _note_wishes(self, call: act.RedisCall) -> None:
        if isinstance(call, act.Acquire):
            now, vips = boot_time(), self.agent.vips
            for wish in call.wishes:
                if not vips[wish.address].held:
                    self.changes.asked(now, wish, vips[wish.address].record)

    # Redis.

    def _hear_answer(self, call: act.RedisCall, answer: SessionAnswer) -> None:
        now = boot_time()
        log.debug("redis answered", call=type(call).__name__, verdict=answer.verdict.value, era=answer.era.number)
        if answer.verdict is not Verdict.OK:
            self._hurry()
        elif isinstance(call, act.Acquire) and isinstance(answer, Granted):
            for wish, epoch in zip(call.wishes, answer.epochs, strict=True):
                if not epoch:
                    self.changes.refused(wish.address)
            self.do(self.agent.granted(now, call, answer))
        elif isinstance(call, act.Read) and isinstance(answer, Page):
            if not call.since:
                self.on_read_anew()
            for name, text in answer.said:
                self.on_said(name, text)
            for address, record in answer.records:
                self.changes.read(address, record)
            self.do(self.agent.changed(now, call, answer))
            if answer.records or answer.said:
                self.on_change()
        elif isinstance(call, act.TakeOver):
            log.warning("session taken over", session=call.watched, counter=call.counter)
        elif isinstance(call, act.OpenEra):
            log.info("era opened", era=call.era.number)

    def heard(self, _channel: str, data: bytes) -> None:
        """An event came: a node has changed something."""
        if data in (b"open", b"ended"):
            self._hurry()
        self.do(self.agent.noticed())

    async def say(self, name: str, text: str) -> int:
        """Make a statement about a node known to all agents; answers the number of that change. Raises
        RedisUnreachable."""
        return await self.calls.say(name, text)

    # The guardian.

    @property
    def ready(self) -> wire.Ready | None:
        """The ready message of the present guardian; None if no guardian serves."""
        return self.guarding.ready

    def _respawned(self) -> None:
        self.do(self.agent.respawned(self.guarding.served == self.agent.session))
        self._hurry()
        self.on_change()

    def _hear(self, message: wire.Message) -> None:
        now = boot_time()
        match message:
            case wire.Kept():
                self.agent.kept()
            case wire.Plumbed():
                self.agent.plumbed(message.address, message.epoch)
                self.carried[message.address] = Carried(message.epoch, now, message.ms / 1000)
                vip = self.agent.vips.get(message.address)
                if vip is not None and vip.plumbed == message.epoch:
                    self.changes.owned(now, message.address, message.epoch)
                self.on_change()
            case wire.NotPlumbed():
                self._not_plumbed(message)
            case wire.Unplumbed():
                for address, reason in message.failures:
                    log.error("vip not unplumbed", vip=address, reason=reason)
                self.do(self.agent.unplumbed(now, int(message.tag), [address for address, _ in message.failures]))
                self.on_change()
            case wire.Down():
                log.warning("guardian went down", session=message.session, reason=message.reason)
                self.do(self.agent.down(message.session, message.reason))
                self._hurry()
                self.on_change()
            case wire.LinkState():
                self.on_link(message.interface, message.up, message.there)

    def _not_plumbed(self, message: wire.NotPlumbed) -> None:
        vip = self.agent.vips.get(message.address)
        if message.reason in ASK_AGAIN:
            self.agent.missed(message.address, message.epoch)
            return
        if vip is None or vip.held != message.epoch:
            return
        log.warning("vip not plumbed", vip=message.address, epoch=message.epoch, reason=message.reason)
        self.failed[message.address] = message.reason
        if not self._broken:
            asyncio.get_running_loop().call_soon(self._give_up_broken)
        cause = message.reason, self.changes.giver(message.address)
        self._broken.setdefault(cause, []).append((message.address, message.epoch))

    def _give_up_broken(self) -> None:
        """Give up the VIPs that could not be plumbed. If an interface fails, thousands of VIPs may fail with it, so
        they go together."""
        broken, self._broken = self._broken, {}
        for (reason, giver), failed in broken.items():
            self.do(self.agent.not_plumbed(failed, reason, giver))
        self.on_change()
