"""Waits for the answers to one command: looks at Redis, releases the command to further nodes, and reports."""

import asyncio
import contextlib
import dataclasses
import secrets
from collections.abc import Awaitable, Callable

from eccmgr.access.signer import RELEASED_AT_ONCE, Signer
from eccmgr.cluster.authenticity import AnswerVerifier
from eccmgr.cluster.calls import answers, commands
from eccmgr.cluster.calls.answers import STANDING_AT_ONCE, Drive, OpenStanding, Parting
from eccmgr.cluster.calls.commands import ReleaseVerdict
from eccmgr.cluster.kept import KeptCommands
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.cluster.progress import GatherProgress, gather_progress, leases_wanted
from eccmgr.cluster.results import Entry, Outcome, Report, Sent, State
from eccmgr.cluster.roster import Roster
from eccmgr.cluster.waiting import News, Published, Waiting
from eccmgr.errors import CommandError, EccmgrError
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

# The pause after which a gather looks by itself if it hears no notice: a notice may be lost.
_LOOK_AGAIN_S = 0.5

# It costs less to read many answers together. So before a gather looks, it waits this long for a number of answers, or
# for all that are due. If no answer has come by then, it is notified of the next one.
_PATIENCE_S = 0.025

# The shortest pause between two accounts of the progress; and the pause in proportion to the time that one takes.
_PROGRESS_S = 0.25
_PROGRESS_REST = 20

# The pauses of one that does not drive the command: between two looks, and between two readings of the plan.
_WATCH_S = 0.2
_PLAN_S = 1.0

# The time that Redis has to note that a sender has stopped waiting.
_FAREWELL_S = 1.0


@dataclasses.dataclass(frozen=True)
class Audience:
    """Hears of a gather: once of the command that was sent, of each node's outcome, and now and then of its
    progress."""

    on_sent: Callable[[Published], Awaitable[None]] | None = None
    on_outcome: Callable[[Outcome], Awaitable[None]] | None = None
    on_progress: Callable[[GatherProgress], Awaitable[None]] | None = None


NO_AUDIENCE = Audience()


@dataclasses.dataclass(frozen=True)
class Means:
    """What every gather of a manager uses. It hears notices of responses on the channel `notices`."""

    link: Link
    keys: Keys
    options: ClusterOptions
    roster: Roster
    signer: Signer
    verifier: AnswerVerifier
    kept: KeptCommands
    notices: str


def new_driver() -> str:
    """A name for one that drives a command."""
    return secrets.token_hex(8)


class Gathering:
    """One gather, from the sending of its command to its report. It looks when `heard` is set, and by itself; it waits
    until `deadline` of the event loop's clock.

    The one that `drives` a command releases it to its nodes, and says when its sender waits no longer. Any other one
    only reads, waits `as_long_as_sender` does, and with the name of a `driver` takes the place of one that is gone.
    """

    def __init__(
        self,
        means: Means,
        waiting: Waiting,
        heard: asyncio.Event,
        deadline: float,
        audience: Audience,
        driver: str,
        *,
        drives: bool = False,
        as_long_as_sender: bool = False,
    ) -> None:
        self.heard = heard
        self.drives = drives
        self._means = means
        self._waiting = waiting
        self._deadline = deadline
        self._audience = audience
        self._driver = driver
        self._as_long_as_sender = as_long_as_sender
        self._is_driven = True
        self._plan_due = 0.0
        self._loop = asyncio.get_running_loop()
        self._progress_due = self._loop.time() + _PROGRESS_S

    @property
    def _sent(self) -> Sent:
        return self._waiting.sent

    @property
    def id(self) -> str:
        """The command's id."""
        return self._sent.id

    def without_audience(self) -> "Gathering":
        """The same gather; from now on nobody hears of it."""
        self._audience = NO_AUDIENCE
        return self

    async def report(self) -> Report:
        """Wait until every expected node is accounted for, or the deadline is over, and report.

        Raises CommandError if Redis cannot be asked at the deadline.
        """
        waiting, over = self._waiting, False
        wait_s = _patience_s(waiting)
        while not waiting.over and not over:
            await self._listen(min(wait_s, self._left_s))
            over = self._left_s <= 0
            # Clear this before the look: a notice that comes during the look calls for another look.
            self.heard.clear()
            try:
                news = await self._look(last=over)
            except EccmgrError as error:
                if over:
                    text = f"{error}; the command was sent, ask later: retrieve #{self.id}"
                    raise CommandError(text) from error
                wait_s = _LOOK_AGAIN_S
            else:
                for outcome in waiting.settle(news):
                    if self._audience.on_outcome is not None:
                        await self._audience.on_outcome(outcome)
                await self._tell_progress()
                wait_s = self._pause_s(news)
        return await self._account(over=over)

    async def stop(self) -> None:
        """Note in Redis that the sender has stopped waiting. The command is then released to no further nodes, and
        later answers are late."""
        await self._part(Parting.STOP)

    async def leave(self) -> None:
        """Note in Redis that nobody drives the command now: whoever attaches may take this one's place."""
        await self._part(Parting.HOLD)

    async def _part(self, parting: Parting) -> None:
        if self.drives:
            with contextlib.suppress(EccmgrError, TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    await self._collect(parting)

    @property
    def _left_s(self) -> float:
        return self._deadline - self._loop.time()

    def _pause_s(self, news: News) -> float:
        """The pause after a look that brought `news`."""
        waiting = self._waiting
        if news.more:
            return 0.0
        if news.entries or waiting.due():
            return _patience_s(waiting)
        longest_s = _LOOK_AGAIN_S if self.drives else _WATCH_S
        if waiting.next_end_ms is None:
            return longest_s
        # A node that may begin no longer is settled at once.
        return min(longest_s, max(_PATIENCE_S, (waiting.next_end_ms - news.clock_ms) / 1000))

    async def _account(self, *, over: bool) -> Report:
        waiting = self._waiting
        if waiting.answered:
            return waiting.report()
        try:
            # A node is silent or lost. From this moment on, its answer is late.
            if not over:
                await self._collect(Parting.STOP)
            report = await self._means.kept.retrieve(self.id)
        except EccmgrError:
            report = None
        # Without a report the command was flushed meanwhile, or Redis is away or has lost its memory: then report what
        # was read so far.
        return report or waiting.report()

    async def _listen(self, longest_s: float) -> None:
        """Wait for a notice, at most `longest_s`."""
        longest_s = min(longest_s, self._means.roster.wait_s or longest_s)
        if longest_s <= 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self.heard.wait()

    async def _look(self, *, last: bool) -> News:
        """Release a rolling command to the nodes whose turn it is, and read the new responses."""
        if not self.drives:
            await self._look_at_driver()
        elif not last:
            await self._release()
        news = await self._collect(Parting.STOP if last else Parting.STAYS)
        return dataclasses.replace(news, missed=await self._silent()) if self._waiting.unsure(news) else news

    async def _release(self) -> None:
        """Release a rolling command to the nodes that are due."""
        if not (due := self._waiting.due()[:RELEASED_AT_ONCE]):
            return
        means, sent = self._means, self._sent
        signed = means.signer.release(sent.id, sent.of, due, to_ms(means.options.command_ttl_s))
        released = await means.link.run(
            commands.release(means.keys, means.options, sent.id, sent.target, due, signed, self._driver)
        )
        if released.verdict is ReleaseVerdict.RELEASED:
            self._waiting.told(due, released.expires_ms)
        elif released.verdict is ReleaseVerdict.DRIVEN:
            self._give_way()
        else:
            self._waiting.stop()

    async def _silent(self) -> frozenset[str]:
        """The nodes that have not begun the command and never will."""
        report = await self._means.kept.retrieve(self.id)
        outcomes = report.outcomes if report is not None else ()
        return frozenset(outcome.node.lower() for outcome in outcomes if outcome.state in (State.MISSED, State.ABORTED))

    async def _look_at_driver(self) -> None:
        """Take the place of a driver who is gone, and see to which nodes the command was released."""
        means, takes_place = self._means, False
        if self._driver and not self._is_driven:
            followed = await means.link.run(
                answers.follow(means.keys, means.options, self.id, self._driver, means.notices)
            )
            takes_place = followed is not None and followed.drive is Drive.MINE
        if self._sent.rolling and (takes_place or self._loop.time() >= self._plan_due):
            # Once this one has taken the place, nobody else adds to the plan. It drives only once it knows the plan.
            self._waiting.told_elsewhere(await means.kept.plan(self._sent))
            self._plan_due = self._loop.time() + _PLAN_S
        self.drives, self._waiting.elsewhere = takes_place, not takes_place

    def _give_way(self) -> None:
        """Somebody else has taken this one's place, because it was not heard of for some time."""
        self.drives, self._as_long_as_sender = False, True
        self._waiting.elsewhere = True

    async def _collect(self, parting: Parting) -> News:
        means, waiting = self._means, self._waiting
        collected = await means.link.run(
            answers.collect(
                *(means.keys, means.options, self.id, waiting.seen, waiting.due_in_all),
                driver=self._driver if self.drives else "",
                parting=parting,
            )
        )
        if self.drives and collected.drive is not Drive.MINE:
            self._give_way()
        self._is_driven = collected.drive is not Drive.NONE
        if self._as_long_as_sender and not self.drives and collected.waited_ms is not None:
            self._deadline = self._loop.time() + (collected.waited_ms - collected.clock_ms) / 1000
        now = await means.roster.lately(collected.view, waiting.view)
        entries = await means.verifier.verified(self._sent, collected.entries)
        return News(collected.clock_ms, now, entries, aborted_ms=collected.aborted_ms, more=collected.more)

    async def _tell_progress(self) -> None:
        began = self._loop.time()
        if self._audience.on_progress is None or began < self._progress_due or self._waiting.over:
            return
        try:
            standing = await self._standing()
        except EccmgrError:
            return
        self._waiting.note_running(standing.running)
        await self._audience.on_progress(gather_progress(self._waiting, standing, max(0.0, self._left_s)))
        took_s = self._loop.time() - began
        self._progress_due = began + max(_PROGRESS_S, _PROGRESS_REST * took_s)

    async def _standing(self) -> OpenStanding:
        """How far the open nodes are, and when the leases of silent ones end."""
        means, waiting = self._means, self._waiting
        told = [key for key in waiting.open if waiting.may_begin_until(key) is not None]
        running: dict[str, Entry] = {}
        for first in range(0, len(told), STANDING_AT_ONCE):
            page = told[first : first + STANDING_AT_ONCE]
            standing = await means.link.run(answers.standing(means.keys, means.options, self.id, page, ()))
            running.update(standing.running)
        leases = leases_wanted(waiting, running)
        standing = await means.link.run(answers.standing(means.keys, means.options, self.id, (), leases))
        return standing._replace(running=running)


def _patience_s(waiting: Waiting) -> float:
    """The time for which a gather waits for further responses before it looks."""
    return 0.0 if waiting.due() else _PATIENCE_S
