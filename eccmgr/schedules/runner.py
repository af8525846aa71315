"""Runs due schedules. For each due time, one of the runners takes the run."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from eccmgr.access.trusted_keys import NotAuthentic
from eccmgr.commands.answer import Answer, Status
from eccmgr.commands.caller import Caller, Origin
from eccmgr.commands.secrets import without_secrets
from eccmgr.errors import EccmgrError
from eccmgr.schedules.authenticity import ScheduleSeal
from eccmgr.schedules.calls import TakeVerdict
from eccmgr.schedules.schedule import Fate, Firing, Schedule
from eccmgr.schedules.shelf import Shelf
from eccmgr.schedules.tally import ScheduleTally
from eccmgr.schedules.times import UNKNOWN_MS, Every, Once

RUNNING_MAX = 16
AGAIN_S = 1.0
_LOST_AFTER_S = 10.0
_NOTE_MAX = 200

Run = Callable[[str, Caller], Awaitable[Answer]]


class Runner:
    """Takes and runs the schedules of a shelf. It holds no state that matters, so any runner may die."""

    def __init__(
        self,
        shelf: Shelf,
        run: Run,
        by: str,
        grace_s: float,
        timeout_s: float,
        log: FilteringBoundLogger,
        seal: ScheduleSeal | None = None,
    ) -> None:
        self._shelf, self._run, self._by, self._log = shelf, run, by, log
        self._seal = seal
        self.tally = ScheduleTally()
        self._grace_s, self._grace_ms, self._timeout_s = grace_s, round(grace_s * 1000), timeout_s

    async def take_due(self, now_ms: int, most: int = RUNNING_MAX) -> list[Firing]:
        """Take the schedules that are due at `now_ms`; answers the runs that this process now has to carry out."""
        taken: list[Firing] = []
        for schedule, due_ms in await self._shelf.due(now_ms):
            if len(taken) >= most:
                break
            try:
                firing = await self._take(schedule, due_ms, now_ms)
            except EccmgrError as error:
                # The runs that were taken before still need to be carried out.
                self._log.debug("schedule not taken", id=schedule.id, reason=str(error))
                break
            if firing is not None:
                taken.append(firing)
        return taken

    async def carry_out(self, firing: Firing) -> None:
        """Run the command as the user who scheduled it, and record the end."""
        self._log.info("scheduled command", id=firing.id, text=_short(firing.text), user=firing.user)
        begun, deadline = await self._begin(firing), asyncio.get_running_loop().time() + self._grace_s
        if begun is None:
            return
        firing, fate, note = begun
        note = note.strip().partition("\n")[0][:_NOTE_MAX]
        if fate is not Fate.OK:
            self._log.warning(f"scheduled command {fate.value}", id=firing.id, reason=note)
        ended = dataclasses.replace(firing, fate=fate, note=note)
        while True:
            try:
                if await self._shelf.over(firing, ended):
                    self.tally.runs[fate] += 1
                else:
                    self._log.warning("scheduled command ended late", id=firing.id, state=fate.value)
                return
            except EccmgrError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(AGAIN_S)

    async def _begin(self, firing: Firing) -> tuple[Firing, Fate, str] | None:
        """Run the command. If Redis was away and nothing was done, try again until it is too late.

        None if another manager has recorded its end meanwhile.
        """
        loop = asyncio.get_running_loop()
        begin_by = loop.time() + (firing.due_ms + self._grace_ms - self._taken_ms(firing)) / 1000
        while True:
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await self._run(firing.text, Caller(firing.user, Origin.SCHEDULE))
            except TimeoutError:
                return firing, Fate.FAILED, f"timed out after {self._timeout_s:g} s"
            if not answer.undone:
                good = answer.status in (Status.OK, Status.PARTIAL)
                return firing, Fate.OK if good else Fate.FAILED, answer.text
            kept = await self._keep(firing, begin_by)
            if kept is None:
                return None
            firing = kept
            if loop.time() > begin_by:
                return firing, Fate.MISSED, answer.text

    async def _keep(self, firing: Firing, until: float) -> Firing | None:
        """Extend a run that could not begin, once Redis takes that or it is too late.

        None if another manager has recorded its end meanwhile.
        """
        while True:
            await asyncio.sleep(AGAIN_S)
            try:
                now_ms = await self._shelf.now_ms()
                longer = dataclasses.replace(firing, until_ms=self._until_ms(now_ms))
                return longer if await self._shelf.keep(firing, longer) else None
            except EccmgrError:
                if asyncio.get_running_loop().time() > until:
                    return firing

    async def give_up_lost(self, now_ms: int) -> None:
        """Report runs as lost whose end was not recorded in time."""
        for firing in await self._shelf.running():
            if now_ms < firing.until_ms:
                continue
            lost = dataclasses.replace(firing, fate=Fate.LOST, note=f"begun by {firing.by}")
            if await self._shelf.over(firing, lost):
                self.tally.runs[Fate.LOST] += 1
                self._log.error("scheduled command lost", id=firing.id, text=_short(firing.text), by=firing.by)

    async def keep_rhythm(self, now_ms: int) -> None:
        """After a step of the clock backwards: make recurring commands due at most one interval from now."""
        for schedule, due_ms in await self._shelf.all():
            if isinstance(schedule.when, Every) and due_ms > now_ms + schedule.when.ms:
                await self._shelf.move(schedule.id, due_ms, now_ms + schedule.when.ms)

    async def restore_times(self, now_ms: int) -> None:
        """Give each schedule in Redis a due time: a recurring one gets its next time from now on.

        A one-time command whose time is lost is reported as missed.
        """
        # Reading drops the records that cannot be used.
        await self._shelf.all()
        for schedule in await self._shelf.timeless():
            when = schedule.when
            due_ms = when.at_ms if isinstance(when, Once) else when.after(now_ms, now_ms)
            if await self._shelf.restore(schedule.id, UNKNOWN_MS if due_ms is None else due_ms):
                self._log.warning("schedule is due again", id=schedule.id, reason="Redis had lost the time")

    def _until_ms(self, now_ms: int) -> int:
        """The time at which a run that is taken now counts as lost."""
        return now_ms + round((self._timeout_s + _LOST_AFTER_S) * 1000)

    def _taken_ms(self, firing: Firing) -> int:
        return firing.until_ms - self._until_ms(0)

    async def _take(self, schedule: Schedule, due_ms: int, now_ms: int) -> Firing | None:
        firing = Firing(schedule.id, schedule.text, schedule.user, due_ms, self._by, self._until_ms(now_ms))
        late_s = (now_ms - due_ms) / 1000
        missed = now_ms - due_ms >= self._grace_ms
        if due_ms == UNKNOWN_MS:
            note = "Redis had lost its due time"
            instead = dataclasses.replace(firing, fate=Fate.MISSED, note=note)
        elif missed:
            instead = dataclasses.replace(firing, fate=Fate.MISSED, note=f"{late_s:.0f} s late")
        else:
            instead = dataclasses.replace(firing, fate=Fate.SKIPPED, note="the run before had not ended")
        following = schedule.when.after(due_ms, now_ms)
        if not missed and (reason := self._why_false(schedule, due_ms)):
            missed, instead = True, dataclasses.replace(firing, fate=Fate.FAILED, note=f"not authentic: {reason}")
        verdict = await self._shelf.take(schedule, due_ms, following, None if missed else firing, instead)
        if verdict == "kept":
            self.tally.runs[instead.fate] += 1
            text = _short(schedule.text)
            self._log.warning("scheduled command not run", id=schedule.id, text=text, reason=instead.note)
        if verdict is TakeVerdict.TAKEN:
            self.tally.lag.observe(max(0.0, late_s))
        if verdict is TakeVerdict.TAKEN and self._seal is not None:
            self._seal.begun(schedule.id, due_ms)
        return firing if verdict is TakeVerdict.TAKEN else None

    def _why_false(self, schedule: Schedule, due_ms: int) -> str:
        """The reason why a schedule is not authentic; "" if it is."""
        try:
            if self._seal is not None:
                self._seal.check(schedule, due_ms)
        except NotAuthentic as error:
            return str(error)
        return ""


def _short(text: str) -> str:
    return without_secrets(text)[:_NOTE_MAX]


class Clerk:
    """Lets a runner look once a second, and at once when asked, until cancelled."""

    LOOK_S = 1.0
    _STEP_MS = 2000

    def __init__(self, shelf: Shelf, runner: Runner, log: FilteringBoundLogger) -> None:
        self._shelf, self._runner, self._log = shelf, runner, log
        self.told = asyncio.Event()
        self._running = 0

    async def run(self) -> None:
        """Look after the schedules."""
        loop = asyncio.get_running_loop()
        offset: float | None = None
        async with asyncio.TaskGroup() as tasks:
            while True:
                self.told.clear()
                try:
                    now_ms = await self._shelf.now_ms()
                    previous, offset = offset, now_ms - loop.time() * 1000
                    if previous is None or offset < previous - self._STEP_MS:
                        await self._runner.keep_rhythm(now_ms)
                    if previous is None or await self._shelf.lacks_times():
                        await self._runner.restore_times(now_ms)
                    await self._runner.give_up_lost(now_ms)
                    for firing in await self._runner.take_due(now_ms, RUNNING_MAX - self._running):
                        self._running += 1
                        tasks.create_task(self._carry_out(firing), name=f"schedule {firing.id}")
                except EccmgrError as error:
                    self._log.debug("schedules not looked at", reason=str(error))
                try:
                    async with asyncio.timeout(self.LOOK_S):
                        await self.told.wait()
                except TimeoutError:
                    continue

    async def _carry_out(self, firing: Firing) -> None:
        try:
            await self._runner.carry_out(firing)
        except EccmgrError as error:
            # Another manager will find that the end of this run was not recorded.
            self._log.warning("end of a scheduled command not kept", id=firing.id, reason=str(error))
        finally:
            self._running -= 1
            # More schedules may be due than one look could take.
            self.told.set()
