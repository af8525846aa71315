"""The agent's side of jobs: it hands long commands over, follows each job to its end, and writes the outcome.

Only the agent writes an outcome. So the death of a worker process, of this process or of Redis never changes an
outcome.
"""

import asyncio
import contextlib
import dataclasses
import math
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from eccmgr.cluster.calls.accounts import note
from eccmgr.cluster.members import Life
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.cluster.results import JOB, State, pack_body, running_body
from eccmgr.commands.answer import Answer, split_form
from eccmgr.commands.secrets import without_secrets
from eccmgr.commands.table import Call, Command, Handler
from eccmgr.errors import CommandError, EccmgrError, RedisUnreachable
from eccmgr.node.messages import Message, Response
from eccmgr.node.outbox import Outbox
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from worker.jobs.journal import TENDED_EACH_S, JobJournal
from worker.jobs.process import NotTaken, WorkerGone, WorkerProcess
from worker.jobs.records import JobRecord, JobStanding, Stage, job_id
from worker.jobs.telling import JobTeller

LOOK_S = 0.5
_IDLE_LOOK_S = 2.0
DRAIN_S = 10.0
_END_S = 2.0
_STOP_AGAIN_S = 6.0
_BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)
_STEADY_S = 60.0

log = structlog.get_logger()

_STATE_OF = {Stage.OK: State.OK, Stage.FAILED: State.FAILED, Stage.LOST: State.LOST}


class JobService:
    """The jobs of one node.

    `settings` answers the present settings for a worker process; `needed` answers whether a module has long commands.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        options: ClusterOptions,
        node: str,
        settings: Callable[[], Mapping[str, Any]],
        needed: Callable[[], bool],
        outbox: Outbox,
    ) -> None:
        self._link, self._keys, self._options = link, keys, options
        self._node, self._settings, self._needed, self._outbox = node, settings, needed, outbox
        self._journal = JobJournal.of(keys.cluster, node, str(link.address))
        link.on_move.append(self.kick)
        self._teller = JobTeller(link, keys, options, node)
        self._records: dict[str, JobRecord] = {}
        self._shown: dict[str, tuple[str, float]] = {}
        """For each running job: the last thing written about it, and the time."""
        self._stopping: dict[str, float] = {}
        """For each job that a user ended: the time at which it was last told to end."""
        self._worker: WorkerProcess | None = None
        self._worked_with: Mapping[str, Any] = {}
        self._dead: list[str] = []
        """The workers that died; the next worker gets their names."""
        self._letting_go: list[WorkerProcess] = []
        self._starting = asyncio.Lock()
        self._failures, self._started = 0, 0.0
        self._handed_over = 0
        """The number of commands that are just becoming jobs."""
        self._look = asyncio.Event()
        self._tended_at = -math.inf
        self._at_work = asyncio.Lock()
        self._closing = False

    @property
    def ids(self) -> list[str]:
        """The ids of unfinished jobs."""
        return list(self._records)

    @property
    def states(self) -> Mapping[str, int]:
        """The number of jobs in each state, with those that ended lately."""
        return self._teller.states

    def kick(self) -> None:
        """The modules have changed: check soon whether a worker process is needed, and with which settings."""
        self._look.set()

    def adapted(self, command: Command) -> Command:
        """The form of a command for a console of this node: a long command becomes a job and says so at once."""
        if not command.long:
            return command

        async def hand_over(call: Call) -> Answer:
            job = secrets.token_hex(6)
            record = self._record(job, "", call.text, call.caller.user, Life("", 0), command)
            record = dataclasses.replace(record, limited=call.caller.limited)
            await self._hand_over(record)
            return Answer(f"Job {job} is queued; cluster jobs {job} shows how it stands", facts={"job": job})

        handler: Handler = hand_over
        return dataclasses.replace(command, handler=handler)

    async def submit(self, message: Message, life: Life, command: Command) -> Response:
        """Make a job of a command that this node has claimed; answers the response that stands until the job has
        ended."""
        job = job_id(self._keys.cluster, self._node, message.id)
        record = self._record(job, message.id, message.text, message.issuer, life, command)
        record = dataclasses.replace(record, of=message.of)
        try:
            await self._hand_over_by(message.begin_by, record)
        except EccmgrError as error:
            flags, body = pack_body(str(error), self._options.max_response_bytes)
            return Response(message.id, life, State.REFUSED, 0, flags, body, message.of)
        return self._running(record, JobStanding(job, Stage.QUEUED))

    def _record(self, job: str, command_id: str, text: str, issuer: str, life: Life, command: Command) -> JobRecord:
        timeout_s = command.timeout_s if command.timeout_s is not None else self._options.job_timeout_s
        return JobRecord(job, command_id, text, issuer, life, timeout_s, command.retries)

    async def _hand_over_by(self, begin_by: float, record: JobRecord) -> None:
        """Hand a command over, and try again for as long as it may begin. Repeated tries make one job. Raises
        EccmgrError."""
        said = ""
        while True:
            is_last = self._closing or time.monotonic() + LOOK_S > begin_by
            try:
                await self._hand_over(record, is_last=is_last)
            except (RedisUnreachable, NotTaken, WorkerGone) as error:
                if is_last:
                    raise
                if str(error) != said:
                    said = str(error)
                    log.warning("job not queued yet", job=record.job, reason=said)
                await asyncio.sleep(LOOK_S)
            else:
                return

    def withdraw(self, wanted: str, by: str) -> bool:
        """End the job that has this id, or whose command has it; answers whether there was such a job. `by` is '' for a
        withdrawal."""
        records = [
            known for known in self._records.values() if wanted.lower() == known.job or wanted == known.command_id
        ]
        for record in records:
            self._records[record.job] = dataclasses.replace(record, ended_by=by)
            log.info("job ended", job=record.job, user=by)
        if records:
            self._look.set()
        return bool(records)

    async def standings(self) -> list[JobStanding]:
        """Every known job: running, waiting, or ended lately."""
        if self._worker is None and not self._needed():
            return []
        return [JobStanding.parse(fields) for fields in await (await self._process()).ask("listed")]

    async def run(self) -> None:
        """Follow the jobs until cancelled."""
        known, said = False, ""
        while True:
            self._look.clear()
            await self._tend_journal()
            try:
                if not known:
                    await self._remember()
                    known = True
                async with self._at_work:
                    if not self._closing:
                        await self._turn()
                        await self._teller.tell(self._records)
                said = ""
            except RedisUnreachable:
                log.debug("jobs not looked at", reason="Redis is away")
            except EccmgrError as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("jobs not looked at", reason=said)
            busy = bool(self._records) or not known
            with contextlib.suppress(TimeoutError):
                # An idle worker process needs the server's address too.
                async with asyncio.timeout(LOOK_S if busy else _IDLE_LOOK_S):
                    await self._look.wait()

    async def _tend_journal(self) -> None:
        if time.monotonic() - self._tended_at >= TENDED_EACH_S:
            self._tended_at = time.monotonic()
            await asyncio.to_thread(self._journal.tend, time.time())

    async def finish(self) -> None:
        """End the worker process. A job that does not end soon is lost, or begins again later if it may."""
        self._closing = True
        async with self._at_work:
            await self._finish()
        self._journal.close()

    async def _finish(self) -> None:
        workers = [*self._letting_go, *([self._worker] if self._worker is not None else [])]
        killed = await asyncio.gather(*(worker.end(DRAIN_S) for worker in workers))
        self._dead += [worker.name for worker, was_killed in zip(workers, killed, strict=True) if was_killed]
        self._letting_go = []
        if not self._records:
            return
        # Another process reports the outcomes; it runs no jobs.
        try:
            self._worker = await WorkerProcess.start(
                self._told(self._settings()), f"{self._node.lower()}-end", self._dead, works=False
            )
            await self._follow()
        except EccmgrError as error:
            log.warning("jobs not looked at", reason=str(error))
        await self._teller.tell(self._records)
        if self._worker is not None:
            await self._worker.end(_END_S)

    async def _hand_over(self, record: JobRecord, *, is_last: bool = True) -> None:
        """Hand a command over once. Raises EccmgrError if it cannot become a job. If it may have become one, this
        raises too, unless it `is_last`."""
        if len(self._records) + self._handed_over >= self._options.max_jobs:
            raise CommandError(f"too many jobs are queued (limit {self._options.max_jobs})")
        self._handed_over += 1
        try:
            process = await self._process()
            self._journal.keep(record)
            await self._enqueue(process, record, is_last)
        finally:
            self._handed_over -= 1
        self._records[record.job] = record
        self._look.set()

    async def _enqueue(self, process: WorkerProcess, record: JobRecord, is_last: bool) -> None:
        shown = without_secrets(split_form(record.text)[1])[:200]
        try:
            await process.ask(
                "enqueue",
                job=record.job,
                shown=shown,
                command_id=record.command_id,
                timeout_s=record.timeout_s,
                retries=record.retries,
            )
        except CommandError as error:
            unsure = isinstance(error, WorkerGone) or (isinstance(error, NotTaken) and not error.surely)
            if not unsure:
                self._forget(record)
            if not (unsure and is_last):
                raise
            # The job may have been queued. The record is kept, so the next turn will see.
            log.warning("job not known to be queued", job=record.job, reason=str(error))
        log.info("job queued", job=record.job, id=record.command_id, text=shown, user=record.issuer)

    async def _turn(self) -> None:
        """Look once at the worker process and at every unfinished job."""
        for worker in self._letting_go[:]:
            if worker.ended:
                self._letting_go.remove(worker)
        settings = self._settings()
        if self._worker is not None and not self._worker.ended and settings != self._worked_with:
            if {**self._worked_with, "url": settings["url"]} == settings:
                # Another server has taken over: a running job goes on, and its result goes to that server.
                await self._worker.ask("follow", url=settings["url"])
                self._worked_with = settings
            else:
                self._worker.let_go()
                self._letting_go.append(self._worker)
                self._worker = None
        if self._needed() or self._records:
            await self._follow()

    async def _follow(self) -> None:
        process = await self._process()
        for record in list(self._records.values()):
            if record.ended_by is not None:
                await self._stop(process, record)
        looked = list(self._records)
        if not looked:
            return
        for fields in await process.ask("look", jobs=looked):
            standing = JobStanding.parse(fields)
            if (known := self._records.get(standing.job)) is not None:
                await self._write(known, standing)

    async def _stop(self, process: WorkerProcess, record: JobRecord) -> None:
        """Ask the worker process to end a job. That may take some seconds; if the job still runs then, the request is
        repeated."""
        now = time.monotonic()
        if now < self._stopping.get(record.job, -math.inf) + _STOP_AGAIN_S:
            return
        self._stopping[record.job] = now
        self._journal.keep(record)
        await process.ask("stop", job=record.job, by=record.ended_by)

    async def _write(self, record: JobRecord, standing: JobStanding) -> None:
        """Write a job's state into the results of its command, if it is new."""
        self._teller.see(record, standing)
        if standing.stage.final:
            if record.command_id:
                await self._outbox.deliver(self._ended(record, standing))
            log.info("job over", job=record.job, state=standing.stage.value)
            self._forget(record)
            await self._note(record, standing)
            return
        percent, since = self._shown.get(record.job, ("", 0.0))
        old = time.monotonic() - since > self._options.results_ttl_s / 4
        if record.command_id and (old or percent != standing.percent):
            self._shown[record.job] = (standing.percent, time.monotonic())
            await self._outbox.deliver(self._running(record, standing))

    async def _note(self, record: JobRecord, standing: JobStanding) -> None:
        """Note the end of a job in the audit. The node's log has it too, so this is tried once."""
        fields = {"job": record.job, "id": record.command_id, "node": self._node, "state": standing.stage.value}
        more = {"issuer": record.issuer, "text": standing.command, "took_ms": str(round(standing.took_s * 1000))}
        with contextlib.suppress(EccmgrError):
            await self._link.run(note(self._keys, self._options, "job", {**fields, **more}))

    def _running(self, record: JobRecord, standing: JobStanding) -> Response:
        body = running_body(record.job, standing.percent)
        return Response(record.command_id, record.life, State.RUNNING, to_ms(standing.took_s), JOB, body, record.of)

    def _ended(self, record: JobRecord, standing: JobStanding) -> Response:
        state, text = _STATE_OF.get(standing.stage, State.ABORTED), standing.output
        if standing.stage is Stage.ABORTED and record.ended_by != "":
            # A user may have ended it with RQ's own tools.
            state, text = State.FAILED, f"aborted by {record.ended_by or 'somebody'}"
        flags, body = pack_body(text, self._options.max_response_bytes)
        return Response(record.command_id, record.life, state, to_ms(standing.took_s), flags, body, record.of)

    async def _process(self) -> WorkerProcess:
        """The worker process; this starts one if none runs. Raises WorkerGone if it is too early to start one again."""
        async with self._starting:
            if self._worker is not None and not self._worker.ended:
                return self._worker
            now = time.monotonic()
            if self._worker is not None:
                log.warning("job worker has ended", pid=self._worker.pid)
                self._dead.append(self._worker.name)
                self._failures = 0 if now - self._started > _STEADY_S else self._failures + 1
                self._worker = None
            wait = _BACKOFF_S[min(self._failures, len(_BACKOFF_S)) - 1] if self._failures else 0.0
            if now < self._started + wait:
                raise WorkerGone("The job worker has ended; another is started soon")
            self._journal.make()
            settings = self._settings()
            name = f"{self._node.lower()}-{secrets.token_hex(6)}"
            self._worker = await WorkerProcess.start(self._told(settings), name, self._dead)
            self._worked_with, self._started, self._dead = settings, now, []
            return self._worker

    def _told(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {**settings, "journal": str(self._journal.folder)}

    async def _remember(self) -> None:
        """Read the jobs that an earlier life of this node left unfinished."""
        for record in await asyncio.to_thread(self._journal.records):
            if record.ended_by is None and await self._withdrawn(record):
                withdrawn = dataclasses.replace(record, ended_by="")
                self._records.setdefault(record.job, withdrawn)
            self._records.setdefault(record.job, record)

    async def _withdrawn(self, record: JobRecord) -> bool:
        """Whether the command of a job was withdrawn, even if this node has not heard of it."""
        command = self._keys.command(record.command_id)
        return bool(record.command_id) and await self._link.call("HEXISTS", command, "aborted") == 1

    def _forget(self, record: JobRecord) -> None:
        self._journal.forget(record.job)
        self._records.pop(record.job, None)
        self._shown.pop(record.job, None)
        self._stopping.pop(record.job, None)
