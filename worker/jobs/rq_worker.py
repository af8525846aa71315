"""An RQ worker whose death is noticed soon, and whose work-horse never outlives it."""

import contextlib
import ctypes
import os
import select
import signal
from typing import Any

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
_PR_SET_PDEATHSIG = 1


class NodeWorker(Worker):
    """Runs one job at a time."""

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
