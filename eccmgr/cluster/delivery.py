"""Commands and their answers: gather, retrieve, abort, flush.

This is the sender's side; `eccmgr.node.executor` is the node's side.
"""

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from eccmgr.access.register import Register
from eccmgr.access.signer import Signer
from eccmgr.access.trusted_keys import TrustedKeys
from eccmgr.cluster.authenticity import AnswerVerifier, SentVerifier
from eccmgr.cluster.calls import answers, commands
from eccmgr.cluster.calls.accounts import note
from eccmgr.cluster.calls.commands import AbortVerdict
from eccmgr.cluster.command_log import log_end, log_sent, log_withdrawn
from eccmgr.cluster.delivery_tally import DeliveryTally
from eccmgr.cluster.endings import Endings
from eccmgr.cluster.following import Following
from eccmgr.cluster.gathering import NO_AUDIENCE, Audience, Gathering, Means, new_driver
from eccmgr.cluster.hearing import Hearing
from eccmgr.cluster.history import PastCommand, history
from eccmgr.cluster.ids import named_id
from eccmgr.cluster.kept import KeptCommands
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.cluster.publishing import Publisher, wall_clock_ms
from eccmgr.cluster.results import Report, Sent, State
from eccmgr.cluster.roster import Roster, read_hash
from eccmgr.cluster.running_on import RunningOn
from eccmgr.cluster.runs import LatestRuns
from eccmgr.cluster.view import Seat, Target, View
from eccmgr.cluster.vocabulary import read_vocabulary
from eccmgr.cluster.waiting import Pace, Published, Waiting
from eccmgr.errors import EccmgrError
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.text.words import fold

log = structlog.get_logger()

# The time for which an abort waits for the nodes that run the command, and the pause between its looks.
_ABORT_WAIT_S = 2.0
_ABORT_LOOK_S = 0.05
_WITHDRAWN_MAX = 1000


class Delivery:
    """Sends commands for one manager. It hears notices of responses on the channel `notices`; `normal` brings all
    spellings of a command to one."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        options: ClusterOptions,
        notices: str,
        wall_ms: Callable[[], int] = wall_clock_ms,
        normal: Callable[[str], str] = fold,
        signer: Signer | None = None,
        verifier: SentVerifier | None = None,
        answer_verifier: AnswerVerifier | None = None,
        register: Callable[[], Register | None] = lambda: None,
    ) -> None:
        self._link = link
        self._keys = keys
        self._options = options
        self._roster = Roster(link, keys, options, register)
        answer_verifier = answer_verifier or AnswerVerifier(link, keys, None, TrustedKeys)
        self._verifier = verifier or SentVerifier(keys.cluster)
        self._kept = KeptCommands(link, keys, options, self._roster, self._verifier, answer_verifier, normal)
        self._signer = signer or Signer(None, keys.cluster, wall_ms)
        self._publisher = Publisher(link, keys, options, self._roster, notices, wall_ms, normal, self._signer)
        self._means = Means(link, keys, options, self._roster, self._signer, answer_verifier, self._kept, notices)
        self._waiting = Hearing()
        self.running_on = RunningOn()
        """The gathers whose clients have gone."""
        self.tally = DeliveryTally()
        self.endings = Endings(link, keys, options, self.retrieve)
        """The commands for which nobody waits here."""
        self.withdrawn: deque[str] = deque(maxlen=_WITHDRAWN_MAX)
        """The ids of the latest commands that were withdrawn here."""

    async def view(self) -> View:
        """The present nodes of the cluster."""
        return await self._roster.now()

    async def view_as_told(self) -> View:
        """The nodes that this manager knows; a node that has just joined may be missing."""
        return await self._roster.as_told()

    async def vocabulary(self) -> frozenset[str]:
        """The first words of the commands of live nodes, beyond the commands that every node has."""
        return await read_vocabulary(self._link, self._keys)

    async def publish(
        self, text: str, target: Target, issuer: str, wait_s: float = 0.0, shown: str | None = None
    ) -> Published:
        """Send a command without waiting for answers: see `Publisher.publish`."""
        published = await self._publisher.publish(text, target, issuer, wait_s, shown)
        log_sent(published)
        self.endings.follow(published)
        return published

    async def gather(
        self,
        text: str,
        target: Target,
        issuer: str,
        timeout_s: float,
        audience: Audience = NO_AUDIENCE,
        shown: str | None = None,
        pace: Pace | None = None,
        *,
        runs_on: bool = False,
        proposed: str = "",
    ) -> Report:
        """Send `text`, wait until every expected node is accounted for or `timeout_s` is over, and report.

        The `audience` hears of the command before any response. With a `pace` the command goes out in batches. If the
        caller is cancelled, the waiting ends, unless it `runs_on`. The caller may have `proposed` an id.
        """
        started = asyncio.get_running_loop().time()
        deadline = started + timeout_s
        heard, driver = asyncio.Event(), new_driver()
        self.tally.in_flight += 1
        try:
            published = await self._publisher.publish(
                *(text, target, issuer, timeout_s, shown),
                pace=pace,
                driver=driver,
                proposed=proposed,
                on_id=lambda made: self._waiting.listen(made, heard),
            )
            log_sent(published)
            waiting = Waiting(published, pace)
            gathering = Gathering(self._means, waiting, heard, deadline, audience, driver, drives=True)
            is_over = False
            try:
                if audience.on_sent is not None:
                    await audience.on_sent(published)
                report = await gathering.report()
                is_over = True
            except asyncio.CancelledError:
                is_over = runs_on and await self._run_on(gathering)
                if not runs_on:
                    await gathering.stop()
                raise
            finally:
                if not is_over:
                    self.endings.follow(published)
            self.tally.over(report, asyncio.get_running_loop().time() - started)
            log_end(report)
            return report
        finally:
            self.tally.in_flight -= 1
            self._waiting.forget(heard)

    async def attach(
        self,
        command_id: str,
        timeout_s: float,
        check: Callable[[Sent], None],
        audience: Audience = NO_AUDIENCE,
        *,
        past: bool = False,
        runs_on: bool = False,
    ) -> Report | None:
        """Wait for a command that was sent, as its gather does, and report. None if there is no such command.

        This waits as long as the sender would; for a command whose sender waits no longer, at most `timeout_s`. If the
        manager that drives the command is gone, this manager takes its place. `check` may refuse the command by an
        error. With `past`, the audience hears of the outcomes so far, too.
        """
        followed = await self._link.run(answers.follow(self._keys, self._options, command_id))
        kept = await self._kept.read(command_id) if followed is not None else None
        if followed is None or kept is None:
            return None
        check(kept.sent)
        found = Following(kept, followed, self._verifier)
        heard, deadline = asyncio.Event(), asyncio.get_running_loop().time() + (found.left_s or timeout_s)
        driver = new_driver() if found.may_drive else ""
        gathering = Gathering(
            *(self._means, found.waiting, heard, deadline, audience, driver),
            as_long_as_sender=found.left_s is not None,
        )
        try:
            self._waiting.listen(command_id, heard)
            if audience.on_sent is not None:
                await audience.on_sent(found.published)
            for outcome in found.past if past and audience.on_outcome is not None else ():
                await audience.on_outcome(outcome)  # type: ignore[misc]
            report = await gathering.report()
            if gathering.drives:
                log_end(report)
            return report
        except asyncio.CancelledError:
            await (self._run_on(gathering) if runs_on and gathering.drives else gathering.leave())
            raise
        finally:
            self._waiting.forget(heard)

    async def _run_on(self, gathering: Gathering) -> bool:
        """The client of a gather has gone: it goes on here or, if this process ends too, where somebody attaches.

        Answers whether it goes on here.
        """

        async def work() -> None:
            self._waiting.listen(gathering.id, gathering.heard)
            try:
                log_end(await gathering.without_audience().report())
            except asyncio.CancelledError:
                await gathering.leave()
                raise
            finally:
                self._waiting.forget(gathering.heard)

        if self.running_on.take(gathering.id, work):
            return True
        await gathering.leave()
        return False

    async def retrieve(self, named: str) -> Report | None:
        """The report on the latest command with the text `named`, or on the command with that id. None if there is no
        such command."""
        return await self._kept.retrieve(named)

    async def latest_for(self, target: Target, latest: Report, named: str) -> Report | None:
        """The latest command with the text `named` that was sent to any node of `target`: the part of its report for
        `target`.

        `latest` is the report that `retrieve` found for `named`. If `named` is an id, this looks for no other command.
        None if no node of `target` was sent such a command.
        """
        if (part := latest.only(target)).outcomes:
            return part
        if latest.sent.id == named_id(named):
            return None
        runs = await read_hash(self._link, self._keys.latest_of(await self._kept.digest(named)))
        for earlier in LatestRuns.parse(runs).that_may_concern(target, await self.view()):
            report = await self.retrieve(earlier)
            if report is not None and (part := report.only(target)).outcomes:
                return part
        return None

    async def abort(self, named: str, issuer: str) -> Report | None:
        """Withdraw the command with the id `named`, and report once the nodes that are running it have answered.

        None if there is no such command. A node that does not answer soon is reported as running.
        """
        if not (command_id := named_id(named)):
            return None
        signed = self._signer.withdrawal(command_id, issuer, to_ms(self._options.command_ttl_s))
        verdict = await self._link.run(commands.abort(self._keys, self._options, command_id, issuer, signed))
        if verdict is AbortVerdict.GONE:
            return None
        self.withdrawn.append(command_id)
        if (kept := await self.retrieve(command_id)) is not None:
            log_withdrawn(kept.sent, issuer)
        deadline = asyncio.get_running_loop().time() + _ABORT_WAIT_S
        while True:
            report = await self.retrieve(command_id)
            running = report is not None and any(outcome.state is State.RUNNING for outcome in report.outcomes)
            if not running or asyncio.get_running_loop().time() >= deadline:
                return report
            await asyncio.sleep(_ABORT_LOOK_S)

    async def forget(self, name: str, issuer: str) -> Seat:
        """Forget an absent node; answers where it was. Raises CommandError if it is alive, named by a bus file, or
        unknown."""
        seat = (await self._roster.now()).node(name)
        await self._roster.forget(seat, issuer)
        return seat

    async def history(self, count: int) -> list[PastCommand]:
        """The latest `count` commands, the newest last."""
        return await history(self._link, self._keys, self._options, count)

    async def flush(self, issuer: str = "") -> int:
        """Clear the results buffer, and note in the audit who said so; answers the number of cleared commands."""
        cleared, after, last = 0, "-", "+"
        while after:
            number, after, last = await self._link.run(commands.flush(self._keys, self._options, after, last))
            cleared += number
        fields = {"issuer": issuer, "commands": str(cleared)}
        try:
            await self._link.run(note(self._keys, self._options, "flush", fields))
        except EccmgrError as error:
            log.warning("flush not noted in the audit", by=issuer, commands=cleared, reason=str(error))
        return cleared

    def heard_notice(self, command_id: str) -> None:
        """Responses to the command with this id have come."""
        self._waiting.tell(command_id)

    def register_changed(self) -> None:
        """The register of nodes has changed."""
        self._roster.register_changed()

    def heard_event(self) -> None:
        """The membership may have changed: every gather looks again for nodes that are gone."""
        self._roster.changed()
        self._waiting.tell_all()
        self.endings.membership_changed()
