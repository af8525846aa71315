"""Jobs as this node takes them from Redis: nothing in Redis decides what runs.

RQ runs any function and any callback that a job names, as the node's user. Anybody who reaches Redis may write a job.
So a job from Redis is only an id, and the journal says what it runs. A job that asks for more is refused.
"""

import base64
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from redis import Redis
from rq import Queue
from rq.exceptions import DeserializationError, InvalidJobOperation, NoSuchJobError, TimeoutFormatError
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer

from eccmgr.redis.reading import WRONG_KIND, number
from worker.jobs.journal import JobJournal, NotOurs
from worker.jobs.mending import NotUnderstood
from worker.jobs.records import LONGEST_S, JobRecord

LONG_COMMAND = "eccmgr long command"
"""The name of the function in our jobs. RQ's tools show it; there is no such function."""
UNREADABLE = (
    *(*WRONG_KIND, AssertionError, RecursionError),
    *(NoSuchJobError, InvalidJobOperation, DeserializationError, TimeoutFormatError, zlib.error),
)
"""The errors that RQ raises if Redis holds something that RQ did not write, because RQ does not check it."""

_DATA = zlib.compress(JSONSerializer.dumps((LONG_COMMAND, None, (), {})))  # type: ignore[no-untyped-call]
_DATA_MAX = 1024
_RESULT_MAX = 64 * 1024 * 1024
_READ = (
    *(b"created_at", b"enqueued_at", b"started_at", b"ended_at", b"last_heartbeat", b"worker_name", b"status"),
    *(b"description", b"meta", b"timeout", b"ttl", b"number_of_retries", b"retries_left"),
)
_FOREIGN = {
    **dict.fromkeys((b"success_callback_name", b"failure_callback_name", b"stopped_callback_name"), "a callback"),
    **dict.fromkeys((b"dependency_id", b"dependency_ids"), "a dependency"),
    **dict.fromkeys((b"repeats_left", b"repeat_intervals"), "a repetition"),
    b"webhooks": "a webhook",
    b"group_id": "a group",
    b"rate_limit_key": "a rate limit",
}


@dataclass(frozen=True)
class Home:
    """The settings for this process's jobs: the queue's name, the lifetime of results, and how to run a job."""

    queue: str
    results_ttl_s: int
    journal: JobJournal
    run: Callable[[JobRecord], dict[str, object]]


class NodeJob(Job):
    """A job whose text comes from the journal."""

    home: ClassVar[Home]
    """The settings for this process's jobs."""
    refused = ""
    """The reason to refuse the job, even if the journal has it; "" for a job of ours."""

    def restore(self, raw_data: Mapping[bytes, bytes]) -> None:
        """Read the fields that a job of ours may have. Raises NoSuchJobError if they cannot be read."""
        if b"data" not in raw_data:
            raise NoSuchJobError(f"No such job: {self.id}")
        kept = {name: raw_data[name] for name in _READ if name in raw_data}
        try:
            self.refused = _foreign(raw_data, self.home.queue)
            super().restore({**kept, b"data": _DATA})
            if self.timeout is not None:
                number(self.timeout, 1, LONGEST_S)
        except UNREADABLE as error:
            raise NoSuchJobError(f"The record of the job {self.id} in Redis cannot be read: {error}") from error
        self.origin = self.home.queue
        self.result_ttl = self.failure_ttl = self.home.results_ttl_s
        self.meta = self.meta if isinstance(self.meta, dict) else {}

    @classmethod
    def fetch(cls, id: str, connection: "Redis | None" = None, serializer: Any = None) -> "NodeJob":  # noqa: A002
        """Fetch a job as the library does. Raises NoSuchJobError, also for an id that RQ does not accept."""
        try:
            job = cls(id, connection=connection, serializer=serializer)
        except UNREADABLE as error:
            raise NoSuchJobError(f"No job has the id {id[:80]!r}") from error
        job.refresh()  # type: ignore[no-untyped-call]
        return job

    @classmethod
    def fetch_many(cls, job_ids: Iterable[str], connection: "Redis", serializer: Any = None) -> "list[Job | None]":
        """Fetch jobs as the library does; None for a job that cannot be read. Raises NotUnderstood."""
        names = list(job_ids)
        with connection.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.hgetall(cls.key_for(name))
            answers = pipeline.execute()
        jobs: list[Job | None] = []
        for name, raw in zip(names, answers, strict=True):
            if not isinstance(raw, dict):
                raise NotUnderstood
            try:
                job = cls(name, connection=connection, serializer=serializer)
                job.restore(raw)
                jobs.append(job)
            except UNREADABLE:
                jobs.append(None)
        return jobs

    def latest_result(self, timeout: int = 0) -> Result | None:  # noqa: ARG002
        """Read the latest result as the library does, up to a size."""
        entries: Any = self.connection.xrevrange(Result.get_key(self.id), count=1)  # type: ignore[no-untyped-call]
        if not entries:
            return None
        (name, fields), names = entries[0], (b"type", b"return_value", b"exc_string")
        kept = {field: fields[field] for field in names if field in fields}
        unpacker = zlib.decompressobj()
        unpacker.decompress(base64.b64decode(kept.get(b"exc_string", b"")), _RESULT_MAX)
        if unpacker.unconsumed_tail or len(kept.get(b"return_value", b"")) > _RESULT_MAX:
            raise ValueError("the result is too large")
        return Result.restore(self.id, name.decode(), kept, self.connection, self.serializer)

    def _execute(self) -> dict[str, object]:
        """Run the job's text in the journal. Raises NotOurs."""
        try:
            if self.refused:
                raise NotOurs(self.refused)
            record = self.home.journal.begin(self.id)
        except NotOurs:
            self.retries_left = None
            raise
        said = self.home.run(record)
        self.home.journal.over(self.id)
        return said


class NodeQueue(Queue):
    """A queue of NodeJobs, which never depend on each other."""

    job_class = NodeJob

    def push_job_id(self, job_id: str, pipeline: Any = None, at_front: bool = False) -> None:
        """Put a job into the queue as the library does. If this is done twice, the job is in the queue once."""
        (self.connection if pipeline is None else pipeline).lrem(self.key, 0, job_id)
        super().push_job_id(job_id, pipeline, at_front)

    def enqueue_dependents(self, *_args: Any, **_named: Any) -> dict[str, list[str]]:
        """No job depends on another."""
        return {}

    def move_dependents_to_ready(self, *_args: Any, **_named: Any) -> dict[str, list[str]]:
        """No job depends on another."""
        return {}


class StartedJobs(StartedJobRegistry):
    """The running jobs. Our own classes handle abandoned ones."""

    def __init__(self, queue: NodeQueue) -> None:
        super().__init__(queue=queue, job_class=NodeJob)

    def get_queue(self) -> NodeQueue:
        """The queue of these jobs, as a NodeQueue."""
        return NodeQueue(self.name, connection=self.connection, serializer=self.serializer)


def _foreign(raw: Mapping[bytes, bytes], queue: str) -> str:
    """The name of a field that no job of ours has; "" if there is no such field."""
    data = raw[b"data"]
    if len(data) > _DATA_MAX or zlib.decompressobj().decompress(data, _DATA_MAX) != zlib.decompress(_DATA):
        return "it asks for another function than ours"
    if raw.get(b"origin") != queue.encode():
        return "it is of another queue"
    return next((f"it has {what}, which no job of ours has" for name, what in _FOREIGN.items() if raw.get(name)), "")
