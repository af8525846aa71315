"""The long commands that nodes run, as the nodes tell them."""

from eccmgr.cluster.jobs import ToldJob, read_jobs
from eccmgr.commands.rendering import iso_time
from eccmgr.feed.picture import Item, Picture
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys


class JobsWatcher:
    """Looks at the jobs: a few small records, one for each node that has some."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link, self._keys = link, keys

    def forget(self) -> None:
        """Do nothing: each look reads what it shows."""

    async def look(self, picture: Picture, at_ms: int) -> None:
        """Bring `picture` up to date. Raises EccmgrError."""
        told = await read_jobs(self._link, self._keys)
        picture.show({job.job: _item(node, job) for node, jobs in told.items() for job in jobs}, at_ms)


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
