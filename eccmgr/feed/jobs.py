"""The long commands that nodes run, as the nodes tell them."""

from eccmgr.cluster.jobs import ToldJob, read_jobs
from eccmgr.commands.rendering import iso_time
from eccmgr.feed.picture import Item, Picture
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

JOBS_SHOWN = 2000
"""The most jobs that the topic shows: those that have not ended, and then the latest."""
_FEW_NODES = 500
_LOOKS_FOR_MANY = 4
"""If many nodes tell jobs, every so many looks reads them."""


class JobsWatcher:
    """Looks at the jobs."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link, self._keys = link, keys
        self.forget()

    def forget(self) -> None:
        """Forget what was seen."""
        self._skipped = _LOOKS_FOR_MANY

    async def look(self, picture: Picture, at_ms: int) -> None:
        """Bring `picture` up to date. Raises EccmgrError."""
        self._skipped += 1
        nodes = replies.count(await self._link.call("HLEN", self._keys.jobs))
        if nodes > _FEW_NODES and self._skipped < _LOOKS_FOR_MANY:
            return
        self._skipped = 0
        told = await read_jobs(self._link, self._keys) if nodes else {}
        jobs = [(node, job) for node, jobs in told.items() for job in jobs]
        jobs.sort(key=lambda pair: (pair[1].ended_ms is not None, -pair[1].queued_ms))
        picture.show({job.job: _item(node, job) for node, job in jobs[:JOBS_SHOWN]}, at_ms)


def _item(node: str, job: ToldJob) -> Item:
    return {
        "id": job.job,
        "node": node,
        "state": job.stage,
        "progress": job.percent,
        "queued": iso_time(job.queued_ms),
        "ended": None if job.ended_ms is None else iso_time(job.ended_ms),
        "user": job.user,
        "command": job.command,
        "command_id": job.command_id or None,
    }
