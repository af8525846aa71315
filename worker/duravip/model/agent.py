"""The decisions of one node's agent about its session and its VIPs: pure; events in, actions out.

The law: no two nodes carry a VIP at the same time. It rests on these rules, and a model tests each of them:

- A node holds its VIPs until a deadline, which it counts from just before it sent its last answered renewal. No node
  trusts a clock of Redis: the other nodes watch the renewal counter for longer than that, on their own clocks, and name
  the counter when they take over.
- In a closed era nothing is granted, and only a join that states all holdings moves the deadline.
- A node plumbs only on the answer to its own call, with an epoch above the last one that it gave up.
- A node releases a VIP only after the guardian has confirmed that it is unplumbed, and repeats the release until the
  record shows it.
- An answer moves the deadline and grants VIPs only if a majority of Redis's copies has it.

Times are CLOCK_BOOTTIME in seconds.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from eccmgr.cluster.timing import Timing
from eccmgr.duravip.records import Beaten, Era, Granted, Page, SessionAnswer, Stated, Verdict, VipRecord
from worker.duravip.model import actions as act
from worker.duravip.model.batches import batches
from worker.duravip.model.due import Due
from worker.duravip.model.joining import Joining
from worker.duravip.model.unplumbings import Unplumbings
from worker.duravip.model.vip_state import VipState
from worker.duravip.model.watching import Watches

TOO_OLD = "not renewed in time"
"""The reason for dropping a VIP when its deadline has passed."""


class Agent:
    """One node's side of the protocol. `fresh` makes a private name that was never used before."""

    def __init__(self, node: str, timing: Timing, fresh: Callable[[], str]) -> None:
        self.node = node.lower()
        self.timing = timing
        self.session = fresh()
        self.before = ""
        """Our previous session, until it is ended or forgotten."""
        self.joined = self.opened = False
        self.era = Era()
        self.deadline = 0.0
        self.vips: dict[str, VipState] = {}
        self.read_upto = 0
        """The number of the last change of this era that `vips` shows."""
        self.on_given_up: Callable[[str, int, str, str], None] = lambda _address, _epoch, _to, _reason: None
        self.on_lost: Callable[[str, int, str], None] = lambda _address, _epoch, _reason: None
        """Called with each VIP that we no longer hold, for counts and log."""
        self._fresh = fresh
        self.latest = 0
        """The number of the latest change, from the last heartbeat's answer."""
        self._wanted: Mapping[str, str] = {}
        self._unsettled: dict[str, None] = {}
        """The VIPs that are not as they should be, oldest first: the order makes a replayed schedule run the same."""
        self._watches = Watches()
        self._unconfirmed_since: float | None = None
        self._unplumbings = Unplumbings()
        self._joining: Joining | None = None

    # The session.

    def reckon(self, others_hold_s: float, extra_late_s: float) -> None:
        """Wait longer in all watches: other nodes hold their VIPs for `others_hold_s`, and the weakest fence closes
        `extra_late_s` later than usual."""
        self.timing = replace(self.timing, others_hold_s=others_hold_s, extra_late_s=extra_late_s)

    def left(self) -> None:
        """We are no longer a member. When we join again, we state the VIPs that we hold."""
        self.joined = False

    def beat(self, now: float) -> list[act.Action]:
        """A heartbeat is due."""
        actions: list[act.Action] = []
        silent_since = self._unconfirmed_since
        if silent_since is not None and now - silent_since > self.timing.guardian_silent_s:
            self._unconfirmed_since = None
            actions.append(act.ReplaceGuardian())
        if now >= self.deadline:
            actions += self._drop(self._holding(), TOO_OLD)
        self._joining = None
        return [*actions, act.Beat(self.session, self.era, now, joins=not self.joined)]

    def beaten(self, now: float, asked: act.Beat, answer: Beaten) -> list[act.Action]:
        """Redis answered a heartbeat."""
        if not self._concerns(asked, answer):
            return []
        if answer.verdict is Verdict.ENDED:
            return self._renamed()
        if answer.verdict is Verdict.REJOIN:
            again = self.joined
            self.joined = False
            return self.beat(now) if again else []
        self._enter(answer.era)
        if not asked.joins:
            return self._renewed(now, asked.sent, answer)
        return self._state(now, asked, answer)

    def _state(self, now: float, asked: act.Beat, answer: Beaten) -> list[act.Action]:
        """We have joined: state the VIPs that we hold, if there are any and it is not too late."""
        held = self._holding() if now < self.deadline else []
        actions = self._drop(self._holding(), TOO_OLD) if not held else []
        if answer.opened:
            # It is too late to state anything: another node has watched the era for longer than our deadline.
            actions += self._drop(held, "the era opened before it was stated")
            held = []
        if not held:
            return [*actions, *self._renewed(now, asked.sent, answer)]
        holdings = [(address, self.vips[address].held) for address in held]
        statements = [act.StateHeld(self.session, self.era, tuple(some)) for some in batches(holdings)]
        self._joining = Joining(asked.sent, answer, statements)
        return [*actions, statements[0]]

    def stated(self, now: float, asked: act.StateHeld, answer: Stated) -> list[act.Action]:
        """Redis answered a statement of ours; the last answer completes the join."""
        joining = self._joining
        if joining is None or asked is not joining.left[0] or not self._concerns(asked, answer):
            return []
        if answer.verdict is not Verdict.OK or answer.era != asked.era:
            self._joining = None
            return self._renamed() if answer.verdict is Verdict.ENDED else []
        actions = self._drop(joining.take(asked, answer), "another node stated it")
        if joining.left:
            return [*actions, joining.left[0]]
        self._joining = None
        return [*actions, *self._renewed(now, joining.sent, joining.answer, joining.acked)]

    def _concerns(self, asked: act.RedisCall, answer: SessionAnswer) -> bool:
        """Whether an answer is for our present session and not from an era before ours. Notes a later era."""
        if asked.session != self.session or answer.era.number < self.era.number:
            return False
        if answer.era.number > self.era.number:
            # All that we know of the new era is that we have not joined in it.
            self._enter(Era(answer.era.number, self.era.memory))
        return True

    def _enter(self, era: Era) -> None:
        """Enter an era. Forget the records, because they belong to the era before."""
        if era == self.era:
            return
        self.era, self.opened, self.read_upto, self.latest = era, False, 0, 0
        for address, vip in self.vips.items():
            vip.record, vip.asked_at = VipRecord(), float("-inf")
            self._unsettled[address] = None

    def _renewed(self, now: float, sent: float, answer: Beaten, acked: bool = True) -> list[act.Action]:
        self.joined, self.opened, self.latest = True, answer.opened, answer.change
        actions = self._end_before()
        if answer.acked and acked:
            self.deadline = max(self.deadline, sent + self.timing.hold_s)
            if self._unconfirmed_since is None:
                self._unconfirmed_since = now
            actions.append(act.Extend(self.session, self.deadline, self.era))
        actions += self._watch(now, answer)
        if self.latest != self.read_upto:
            actions.append(act.Read(self.session, self.era, self.read_upto))
        return actions + self.settle(now)

    def _renamed(self, why: str = "our session was ended") -> list[act.Action]:
        """Our session is over: take a new private name, and drop all VIPs. The old session is ended once all of them
        are unplumbed."""
        if self.joined or not self.before:
            self.before = self.session
        self.session, self.joined, self._joining = self._fresh(), False, None
        actions = self._drop(self._holding(), why)
        self._unplumbings.end_session()
        return actions

    def _end_before(self) -> list[act.Action]:
        if not self.before or not self._unplumbings.frees_before or not self.joined:
            return []
        ended, self.before = self.before, ""
        return [act.EndCarrying(ended, self.era)]

    def _watch(self, now: float, answer: Beaten) -> list[act.Action]:
        """Act on watches that have aged."""
        actions: list[act.Action] = []
        for aged in self._watches.aged(now, self.era, answer, self.timing):
            if aged.late is None:
                actions.append(act.OpenEra(self.session, self.era))
            elif answer.opened:
                actions.append(act.TakeOver(self.session, self.era, aged.late.session, aged.late.counter))
        return actions

    # Records.

    def noticed(self) -> list[act.Action]:
        """A record has changed: read it."""
        return [act.Read(self.session, self.era, self.read_upto)] if self.joined else []

    def changed(self, now: float, asked: act.Read, page: Page) -> list[act.Action]:
        """Redis answered with changed records."""
        if not self._speaks_of_now(asked, page) or asked.since != self.read_upto:
            return []
        lost = []
        for address, record in page.records:
            vip = self.vips.setdefault(address, VipState())
            vip.read(now, record)
            self._unsettled[address] = None
            if vip.held and record.owner != self.session and record.epoch > vip.held:
                lost.append(address)
        self.read_upto = page.upto if page.upto >= asked.since else 0  # The numbers went back: read all of them anew.
        more = [act.Read(self.session, self.era, page.upto)] if page.more else []
        dropped = self._drop(lost, "another node owns it")
        return [*dropped, *more, *self.settle(now, [address for address, _ in page.records])]

    def _speaks_of_now(self, asked: act.RedisCall, answer: SessionAnswer) -> bool:
        return asked.session == self.session and answer.verdict is Verdict.OK and asked.era == answer.era == self.era

    # VIPs.

    def reset(self) -> list[act.Action]:
        """Continue under a new private name."""
        return self._renamed("our session goes on under another name")

    def place(self, now: float, wanted: Mapping[str, str]) -> list[act.Action]:
        """Placement gives this node these VIPs, each for a reason: ask for them as soon as they are free."""
        self._unsettled |= dict.fromkeys(wanted)
        for address in wanted:
            self.vips.setdefault(address, VipState())
        self._wanted = wanted
        return self.settle(now)

    def give_up(self, addresses: Iterable[str], to: str, reason: str) -> list[act.Action]:
        """Release those of `addresses` that we hold, for the node `to`; with "", placement chooses the node."""
        given = []
        for address in addresses:
            vip = self.vips.get(address)
            if vip is not None and vip.held:
                vip.give_up(to, reason)
                given.append((address, vip.released))
                self.on_given_up(address, vip.released, vip.to, reason)
        return self._unplumbings.ask(self.vips, given)

    def restate(self, addresses: Iterable[str], reason: str) -> list[act.Action]:
        """Change the reason in the records of VIPs that we hold, for example to an operator's pin."""
        held = [address for address in addresses if address in self.vips and self.vips[address].held]
        wishes = [act.Wish(address, self.vips[address].top, reason) for address in held]
        return [act.Acquire(self.session, self.era, tuple(some)) for some in batches(wishes)]

    def granted(self, now: float, asked: act.Acquire, answer: Granted) -> list[act.Action]:
        """Redis answered our request for VIPs."""
        if not self._speaks_of_now(asked, answer):
            return []
        for wish, epoch in zip(asked.wishes, answer.epochs, strict=True):
            vip = self.vips[wish.address]
            if not epoch or not answer.acked or vip.moving or epoch <= vip.released:
                continue
            vip.held, vip.top, vip.asked_at = epoch, max(vip.top, epoch), float("-inf")
            self._unsettled[wish.address] = None
        return self.settle(now, [wish.address for wish in asked.wishes])

    def settle(self, now: float, among: Iterable[str] | None = None) -> list[act.Action]:
        """The next actions for VIPs that are not as they should be.

        A heartbeat looks at all of them. Between heartbeats, `among` names the VIPs to which something happened.
        """
        if not self.joined:
            return []
        due = Due()
        for address in [
            unsettled for unsettled in (self._unsettled if among is None else among) if unsettled in self._unsettled
        ]:
            vip = self.vips[address]
            if self._is_settled(address, vip):
                self._unsettled.pop(address, None)
            elif vip.moving or now - vip.asked_at < 0.9 * self.timing.heartbeat_s:
                continue
            elif vip.held:
                if now < self.deadline:
                    due.plumb.append((address, vip.held))
            elif self._is_ours(vip) and vip.record.epoch <= vip.released:
                if vip.record.epoch <= vip.unplumbed:
                    due.gifts.append(act.Gift(address, vip.record.epoch, vip.to, vip.reason))
            elif due.has_room:
                due.wishes.extend(self._wish(now, address, vip))
        for address in due.addresses:
            self.vips[address].asked_at = now
        return due.actions(self.session, self.era, self.deadline)

    def _is_settled(self, address: str, vip: VipState) -> bool:
        if vip.held:
            return vip.plumbed == vip.held
        return not vip.moving and not self._is_ours(vip) and address not in self._wanted

    def owns(self, address: str) -> bool:
        """Whether we hold a VIP, or are not rid of it yet."""
        vip = self.vips[address]
        return bool(vip.held) or vip.moving or self._is_ours(vip)

    @property
    def carries(self) -> bool:
        """Whether our session has any VIP."""
        return any(vip.held or self._is_ours(vip) for vip in self.vips.values())

    def _is_ours(self, vip: VipState) -> bool:
        return vip.record.owner == self.session and vip.record.era == self.era.number

    def _wish(self, now: float, address: str, vip: VipState) -> list[act.Wish]:
        record, ours = vip.record, self._is_ours(vip)
        reserved = record.era == self.era.number and not ours and record.to not in ("", self.node)
        waited = now - vip.waited_since >= self.timing.reserved_s
        if not ours and (not self.opened or (reserved and not waited)):
            return []
        return [act.Wish(address, vip.top, "" if ours else self._wanted.get(address, ""), force=reserved)]

    def _holding(self) -> list[str]:
        return [address for address, vip in self.vips.items() if vip.held]

    def _drop(self, addresses: Iterable[str], why: str) -> list[act.Action]:
        """Have VIPs unplumbed at once, but do not give them up: our session still owns them, and may ask for them
        again."""
        dropped = []
        for address in addresses:
            vip = self.vips[address]
            self.on_lost(address, vip.held, why)
            vip.held = vip.plumbed = 0
            self._unsettled[address] = None
            dropped.append((address, vip.released))
        return self._unplumbings.ask(self.vips, dropped)

    # The guardian.

    def kept(self) -> None:
        """The guardian confirmed a deadline."""
        self._unconfirmed_since = None

    def plumbed(self, address: str, epoch: int) -> None:
        """The guardian has plumbed a VIP."""
        vip = self.vips.get(address)
        # Until an unplumbing is confirmed, a report describes the time before it, perhaps with the same epoch.
        if vip is not None and vip.held == epoch and not vip.unplumbs:
            vip.plumbed = epoch

    def missed(self, address: str, epoch: int) -> None:
        """The guardian came too late to plumb a VIP: the next heartbeat asks it once more."""
        vip = self.vips.get(address)
        if vip is not None and vip.held == epoch:
            vip.plumbed = 0
            self._unsettled[address] = None

    def not_plumbed(self, failed: Iterable[tuple[str, int]], reason: str, to: str = "") -> list[act.Action]:
        """The guardian cannot plumb VIPs with these epochs: give them up for the node `to`, which gave them to us; with
        "", placement chooses the node."""
        held = [address for address, epoch in failed if address in self.vips and self.vips[address].held == epoch]
        # Placement does not know this yet, and until then we would ask for the VIP again and again.
        self._wanted = {address: why for address, why in self._wanted.items() if address not in held}
        return self.give_up(held, to, reason)

    def unplumbed(self, now: float, tag: int, failed: Iterable[str] = ()) -> list[act.Action]:
        """The guardian has unplumbed VIPs as we asked, except the `failed` ones, for which it is asked again."""
        again, still = [], set(failed)
        asked = self._unplumbings.confirmed(tag)
        for address, epoch in asked:
            vip = self.vips[address]
            vip.unplumbs -= 1
            if address in still:
                again.append((address, epoch))
            elif epoch == vip.released:
                # Release the VIP without waiting, even if we asked for it only a short while ago.
                vip.moving, vip.unplumbed, vip.asked_at = False, max(vip.unplumbed, epoch), float("-inf")
                self._unsettled[address] = None
        actions = self._unplumbings.ask(self.vips, again, of_before=bool(self.before))
        return [*actions, *self._end_before(), *self.settle(now, [address for address, _ in asked])]

    def down(self, session: str, why: str = "the guardian went down") -> list[act.Action]:
        """The guardian has unplumbed everything and ends `session`."""
        if session != self.session:
            return []
        actions = self._renamed(why)
        self._unplumbings.forget_before()
        return actions

    def respawned(self, served: bool) -> list[act.Action]:
        """A new guardian serves. It has unplumbed everything, so what earlier guardians did not confirm is done.

        It needs a session that no guardian ever `served`.
        """
        return self._all_silent("its guardian is gone", ends=served)

    def unguarded(self, why: str) -> list[act.Action]:
        """No guardian serves, and the fence of the last one has closed: give up our session, so that other nodes carry
        our VIPs."""
        self._wanted = {}
        return self._all_silent(why, ends=True)

    def _all_silent(self, why: str, *, ends: bool) -> list[act.Action]:
        """All our addresses are silent, whatever guardians did not confirm. With `ends`, our session is over."""
        self._unconfirmed_since = None
        self._unplumbings.forget()
        for address in self._holding() if ends else ():
            self.on_lost(address, self.vips[address].held, why)
        for vip in self.vips.values():
            vip.fall_silent()
            if ends:
                vip.held = 0
        self._unsettled |= dict.fromkeys(self.vips)
        return self._renamed() if ends else []
