"""Tells everybody who shows jobs which jobs this node has: one small record, written when it changes."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection
from dataclasses import replace

import structlog

from eccmgr.cluster.jobs import JOBS_MAX, TOLD_MAX, ToldJob, dump_jobs, parse_jobs
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.commands.answer import split_form
from eccmgr.commands.secrets import without_secrets
from eccmgr.errors import EccmgrError
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from worker.jobs.records import JobRecord, JobStanding, Stage

log = structlog.get_logger()

_ENDED_KEPT = 20
_LIFE_MS = 24 * 3600 * 1000


class JobTeller:
    """The record of one node's jobs in Redis."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        options: ClusterOptions,
        node: str,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._link, self._keys, self._options = link, keys, options
        self._node, self._wall_ms = node.lower(), wall_ms
        self._jobs: OrderedDict[str, ToldJob] = OrderedDict()
        self._told: bytes | None = None

    def see(self, record: JobRecord, standing: JobStanding) -> None:
        """A job stands so now."""
        now_ms = self._wall_ms()
        known = self._jobs.get(record.job)
        percent = None if standing.progress is None else min(100.0, max(0.0, standing.progress))
        self._jobs[record.job] = ToldJob(
            *(record.job, standing.stage.value),
            known.command if known is not None else without_secrets(split_form(record.text)[1])[:TOLD_MAX],
            record.issuer,
            known.queued_ms if known is not None else max(0, now_ms - round(standing.age_s * 1000)),
            percent,
            now_ms if standing.stage.final else None,
            record.command_id,
        )

    @property
    def states(self) -> Counter[str]:
        """The number of jobs in each state."""
        return Counter(job.stage for job in self._jobs.values())

    async def tell(self, unfinished: Collection[str]) -> None:
        """Write the record, if it has changed. `unfinished` are the jobs that this node still follows."""
        try:
            if self._told is None:
                await self._remember()
            self._drop_old(unfinished)
            record = dump_jobs(list(self._jobs.values())[-JOBS_MAX:]) if self._jobs else b""
            if record != self._told:
                await self._write(record)
                self._told = record
        except EccmgrError as error:
            # It is only for showing; the next look tries again.
            log.debug("jobs not told", reason=str(error))

    async def _remember(self) -> None:
        """Take the ended jobs of an earlier life of this node."""
        self._told = replies.value(await self._link.call("HGET", self._keys.jobs, self._node)) or b""
        for job in parse_jobs(self._told) if self._told else ():
            if job.ended_ms is not None:
                self._jobs.setdefault(job.job, job)

    def _drop_old(self, unfinished: Collection[str]) -> None:
        oldest_ms = self._wall_ms() - to_ms(self._options.results_ttl_s)
        for name, job in list(self._jobs.items()):
            if job.ended_ms is None and name not in unfinished:
                # It is followed no more, and nobody has seen its end.
                self._jobs[name] = replace(job, stage=Stage.LOST.value, ended_ms=self._wall_ms())
        ended = sorted((job.ended_ms, name) for name, job in self._jobs.items() if job.ended_ms is not None)
        for _at_ms, name in ended[:-_ENDED_KEPT] + [each for each in ended if each[0] < oldest_ms]:
            self._jobs.pop(name, None)

    async def _write(self, record: bytes) -> None:
        key = self._keys.jobs
        if record:
            await self._link.pipeline(("HSET", key, self._node, record), ("PEXPIRE", key, _LIFE_MS))
        else:
            await self._link.call("HDEL", key, self._node)
