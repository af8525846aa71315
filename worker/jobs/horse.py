"""Runs one command in a work-horse, with fresh modules of the node."""

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass

import redis
from rq import get_current_job

from eccmgr.access.policy import Policy
from eccmgr.cluster.results import State
from eccmgr.commands.answer import Status
from eccmgr.commands.caller import Caller, Origin
from eccmgr.commands.dispatch import reply
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import Table
from eccmgr.config.live.effective import ScopeView
from eccmgr.errors import EccmgrError
from eccmgr.modules.catalogue import Catalogue
from eccmgr.modules.loaded import Modules
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from worker.jobs.records import JobRecord

_TELL_S = 0.5


@dataclass(frozen=True)
class Stable:
    """The values that each work-horse inherits from its worker by the fork."""

    catalogue: Catalogue
    view: ScopeView
    policy: Policy
    node: str
    cluster: str
    url: str
    max_bytes: int


_stable: list[Stable] = []


def put_into(stable: Stable) -> None:
    """Make `stable` the values of every work-horse."""
    _stable[:] = [stable]


class Progress:
    """Reports the progress of a job, at most twice a second."""

    def __init__(self) -> None:
        self._latest: float | None = None
        self._told: float | None = None

    def take(self, percent: float) -> None:
        """Set the progress to `percent`."""
        self._latest = min(100.0, max(0.0, percent))

    async def tell(self) -> None:
        """Report until cancelled."""
        job = get_current_job()
        assert job is not None
        while True:
            if self._latest != self._told:
                self._told = job.meta["progress"] = self._latest
                with contextlib.suppress(redis.RedisError):
                    await asyncio.to_thread(job.save_meta)
            await asyncio.sleep(_TELL_S)


def perform(record: JobRecord) -> dict[str, object]:
    """Run a job's command, if its issuer still may; answers its state and body.

    Raises nothing for the command's own faults.
    """
    try:
        return asyncio.run(_perform(record))
    except asyncio.CancelledError:
        # The worker asked for this end, and gives the reason itself. RQ would report any exception as a failed job.
        os.kill(os.getpid(), signal.SIGKILL)
        raise


async def _perform(record: JobRecord) -> dict[str, object]:
    (stable,), task = _stable, asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    keys, gate = Keys(stable.cluster), Gate(Table())
    gate.policy = stable.policy
    link = Link(stable.url, tag=keys.tag)
    modules = Modules(stable.catalogue, "ecnode", stable.node, gate, link, keys)
    progress, started = Progress(), time.monotonic()
    telling = asyncio.create_task(progress.tell())
    try:
        async with asyncio.timeout(record.timeout_s):
            await modules.start(stable.view)
            caller = Caller(record.issuer, Origin.JOB, progress=progress.take, limited=record.limited)
            answered = await reply(gate, record.text, caller)
        ok = answered.answer.status in (Status.OK, Status.PARTIAL)
        state, body = State.OK if ok else State.FAILED, answered.body
    except TimeoutError:
        state, body = State.FAILED, f"timed out after {record.timeout_s:g} s"
    except EccmgrError as error:
        state, body = State.FAILED, str(error)
    finally:
        telling.cancel()
        await asyncio.wait((telling,))
        await modules.stop()
        await link.close()
    cut = body.encode()[: stable.max_bytes].decode(errors="ignore")
    return {"state": state.value, "body": cut, "took_s": time.monotonic() - started}
