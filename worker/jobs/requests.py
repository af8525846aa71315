"""Carries out the agent's requests to the worker process: queue jobs, look at them, end them."""

import contextlib
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rq.command import send_stop_job_command
from rq.exceptions import DuplicateJobError, InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus, Retry
from rq.registry import CanceledJobRegistry
from rq.results import Result

from eccmgr.redis.reading import line, number, text
from worker.jobs.exchange import line_of
from worker.jobs.mending import put_right
from worker.jobs.patience import Whereabouts
from worker.jobs.records import KEPT_S, LONGEST_S, Stage
from worker.jobs.rq_job import LONG_COMMAND, UNREADABLE, NodeJob, NodeQueue, StartedJobs
from worker.jobs.rq_worker import ENDED

JobFacts = dict[str, Any]
"""The state of a job, in the form in which the agent gets it."""

_BACKSTOP_S = 30
_LISTED_MAX = 200
_SHOWN_MAX = 200
_DEATHS = ("AbandonedJobError", "Work-horse terminated unexpectedly")

_OVER = (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED)

_STAGES = {
    JobStatus.STARTED: Stage.RUNNING,
    JobStatus.STOPPED: Stage.ABORTED,
    JobStatus.CANCELED: Stage.ABORTED,
}


class Requests:
    """Answers requests about the queue of one node. RQ keeps outcomes for `results_ttl_s`."""

    def __init__(self, queue: NodeQueue, results_ttl_s: int, whereabouts: Whereabouts) -> None:
        self._queue = queue
        self._results_ttl_s = results_ttl_s
        self._whereabouts = whereabouts

    def follow(self, *, url: str) -> None:
        """From now on the server is that of `url`."""
        self._whereabouts.move(url)
        self._queue.connection.connection_pool.disconnect(inuse_connections=False)

    def enqueue(self, *, job: str, shown: str, command_id: str, timeout_s: float, retries: int) -> None:
        """Queue a job, unless it is queued already; the journal says what it runs."""
        try:
            self._queue.enqueue_call(
                LONG_COMMAND,
                # The command's own time limit comes first; this limit ends a job that ignores the command's.
                timeout=int(timeout_s) + _BACKSTOP_S,
                ttl=KEPT_S,
                result_ttl=self._results_ttl_s,
                failure_ttl=self._results_ttl_s,
                description=shown,
                job_id=job,
                meta={"command": command_id},
                retry=Retry(max=retries) if retries else None,
                unique=True,
            )
        except DuplicateJobError:
            self._queue_again(job)

    def _queue_again(self, job: str) -> None:
        """Queue a job again if RQ knows it and has it in no queue, because Redis refused half-way."""
        queue = self._queue
        # The lists in the order in which a job moves, so that this sees a job that is on its way.
        waits = job in queue.get_job_ids() or job in queue.intermediate_queue.get_job_ids()
        known = NodeJob.fetch(job, queue.connection, queue.serializer)
        if not waits and known.get_status() in (JobStatus.CREATED, JobStatus.QUEUED):
            queue.push_job_id(job)

    def put_right(self) -> None:
        """Remove unreadable entries from RQ's data of this queue."""
        put_right(self._queue.connection, self._queue.name)

    def look(self, *, jobs: list[str]) -> list[JobFacts]:
        """The state of each of `jobs`."""
        return self._all(jobs)

    def listed(self) -> list[JobFacts]:
        """The running jobs, then the waiting jobs (the next one first), then the ended jobs (the latest first)."""
        ended = [name for registry in ENDED for name in registry(queue=self._queue).get_job_ids(cleanup=False)]
        started = StartedJobs(self._queue).get_job_ids(cleanup=False)
        names = dict.fromkeys((*started, *self._queue.get_job_ids(0, _LISTED_MAX), *ended))
        facts = self._known(names)
        facts.sort(key=_place)
        return facts[:_LISTED_MAX]

    def stop(self, *, job: str, by: str) -> None:
        """End a waiting or running job; any other job stays as it is."""
        with contextlib.suppress(NoSuchJobError, InvalidJobOperation):
            known = NodeJob.fetch(job, self._queue.connection, self._queue.serializer)
            status = known.get_status()
            if status in _OVER:
                return
            known.meta["ended_by"] = by
            known.save_meta()  # type: ignore[no-untyped-call]
            if status is JobStatus.STARTED:
                send_stop_job_command(self._queue.connection, job, self._queue.serializer)
            else:
                known.cancel()
                self._keep_canceled_no_longer_than_others(known)

    def _keep_canceled_no_longer_than_others(self, job: Job) -> None:
        """Keep a canceled job for `results_ttl_s`: RQ itself would keep it for ever."""
        connection, registry = self._queue.connection, CanceledJobRegistry(queue=self._queue)
        connection.expire(job.key, self._results_ttl_s)
        connection.zremrangebyscore(registry.key, "-inf", time.time() - self._results_ttl_s)

    def abandon(self, dead: set[str]) -> None:
        """These workers have died: try the jobs again that they were running. A job that may not run again is lost."""
        registry = StartedJobs(self._queue)
        for job_id, execution in registry.get_job_and_execution_ids(cleanup=False):
            (job,) = NodeJob.fetch_many([job_id], self._queue.connection, self._queue.serializer)
            if job is not None and job.worker_name in dead:
                self._queue.connection.zadd(registry.key, {f"{job_id}:{execution}": 0})
        registry.cleanup()

    def _known(self, names: Iterable[str]) -> list[JobFacts]:
        return [said for said in self._all(list(names)) if "command" in said]

    def _all(self, names: list[str]) -> list[JobFacts]:
        """The state of each job."""
        jobs = self._fetched(names)
        # A single wrong reply must not make a job lost.
        again = self._fetched([name for name in names if jobs[name] is None])
        return [self._readable(name, job if job is not None else again[name]) for name, job in jobs.items()]

    def _fetched(self, names: list[str]) -> dict[str, Job | None]:
        fetched = NodeJob.fetch_many(names, self._queue.connection, self._queue.serializer) if names else ()
        return dict(zip(names, fetched, strict=True))

    def _readable(self, name: str, job: Job | None) -> JobFacts:
        try:
            said = self._standing(name, job)
            # RQ may read a text that is not valid Unicode. The job with it must not hide the other jobs from the agent.
            line_of(said)
        except UNREADABLE as error:
            reason = f"RQ's record of it cannot be read: {error}"[:_SHOWN_MAX]
            return {"job": name, "stage": Stage.LOST, "output": reason.encode(errors="backslashreplace").decode()}
        return said

    def _standing(self, name: str, job: Job | None) -> JobFacts:
        if job is None:
            return {"job": name, "stage": Stage.LOST, "output": "the job is no longer known"}
        status = job.get_status(refresh=False)
        said = {
            "job": name,
            "command": line(job.description or ""),
            "progress": _percent(job.meta.get("progress")),
            "age_s": _since(job.enqueued_at),
            "took_s": _since(job.started_at) if status is JobStatus.STARTED else 0.0,
        }
        if status in (JobStatus.FINISHED, JobStatus.FAILED):
            return {**said, **_ended(job.latest_result(), status)}
        stage = _STAGES.get(status, Stage.QUEUED)
        by = job.meta.get("ended_by") or "somebody"
        return {**said, "stage": stage, "output": f"aborted by {by}" if stage is Stage.ABORTED else ""}


def _percent(told: object) -> float | None:
    return None if told is None else number(told, 0, 100)


def _place(said: Mapping[str, Any]) -> tuple[int, float]:
    waits, ended = said["stage"] == Stage.QUEUED, Stage(said["stage"]).final
    return (2 if ended else 1 if waits else 0), (-said["age_s"] if waits else said["age_s"])


def _ended(result: Result | None, status: JobStatus) -> JobFacts:
    if result is None:
        return {"stage": Stage.LOST, "output": "its result is no longer known"}
    if status is JobStatus.FINISHED:
        said: JobFacts = result.return_value or {}
        took_s = number(said["took_s"], 0, LONGEST_S)
        return {"stage": Stage(said["state"]), "output": text(said["body"]), "took_s": took_s}
    reason = (result.exc_string or "").strip().splitlines()[-1:] or [""]
    dead = any(death in (result.exc_string or "") for death in _DEATHS)
    return {"stage": Stage.LOST if dead else Stage.FAILED, "output": reason[0]}


def _since(moment: datetime | None) -> float:
    if moment is None:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (datetime.now(UTC) - moment).total_seconds())
