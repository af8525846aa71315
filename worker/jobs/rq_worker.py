"""An RQ worker. Others notice its death soon, and its work-horse never outlives it."""

import contextlib
import math
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis
import structlog
from rq import Queue, Worker, worker_registration
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.registry import CanceledJobRegistry, FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.utils import now

from worker.descendants import EndedDescendants, become_subreaper, die_with
from worker.jobs.journal import NotOurs
from worker.jobs.mending import put_right
from worker.jobs.patience import RETRY_S, JobRedis, is_away, patiently
from worker.jobs.records import KEPT_S
from worker.jobs.rq_job import UNREADABLE, NodeJob, NodeQueue, StartedJobs

log = structlog.get_logger()

ALIVE_S = 15
"""A worker and its running job count as dead after this many seconds without a sign of life."""

ENDED = (FinishedJobRegistry, FailedJobRegistry, CanceledJobRegistry)
"""The registries in which RQ keeps ended jobs."""

_MONITORING_S = 5
_END_S = 4.0
_STUCK = "Job was stuck in intermediate queue."
# With the time that the work-horse has, less than the agent waits before it kills the worker process.
_POLITE_S, _KILL_S = 0.5, 4.0


class NodeWorker(Worker):
    """Runs one job at a time, and goes on with it while Redis is away or refuses."""

    max_connection_wait_time = 4.0
    connection: JobRedis

    def __init__(self, queue: NodeQueue, name: str) -> None:
        super().__init__(
            [queue],
            job_class=NodeJob,
            queue_class=NodeQueue,
            name=name,
            connection=queue.connection,
            serializer=queue.serializer,
            worker_ttl=ALIVE_S + _MONITORING_S,  # between signs of life, RQ waits 15 s less than this for a job
            job_monitoring_interval=_MONITORING_S,
            maintenance_interval=ALIVE_S,
        )
        self._queue = queue
        self._limit_s: float | None = None
        """The time limit of the job that runs."""
        self._beat_at = 0.0
        # Every process that a job starts becomes a child of this process, at the latest when the work-horse has ended.
        become_subreaper()
        # Ask for the version now: RQ would ask for it just after it has taken a job, when it must not wait.
        self._patiently(self.get_redis_server_version)

    def _patiently(self, what: Callable[[], object]) -> None:
        patiently(what, self.connection.whereabouts)

    @contextlib.contextmanager
    def _ending_in_order(self) -> Iterator[None]:
        """Turns a fault of Redis that was borne for too long into the order to end: RQ's loop would log its trace."""
        try:
            yield
        except (redis.RedisError, *UNREADABLE) as error:
            log.warning("job worker ends", reason=f"Redis is not understood: {error}")
            raise StopRequested from error

    def monitor_work_horse(self, job: Job, queue: Queue, execution: Execution) -> None:
        """Watch the work-horse, and end the processes that its job has left running. The time limit of a job stands
        still while the job waits for Redis to take its result."""
        self._limit_s, self._beat_at = job.timeout, time.monotonic()
        try:
            super().monitor_work_horse(job, queue, execution)
        finally:
            ending = EndedDescendants.of_all(_POLITE_S, _KILL_S)
            if ending.seen:
                log.info("processes of a job ended", job=job.id, number=len(ending.seen), all=not ending.left)

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Report the job's signs of life. If Redis does not take them, the job still goes on."""
        previous_beat, self._beat_at = self._beat_at, time.monotonic()
        try:
            with self.connection.hurried():
                super().maintain_heartbeats(job, execution)
        except (redis.RedisError, *UNREADABLE):
            job.timeout = (job.timeout or 0) + math.ceil(time.monotonic() - previous_beat)

    def handle_job_failure(self, job: Job, queue: Queue, *args: Any, **named: Any) -> None:
        """Put a job back if it was taken and never began, because the answer was lost. Record any other failure."""
        if named.get("exc_string") == _STUCK:
            queue.push_job_id(job.id, at_front=True)
            return
        if self._limit_s is not None:
            job.timeout = self._limit_s
        # RQ forgets an end that it could not record, and logs a trace.
        with self.connection.insisting():
            self._patiently(lambda: super(NodeWorker, self).handle_job_failure(job, queue, *args, **named))

    def prepare_execution(self, job: Job) -> Execution:
        """Record the execution. If this is done twice, one execution too many is left, which expires."""
        made: list[Execution] = []
        self._patiently(lambda: made.append(super(NodeWorker, self).prepare_execution(job)))
        return made[0]

    def prepare_job_execution(self, *args: Any, **named: Any) -> None:
        """Record that the job begins. It begins only once Redis has taken the record."""
        self._patiently(lambda: super(NodeWorker, self).prepare_job_execution(*args, **named))

    def check_for_suspension(self, burst: bool) -> None:
        """Look for a suspension between jobs, and try again while Redis is away."""
        with self._ending_in_order():
            self._patiently(lambda: super(NodeWorker, self).check_for_suspension(burst))

    def run_maintenance_tasks(self) -> None:
        """Maintain the registries; if Redis is away, or replies what RQ cannot use, the next round does it."""
        try:
            put_right(self.connection, self._queue.name)
            self.clean_registries()
        except (redis.RedisError, *UNREADABLE) as error:
            if not is_away(error):
                log.warning("jobs not looked after", reason=str(error))

    def dequeue_job_and_maintain_ttl(self, *args: Any, **named: Any) -> Any:
        """Take the next job as the library does, and repair RQ's data if the library cannot read it."""
        with self._ending_in_order():
            while True:
                try:
                    return super().dequeue_job_and_maintain_ttl(*args, **named)
                except (redis.ResponseError, *UNREADABLE) as error:
                    self._look_again(error)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job as the library does, and repair RQ's data if the library cannot read it."""
        with self._ending_in_order():
            try:
                super().execute_job(job, queue)
            except (redis.RedisError, *UNREADABLE) as error:
                self._look_again(error)

    def _look_again(self, error: Exception) -> None:
        log.warning("job not read", reason=str(error))
        time.sleep(RETRY_S)
        self._patiently(lambda: put_right(self.connection, self._queue.name))

    def register_birth(self) -> None:
        """Report the start of this worker. A second report takes the place of the first."""
        self._patiently(self._register_birth)

    def _register_birth(self) -> None:
        self.connection.unlink(self.key)
        super().register_birth()  # type: ignore[no-untyped-call]

    def register_death(self) -> None:
        """Report the end of this worker if Redis answers. If not, the missing signs of life show it."""
        with contextlib.suppress(redis.RedisError), self.connection.hurried():
            super().register_death()  # type: ignore[no-untyped-call]

    def subscribe(self) -> None:
        """Listen for commands, and try again while Redis is away."""
        self._patiently(super().subscribe)

    def unsubscribe(self) -> None:
        """Listen no longer; without Redis, the end of the process does it."""
        with contextlib.suppress(redis.RedisError, *UNREADABLE):
            super().unsubscribe()  # type: ignore[no-untyped-call]

    def handle_payload(self, message: Any) -> None:
        """Handle a command, and drop a message that is not a command."""
        try:
            super().handle_payload(message)  # type: ignore[no-untyped-call]
        except UNREADABLE as error:
            log.warning("message to the job worker dropped", reason=str(error))

    def clean_registries(self) -> None:
        """Clean up as the library does, but with our classes: RQ's own classes must never read a foreign job."""
        queue = self._queue
        self.last_cleaned_at = now()  # type: ignore[assignment]
        if not queue.acquire_maintenance_lock():
            return
        FinishedJobRegistry(queue=queue, job_class=NodeJob).cleanup()
        StartedJobs(queue).cleanup()
        FailedJobRegistry(queue=queue, job_class=NodeJob).cleanup()
        worker_registration.clean_worker_registry(queue)
        queue.intermediate_queue.cleanup(self, queue)
        queue.release_maintenance_lock()  # type: ignore[no-untyped-call]

    def _pubsub_exception_handler(self, exc: Exception, pubsub: Any, pubsub_thread: Any) -> None:
        """Treat each fault of Redis like a missing answer."""
        known = redis.ConnectionError(str(exc)) if isinstance(exc, redis.RedisError) else exc
        super()._pubsub_exception_handler(known, pubsub, pubsub_thread)

    def handle_execution_ended(self, *args: Any) -> None:
        """Record the end of a job, and try again until Redis has taken it."""
        self._patiently(lambda: super(NodeWorker, self).handle_execution_ended(*args))

    def handle_job_success(self, *args: Any, **named: Any) -> None:
        """Record the result of a job, and try again until Redis has taken it."""
        self._patiently(lambda: super(NodeWorker, self).handle_job_success(*args, **named))

    def set_state(self, *args: Any, **named: Any) -> None:
        """Record the worker's state, and try again until Redis has taken it."""
        self._patiently(lambda: super(NodeWorker, self).set_state(*args, **named))

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:  # noqa: ARG002
        """Give a sign of life. RQ would add a minute to each lifetime."""
        if pipeline is not None:
            super().heartbeat(ALIVE_S, pipeline)
            return
        with self._ending_in_order():
            self._patiently(lambda: super(NodeWorker, self).heartbeat(ALIVE_S))
            self._patiently(self.end_some_day)

    def end_some_day(self) -> None:
        """Give a lifetime to the keys of this queue that RQ keeps without one."""
        queue = self._queue
        registries = (registry(queue=queue).key for registry in (StartedJobRegistry, *ENDED))
        workers = (self.redis_workers_keys, worker_registration.WORKERS_BY_QUEUE_KEY % queue.name)
        with self.connection.pipeline(transaction=False) as pipeline:
            for key in (queue.redis_queues_keys, queue.key, *workers, *registries):
                pipeline.expire(key, KEPT_S)
            pipeline.execute()

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Log in one line, without a trace, a job that somebody else has put into the queue, and one at which Redis
        failed."""
        if isinstance(exc_info[1], (NotOurs, redis.RedisError)):
            log.warning("job refused", job=job.id, reason=str(exc_info[1]))
            return
        super().handle_exception(job, *exc_info)

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:  # noqa: ARG002
        """The lifetime of a job's sign of life, without RQ's extra minute."""
        return ALIVE_S

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Let the job end in order first, with all that it has started."""
        # Read this only once: it becomes 0 when RQ has seen the end, and a signal to 0 would reach this process itself.
        horse = self.horse_pid
        if not horse:
            return
        with contextlib.suppress(ProcessLookupError):
            ending = os.pidfd_open(horse)
            try:
                os.killpg(horse, signal.SIGTERM)
                select.select((ending,), (), (), _END_S)
                os.killpg(horse, sig)
            finally:
                os.close(ending)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Have the work-horse die with its worker. Otherwise the job would go on here while another worker begins it
        again."""
        assert self.pid is not None
        die_with(self.pid)
        super().main_work_horse(job, queue)
