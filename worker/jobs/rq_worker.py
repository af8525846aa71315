"""An RQ worker whose death is noticed soon, and whose work-horse never outlives it."""

import contextlib
import ctypes
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any

import redis
from rq import Queue, Worker, worker_registration
from rq.job import Job
from rq.registry import CanceledJobRegistry, FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry

ALIVE_S = 15
"""A worker, and its running job, that has given no sign of life for so long is dead."""

KEPT_S = 7 * 24 * 3600
"""What RQ keeps of a node that does not come back is not kept for ever."""

ENDED = (FinishedJobRegistry, FailedJobRegistry, CanceledJobRegistry)
"""Where RQ keeps jobs that have ended."""

_MONITORING_S = 5
_END_S = 4.0
_PATIENCE_S = 600.0
_RETRY_S = 0.5
_PR_SET_PDEATHSIG = 1


_AWAY = (redis.ConnectionError, redis.TimeoutError)


def patiently(what: Callable[[], object]) -> None:
    """Do `what`, which doing twice does not harm, again and again while Redis is away; for ten minutes at most."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            what()
        except _AWAY:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
        else:
            return


class NodeWorker(Worker):
    """Runs one job at a time, and goes on with it while Redis is away."""

    max_connection_wait_time = 4.0

    def __init__(self, queue: Queue, name: str) -> None:
        super().__init__(
            [queue],
            name=name,
            connection=queue.connection,
            serializer=queue.serializer,
            worker_ttl=ALIVE_S + _MONITORING_S,  # RQ waits 15 s less for a job before it gives a sign of life again
            job_monitoring_interval=_MONITORING_S,
            maintenance_interval=ALIVE_S,
        )

    def maintain_heartbeats(self, *args: Any) -> None:
        """That Redis does not hear of it ends no job."""
        with contextlib.suppress(*_AWAY):
            super().maintain_heartbeats(*args)

    def handle_execution_ended(self, *args: Any) -> None:
        """What a job has come to is kept until Redis has it."""
        patiently(lambda: super(NodeWorker, self).handle_execution_ended(*args))

    def handle_job_success(self, *args: Any, **named: Any) -> None:
        """The same."""
        patiently(lambda: super(NodeWorker, self).handle_job_success(*args, **named))

    def set_state(self, *args: Any, **named: Any) -> None:
        """The same for whether it is at work."""
        patiently(lambda: super(NodeWorker, self).set_state(*args, **named))

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:  # noqa: ARG002
        """RQ adds a minute to each time limit."""
        super().heartbeat(ALIVE_S, pipeline)
        self.end_some_day()

    def end_some_day(self) -> None:
        """Give an end to all that RQ keeps of this queue without one."""
        (queue,) = self.queues
        registries = (registry(queue=queue).key for registry in (StartedJobRegistry, *ENDED))
        workers = (self.redis_workers_keys, worker_registration.WORKERS_BY_QUEUE_KEY % queue.name)
        with self.connection.pipeline(transaction=False) as pipeline:
            for key in (queue.redis_queues_keys, queue.key, *workers, *registries):
                pipeline.expire(key, KEPT_S)
            pipeline.execute()

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:  # noqa: ARG002
        """The same for its job."""
        return ALIVE_S

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Let the job end in order first, with all that it has started."""
        # Asked for once: it becomes 0 when RQ has seen the end, and a signal to 0 would be one to this very process.
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
        """Else a job whose worker was killed would go on, while it is begun again elsewhere."""
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.pid:
            os._exit(1)
        super().main_work_horse(job, queue)
