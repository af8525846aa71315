"""`jobs`: the jobs of all nodes in one table."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from eccmgr.cluster.jobs import ToldJob, read_jobs
from eccmgr.cluster.names import natural
from eccmgr.cluster.view import Seat, View
from eccmgr.commands.answer import Answer, Facts, Format
from eccmgr.commands.columns import columns
from eccmgr.commands.rendering import iso_time
from eccmgr.commands.standing import duration
from eccmgr.commands.table import Call, Command
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

_HEADINGS = ("NODE", "ID", "STATE", "AGE", "PROGRESS", "USER", "COMMAND")
_WIDEST = 40
_ORDER = {"running": 0, "queued": 1}
_ABOUT = (
    "Running jobs come first, then those that wait, then those that have ended lately. On the node\n"
    "cluster jobs ID shows the output of one. For an absent node the table has its last report."
)


@dataclass(frozen=True)
class JobRow:
    """A job as the table shows it, with the node that told it."""

    seat: Seat
    job: ToldJob
    age_ms: int

    @property
    def order(self) -> tuple[object, ...]:
        """Rows are in the order of this: the oldest job of a stage first, and of those that have ended the latest."""
        ended = self.job.ended_ms
        when = self.job.queued_ms if ended is None else -ended
        return _ORDER.get(self.job.stage, 2), when, natural(self.seat.name), self.job.job

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of its line."""
        state = f"{self.job.stage}, node absent" if self.seat.absent and self.job.ended_ms is None else self.job.stage
        progress = "-" if self.job.percent is None or self.job.stage != "running" else f"{self.job.percent:.0f} %"
        age = duration(self.age_ms / 1000)
        return self.seat.name, self.job.job, state, age, progress, self.job.user, self.job.command

    @property
    def facts(self) -> Facts:
        """The fields of the JSON form."""
        job = self.job
        return {
            "node": self.seat.name,
            "node_state": "absent" if self.seat.absent else "live",
            "job": job.job,
            "stage": job.stage,
            "progress": job.percent,
            "queued": iso_time(job.queued_ms),
            "ended": None if job.ended_ms is None else iso_time(job.ended_ms),
            "user": job.user,
            "command": job.command,
            "command_id": job.command_id or None,
        }


class JobsCommand:
    """The handler of one manager."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        view: Callable[[], Awaitable[View]],
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._link, self._keys, self._view, self._wall_ms = link, keys, view, wall_ms

    def command(self) -> Command:
        """The entry in the table of commands."""
        return Command("jobs", "the jobs of all nodes", self._show, about=_ABOUT, heavy=True, reads=True)

    async def _show(self, call: Call) -> Answer:
        view, told = await self._view(), await read_jobs(self._link, self._keys)
        return await asyncio.to_thread(_table, view, told, self._wall_ms(), call.caller.form)


def _table(view: View, told: Mapping[str, Sequence[ToldJob]], now_ms: int, form: Format) -> Answer:
    seats = {seat.key: seat for seat in view}
    rows = [
        JobRow(seats[node], job, max(0, now_ms - job.queued_ms))
        for node, jobs in told.items()
        if node in seats
        for job in jobs
    ]
    rows.sort(key=lambda row: row.order)
    table = columns(_HEADINGS, [row.cells for row in rows], _WIDEST) if rows else "No jobs"
    # The facts of thousands of jobs are costly, and the text form drops them.
    return Answer(table, facts={"jobs": [] if form is Format.TEXT else [row.facts for row in rows]}, structured=True)
