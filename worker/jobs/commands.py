"""`cluster jobs`: the jobs of this node."""

from dataclasses import asdict
from typing import Protocol

from eccmgr.commands.answer import Answer
from eccmgr.commands.columns import columns
from eccmgr.commands.standing import duration
from eccmgr.commands.table import Call, Command, Param
from eccmgr.errors import CommandError
from worker.jobs.records import JobStanding, Stage

_HEADINGS = ("ID", "STATE", "AGE", "PROGRESS", "COMMAND")


class Jobs(Protocol):
    """The jobs of a node, as far as the commands use them."""

    @property
    def ids(self) -> list[str]:
        """The ids of unfinished jobs."""

    async def standings(self) -> list[JobStanding]:
        """Every known job."""


class JobCommands:
    """The handlers."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def commands(self) -> tuple[Command, ...]:
        """The entries in the table of commands."""
        job = Param("ID", optional=True, choices=lambda: self._jobs.ids)
        brief = "the jobs of this node, or one job with its output"
        return (Command("cluster jobs", brief, self._show, (job,), idempotent=True),)

    async def _show(self, call: Call) -> Answer:
        standings = await self._jobs.standings()
        if call.args:
            job = call.args[0].lower()
            fitting = [standing for standing in standings if standing.job == job]
            if not fitting:
                raise CommandError(f"No job '{call.args[0][:80]}' on this node")
            return Answer(_details(fitting[0]), facts={"jobs": [asdict(fitting[0])]})
        table = columns(_HEADINGS, [_row(standing) for standing in standings]) if standings else "No jobs"
        return Answer(table, facts={"jobs": [asdict(standing) for standing in standings]})


def _row(each: JobStanding) -> tuple[str, ...]:
    progress = each.percent if each.stage is Stage.RUNNING else ""
    return each.job, each.stage.value, duration(each.age_s), progress or "-", each.command


def _details(each: JobStanding) -> str:
    lines = [
        f"Job: {each.job}",
        f"Command: {each.command}",
        f"State: {each.stage.value}",
        f"Age: {duration(each.age_s)}",
    ]
    if each.progress is not None:
        lines.append(f"Progress: {each.progress:.0f} %")
    if each.output:
        lines.append(f"Output:\n{each.output}")
    return "\n".join(lines)
