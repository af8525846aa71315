"""The module `sched`: commands that run later, or repeatedly."""

import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, ClassVar

from eccmgr.commands.answer import split_form
from eccmgr.commands.columns import columns
from eccmgr.commands.danger import Danger
from eccmgr.commands.secrets import without_secrets
from eccmgr.commands.table import Carries
from eccmgr.config.live.effective import ScopeView
from eccmgr.errors import ConfigError, RedisUnreachable, UsageError
from eccmgr.modules import Answer, Call, CommandError, Context, Module, OptionSpec, OptionType, Rest, Takes, command
from eccmgr.schedules import times
from eccmgr.schedules.authenticity import ScheduleSeal
from eccmgr.schedules.calls import PAST_KEPT
from eccmgr.schedules.noting import AuditNote
from eccmgr.schedules.runner import Clerk, Runner
from eccmgr.schedules.schedule import Firing, Schedule
from eccmgr.schedules.shelf import Shelf
from eccmgr.schedules.times import Once, When, shown
from eccmgr.text import words
from eccmgr.text.long_lines import off_loop

_TEXT_MAX = 65536
_TRIES = 5
_LISTED = ("JOB ID", "NEXT RUN TIME", "REC", "COMMAND", "LOCAL TIME", "RECURS", "BY")
_WIDEST = 60
_SHOWN_MAX = 200


class Sched(Module):
    """The schedules of the managers together, or of one node."""

    scope = "sched"
    brief = "runs commands later, or repeatedly"
    singleton = True
    built_in: ClassVar[tuple[str, ...]] = ("eccmgr",)
    options = (
        OptionSpec(
            "sched_grace",
            OptionType.SECONDS,
            "300",
            "seconds by which a command may be late; after that it is missed",
            1,
            1e9,
        ),
        OptionSpec("run_timeout", OptionType.SECONDS, "120", "seconds that a scheduled command may take", 1, 86400),
        OptionSpec("timezone", OptionType.TEXT, "UTC", "the time zone of cron expressions that name none"),
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        settings = context.settings
        self._zone = settings.text("timezone") or "UTC"
        owner = "" if context.program == "eccmgr" else context.member
        self._shelf = Shelf(context.link, context.keys, owner)
        grace_s, timeout_s = settings.seconds("sched_grace"), settings.seconds("run_timeout")
        self._seal = ScheduleSeal(context.authority, context.keys.cluster, owner)
        runner = Runner(self._shelf, context.run, context.member, grace_s, timeout_s, context.log, self._seal)
        self.tally = runner.tally
        self._note = AuditNote(context.link, context.keys, context.member)
        self._listed: list[str] = []
        self._clerk = Clerk(self._shelf, runner, context.log)

    @classmethod
    def check(cls, settings: ScopeView) -> None:
        """Check that the time zone exists."""
        try:
            times.check_zone(settings.text("timezone") or "UTC")
        except UsageError as error:
            raise ConfigError(str(error)) from None

    async def run(self) -> None:
        """Run the schedules as they become due."""
        await self._clerk.run()

    @command("in", "run COMMAND once, SECONDS from now", carries=Carries.FOR_ITSELF)
    async def run_in(self, call: Call, seconds: str, command: Rest) -> Answer:
        """Schedule a command some seconds from now, and answer `Job 3fa9c1 runs at 2026-11-23T04:00:00Z`."""
        wait_s = times.seconds(seconds)
        due_ms = await self._shelf.now_ms() + round(wait_s * 1000)
        return await self._add(call, command, Once(due_ms), due_ms)

    @command("at", "run COMMAND once, at a Unix time or an ISO 8601 time", carries=Carries.FOR_ITSELF)
    async def run_at(self, call: Call, timestamp: str, command: Rest) -> Answer:
        """Schedule a command for a given time, and answer `Job 3fa9c1 runs at 2027-01-01T00:00:00Z`."""
        moment_ms = times.moment(timestamp)
        times.check_within_reach(timestamp, moment_ms, await self._shelf.now_ms())
        return await self._add(call, command, Once(moment_ms), moment_ms)

    @command(
        "every",
        "run COMMAND repeatedly: every SECONDS, or by a cron expression",
        about='SECONDS may be a cron expression in quotes: sched every "30 2 * * 1-5" COMMAND.\n'
        'It is read in UTC, or in the zone that it names: "TZ=Europe/Berlin 30 2 * * 1-5".',
        carries=Carries.FOR_ITSELF,
    )
    async def run_every(self, call: Call, seconds: str, command: Rest) -> Answer:
        """Schedule a command that recurs, and answer its first time: `Job 3fa9c1 runs at 2026-11-23T04:00:00Z`."""
        when = times.recurrence(seconds, self._zone)
        now_ms = await self._shelf.now_ms()
        if (due_ms := when.after(now_ms, now_ms)) is None:
            raise CommandError(f"'{seconds[:80]}' is never due")
        return await self._add(call, command, when, due_ms)

    @command("list", "the schedules, and when each is due", idempotent=True, reads=True)
    async def show(self) -> Answer:
        """`JOB ID  NEXT RUN TIME  REC  COMMAND  LOCAL TIME  RECURS  BY`."""
        timed = await self._shelf.all()
        schedules = [*timed, *((schedule, times.UNKNOWN_MS) for schedule in await self._shelf.timeless())]
        self._listed = [schedule.id for schedule, _ in schedules]
        rows = [
            (
                *(schedule.id, shown(due_ms), "y" if schedule.when.recurs else "", _shown(schedule.text)),
                *(times.shown_here(due_ms), schedule.when.words, schedule.user),
            )
            for schedule, due_ms in schedules
        ]
        facts = [
            {
                "id": schedule.id,
                "next": shown(due_ms),
                "local": times.shown_here(due_ms),
                "recurs": schedule.when.recurs,
                "user": schedule.user,
                "command": _shown(schedule.text),
                **schedule.when.dump(),
            }
            for schedule, due_ms in schedules
        ]
        return Answer(columns(_LISTED, rows, _WIDEST), facts={"schedules": facts})

    @command("history", "the latest runs, and how each ended", idempotent=True, reads=True)
    async def history(self, number: int = 20) -> Answer:
        """List the latest `number` runs, the newest last."""
        if not 1 <= number <= PAST_KEPT:
            raise UsageError(f"sched history takes a number from 1 up to {PAST_KEPT}")
        runs = [*await self._shelf.past(number), *await self._shelf.running()][-number:]
        rows = [(run.id, shown(run.due_ms), run.fate.value, run.by, _said(run)) for run in runs]
        facts = [
            {
                "id": run.id,
                "due": shown(run.due_ms),
                "state": run.fate.value,
                "by": run.by,
                "user": run.user,
                "command": _shown(run.text),
                "note": run.note,
            }
            for run in runs
        ]
        return Answer(columns(("JOB ID", "DUE", "STATE", "BY", "COMMAND"), rows), facts={"runs": facts})

    async def _kept(self, schedule: Schedule, due_ms: int) -> bool:
        try:
            return await self._shelf.add(schedule, due_ms)
        except RedisUnreachable as error:
            if error.asked:
                raise CommandError(f"It may have been scheduled, see sched list: {error}") from error
            raise CommandError(f"Nothing was scheduled: {error}") from error

    def _seen(self) -> Iterable[str]:
        return self._listed

    @command("delete", "forget a schedule", danger=Danger.ASKS)
    async def delete(
        self,
        call: Call,
        id: Annotated[str, Takes(choices=_seen)],  # noqa: A002 (it is the name of the word)
    ) -> Answer:
        """Delete a schedule, and answer `Deleted 3fa9c1`."""
        if not await self._shelf.delete(id.lower()):
            raise CommandError(f"No schedule '{id[:80]}'")
        self._seal.deleted(id.lower())
        await self._note.write("deleted", id.lower(), call.caller.user)
        return Answer(f"Deleted {id.lower()}", facts={"id": id.lower()})

    async def _add(self, call: Call, text: str, when: When, due_ms: int) -> Answer:
        if len(text) > _TEXT_MAX:
            raise CommandError(f"A scheduled command has at most {_TEXT_MAX} characters")
        command = split_form(text)[1]
        if command and words.next_word(command, 0).text.lower() == self.scope:
            raise CommandError("sched commands cannot be scheduled")
        text = await off_loop(call.carry, text)
        for _ in range(_TRIES):
            schedule = Schedule(secrets.token_hex(3), text, call.caller.user, when)
            schedule = replace(schedule, signed=self._seal.sign(schedule))
            if await self._kept(schedule, due_ms):
                self._clerk.told.set()
                self.log.info(
                    "command scheduled", id=schedule.id, text=without_secrets(text)[:200], user=call.caller.user
                )
                await self._note.write("added", schedule.id, call.caller.user, without_secrets(text), when.words)
                facts = {"id": schedule.id, "next": shown(due_ms)}
                return Answer(f"Job {schedule.id} runs at {shown(due_ms)}", facts=facts)
        raise CommandError("No free id was found; try again")


def _shown(text: str) -> str:
    """A command as lists show it: without its secrets, and short, because there may be 10,000 schedules."""
    shown_text = without_secrets(text)
    return shown_text if len(shown_text) <= _SHOWN_MAX else f"{shown_text[:_SHOWN_MAX]}…"


def _said(firing: Firing) -> str:
    text = _shown(firing.text)
    return f"{text}: {firing.note}" if firing.note else text
