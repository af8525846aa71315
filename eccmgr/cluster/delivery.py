"""Commands and their answers on the way back: gather, retrieve, abort, flush.

The sender's side; what a node does with a command is in `eccmgr.node.executor`.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable

from eccmgr.cluster import results
from eccmgr.cluster.calls import answers, commands
from eccmgr.cluster.calls.commands import AbortVerdict, ReleaseVerdict
from eccmgr.cluster.history import PastCommand, history
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.publishing import Publisher, digest, named_id, wall_clock_ms
from eccmgr.cluster.results import Outcome, Report, Sent, State
from eccmgr.cluster.roster import Roster, read_hash
from eccmgr.cluster.runs import LatestRuns
from eccmgr.cluster.view import Seat, Target, View
from eccmgr.cluster.vocabulary import read_vocabulary
from eccmgr.cluster.waiting import News, Pace, Published, Waiting
from eccmgr.errors import CommandError, EccmgrError, RedisUnreachable, Unreadable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.words import fold

# While nothing is heard, a gather looks for itself this often: it depends on no notice to arrive.
_LOOK_AGAIN_S = 0.5

# Many answers cost less read together. So long a gather waits for a number of them, or for all that are due, before it
# looks how many have come; where none has come, it is told of the next.
_PATIENCE_S = 0.025

# How long an abort waits for those who run the command to end it, and how often it looks.
_ABORT_WAIT_S = 2.0
_ABORT_LOOK_S = 0.05

# No script holds the server for long.
_RELEASED_AT_ONCE = 200

# Whoever has gone is not waited for longer than this to note it.
_FAREWELL_S = 1.0

OnSent = Callable[[Published], Awaitable[None]]
OnOutcome = Callable[[Outcome], Awaitable[None]]


class Delivery:
    """Sends commands for one manager, which hears on the channel `notices` of responses to what it gathers."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        options: ClusterOptions,
        notices: str,
        wall_ms: Callable[[], int] = wall_clock_ms,
        normal: Callable[[str], str] = fold,
    ) -> None:
        self._link = link
        self._keys = keys
        self._options = options
        self._normal = normal
        """What every spelling of one command has in common."""
        self._roster = Roster(link, keys, options)
        self._publisher = Publisher(link, keys, options, self._roster, notices, wall_ms, normal)
        self._waiting: dict[str, asyncio.Event] = {}

    async def view(self) -> View:
        """The nodes that the cluster knows now."""
        return await self._roster.now()

    async def view_as_told(self) -> View:
        """The nodes that this manager knows of; it may miss who has joined a moment ago."""
        return await self._roster.as_told()

    async def vocabulary(self) -> frozenset[str]:
        """The words that commands of live nodes begin with, beside those that every node has."""
        return await read_vocabulary(self._link, self._keys)

    async def publish(
        self, text: str, target: Target, issuer: str, wait_s: float = 0.0, shown: str | None = None
    ) -> Published:
        """Send a command, and wait for no answer: see `Publisher.publish`."""
        return await self._publisher.publish(text, target, issuer, wait_s, shown)

    async def gather(
        self,
        text: str,
        target: Target,
        issuer: str,
        timeout_s: float,
        on_outcome: OnOutcome | None = None,
        shown: str | None = None,
        pace: Pace | None = None,
        on_sent: OnSent | None = None,
    ) -> Report:
        """Send `text`, wait until every expected node is accounted for or `timeout_s` is over, and report.

        `on_sent` is told of the command once it is sent, before any response. `on_outcome` is told of each response as
        it comes, and of each node that is found lost. With a `pace` it goes out in batches.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        heard, ids = asyncio.Event(), set[str]()

        def listen(made: str) -> None:
            # An id that another gather has is taken, and another will be tried.
            if self._waiting.setdefault(made, heard) is heard:
                ids.add(made)

        try:
            published = await self._publisher.publish(
                text, target, issuer, timeout_s, shown, rolling=pace is not None, on_id=listen
            )
            waiting = Waiting(published, pace)
            try:
                if on_sent is not None:
                    await on_sent(published)
                return await self._wait(published.sent, waiting, heard, deadline, on_outcome)
            except asyncio.CancelledError:
                await self._stop_waiting(published.sent, waiting)
                raise
        finally:
            for made in ids:
                del self._waiting[made]

    async def retrieve(self, named: str) -> Report | None:
        """The report on the latest command of the text `named`, or on the one of that id; None where there is none.

        One round trip, and one more for each page of responses where there are more than one.
        """
        wanted = named_id(named)
        found = await self._link.run(
            answers.results(self._keys, self._options, wanted, digest(named, self._normal), self._roster.newest)
        )
        if found is None:
            return None
        sent = found.sent
        now = await self._roster.at(found.view)
        then = now if sent.view == now.number else await self._roster.at(found.view._replace(number=sent.view))
        entries = answers.entries(await self._whole(found.responses))
        told = answers.plan(await self._whole(found.plan))
        return results.report(sent, then, now, entries, found.clock_ms, told)

    async def latest_for(self, target: Target, latest: Report, named: str) -> Report | None:
        """The part about `target` of the latest command of the text `named` that was sent to any node of it.

        `latest` is what `retrieve` found by that text, or by that id: then no other command is looked for. None where
        no node of `target` was sent such a command.
        """
        if (part := latest.only(target)).outcomes:
            return part
        if latest.sent.id == named_id(named):
            return None
        runs = await read_hash(self._link, self._keys.latest_of(digest(named, self._normal)))
        for earlier in LatestRuns.parse(runs).that_may_concern(target, await self.view()):
            report = await self.retrieve(earlier)
            if report is not None and (part := report.only(target)).outcomes:
                return part
        return None

    async def _whole(self, found: dict[bytes, bytes] | str) -> dict[bytes, bytes]:
        """The fields of a hash that a script answered, or read by pages where it gave the key alone."""
        return await read_hash(self._link, found) if isinstance(found, str) else found

    async def abort(self, named: str, issuer: str) -> Report | None:
        """Withdraw the command with the id `named`, and report once those who run it have said what became of it.

        None where there is no such command. What runs on a node that does not answer soon is reported as running.
        """
        if not (wanted := named_id(named)):
            return None
        verdict = await self._link.run(commands.abort(self._keys, self._options, wanted, issuer))
        if verdict is AbortVerdict.GONE:
            return None
        deadline = asyncio.get_running_loop().time() + _ABORT_WAIT_S
        while True:
            report = await self.retrieve(wanted)
            running = report is not None and any(found.state is State.RUNNING for found in report.outcomes)
            if not running or asyncio.get_running_loop().time() >= deadline:
                return report
            await asyncio.sleep(_ABORT_LOOK_S)

    async def forget(self, name: str, issuer: str) -> Seat:
        """Expect an absent node no more; where it was. Raises CommandError where it is alive, named or unknown."""
        seat = (await self._roster.now()).node(name)
        await self._roster.forget(seat, issuer)
        return seat

    async def history(self, count: int) -> list[PastCommand]:
        """The latest `count` commands, the newest last."""
        return await history(self._link, self._keys, self._options, count)

    async def flush(self) -> int:
        """Clear the results buffer; how many commands were cleared."""
        cleared, after, last = 0, "-", "+"
        while after:
            number, after, last = await self._link.run(commands.flush(self._keys, self._options, after, last))
            cleared += number
        return cleared

    def heard_notice(self, wanted: str) -> None:
        """Responses to the command with this id have come."""
        if (event := self._waiting.get(wanted)) is not None:
            event.set()

    def heard_event(self) -> None:
        """The membership has changed, or may have: every gather looks again who is still there."""
        self._roster.changed()
        for event in self._waiting.values():
            event.set()

    async def _wait(
        self, sent: Sent, waiting: Waiting, heard: asyncio.Event, deadline: float, on_outcome: OnOutcome | None
    ) -> Report:
        loop = asyncio.get_running_loop()
        over = False
        wait_s = _patience_s(waiting)
        while not waiting.over and not over:
            await self._listen(heard, min(wait_s, deadline - loop.time()))
            over = loop.time() >= deadline
            # Before the look: what is heard during it wants another.
            heard.clear()
            try:
                news = await self._look(sent, waiting, last=over)
            except RedisUnreachable as error:
                if over:
                    raise CommandError(f"{error}; the command was sent, ask later: retrieve #{sent.id}") from error
                wait_s = _LOOK_AGAIN_S
            else:
                for outcome in waiting.settle(news):
                    if on_outcome is not None:
                        await on_outcome(outcome)
                wait_s = 0.0 if news.more else _patience_s(waiting) if news.entries or waiting.due() else _LOOK_AGAIN_S
        if waiting.answered:
            return waiting.report()
        try:
            # Some node is silent or lost: what it says after this moment is late.
            if not over:
                await self._collect(sent.id, waiting, last=True)
            report = await self.retrieve(sent.id)
        except (RedisUnreachable, Unreadable):
            report = None
        # Flushed meanwhile, or Redis went away or lost its memory: what was read here is what there is.
        return report or waiting.report()

    async def _stop_waiting(self, sent: Sent, waiting: Waiting) -> None:
        """Note that who sent it has gone: what was not sent by now never will be, and what is answered is late."""
        with contextlib.suppress(EccmgrError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await self._collect(sent.id, waiting, last=True)

    async def _listen(self, heard: asyncio.Event, longest_s: float) -> None:
        """Wait for something to be heard, at most until it is time to look all the same."""
        longest_s = min(longest_s, self._roster.wait_s or longest_s)
        if longest_s <= 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await heard.wait()

    async def _look(self, sent: Sent, waiting: Waiting, *, last: bool) -> News:
        """Send a rolling command to those whose turn it is, and see what has come."""
        if not last:
            await self._release(sent, waiting)
        news = await self._collect(sent.id, waiting, last=last)
        return dataclasses.replace(news, missed=await self._silent(sent)) if waiting.unsure(news) else news

    async def _release(self, sent: Sent, waiting: Waiting) -> None:
        """Send a rolling command to the nodes that are due."""
        if not (due := waiting.due()[:_RELEASED_AT_ONCE]):
            return
        released = await self._link.run(commands.release(self._keys, self._options, sent.id, sent.target, due))
        if released.verdict is ReleaseVerdict.RELEASED:
            waiting.told(due, released.expires_ms)
        else:
            waiting.stop()

    async def _silent(self, sent: Sent) -> frozenset[str]:
        """The nodes that never began, and will not."""
        report = await self.retrieve(sent.id)
        outcomes = report.outcomes if report is not None else ()
        return frozenset(found.node.lower() for found in outcomes if found.state in (State.MISSED, State.ABORTED))

    async def _collect(self, wanted: str, waiting: Waiting, *, last: bool) -> News:
        found = await self._link.run(
            answers.collect(self._keys, self._options, wanted, waiting.seen, waiting.due_in_all, last=last)
        )
        now = await self._roster.lately(found.view, waiting.view)
        return News(found.clock_ms, now, found.entries, aborted_ms=found.aborted_ms, more=found.more)


def _patience_s(waiting: Waiting) -> float:
    """How long a gather that has just found responses, or has found none yet, waits for others before it looks."""
    return 0.0 if waiting.due() else _PATIENCE_S
