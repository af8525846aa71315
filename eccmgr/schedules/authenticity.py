"""Checks that a trusted daemon has signed a schedule in Redis, and that the schedule is due at its own times."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

import msgspec

from eccmgr.access.authority import Authority
from eccmgr.access.statements import UNSIGNED, ScheduleStatement, Signed
from eccmgr.access.trusted_keys import LONGEST_STATEMENT, NotAuthentic
from eccmgr.cluster.publishing import wall_clock_ms
from eccmgr.errors import CommandError
from eccmgr.schedules.schedule import Schedule
from eccmgr.schedules.times import Cron, Every, Once, When

T = TypeVar("T")

_TEN_YEARS_MS = 10 * 366 * 86_400_000
_EARLY_MS = 5_000
"""How far the clock of Redis may be ahead of this daemon's."""
_SLACK_MS = 2_000
_REMEMBERED = 10_000


class ScheduleSeal:
    """Signs the schedules of one owner ("" for the managers, else a node), and verifies each before its run.

    If the daemon trusts no keys, it signs nothing and verifies nothing. `monotonic_s` and `wall_ms` answer the time.
    """

    def __init__(
        self,
        authority: Authority,
        cluster: str,
        owner: str,
        wall_ms: Callable[[], int] = wall_clock_ms,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._authority = authority
        self._cluster = cluster
        self._owner = owner.lower()
        self._wall_ms = wall_ms
        self._monotonic_s = monotonic_s
        self._latest: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """The latest run of each schedule that this process knows of: its due time, and the time of its check."""
        self._deleted: OrderedDict[str, int] = OrderedDict()
        """The schedules that this process has deleted, each with the time on the wall clock."""

    def sign(self, schedule: Schedule) -> Signed:
        """Sign a schedule. Raises CommandError if signatures are asked for here, and this daemon has no key."""
        if self._authority.lacks_key:
            raise CommandError("Schedules need a signature here, and this daemon has no signing_key")
        return self._authority.signer.schedule(self._statement(schedule)) if self._authority.keys else UNSIGNED

    def check(self, schedule: Schedule, due_ms: int) -> None:
        """Check a schedule before a run that is due at `due_ms`. Raises NotAuthentic."""
        if not (keys := self._authority.keys):
            return
        now_ms = self._wall_ms()
        longest = 2 * LONGEST_STATEMENT
        statement = keys.open(schedule.signed, ScheduleStatement, self._cluster, now_ms, longest)
        asked = self._statement(schedule)
        if msgspec.structs.replace(statement, kid="", created=0, until=0) != msgspec.structs.replace(
            asked, created=0, until=0
        ):
            raise NotAuthentic("another schedule was signed")
        if statement.created <= self._deleted.get(schedule.id, 0):
            raise NotAuthentic("it was deleted")
        if now_ms > statement.until:
            raise NotAuthentic("its signature counts no longer")
        self._check_due(schedule, due_ms, now_ms, statement.created)

    def begun(self, schedule_id: str, due_ms: int) -> None:
        """Note that a run was taken."""
        _remember(self._latest, schedule_id, (due_ms, self._monotonic_s()))

    def deleted(self, schedule_id: str) -> None:
        """Note that a schedule is deleted: Redis may bring it back with its signature."""
        _remember(self._deleted, schedule_id, self._wall_ms())

    def _check_due(self, schedule: Schedule, due_ms: int, now_ms: int, created_ms: int) -> None:
        when = schedule.when
        if due_ms > now_ms + _EARLY_MS:
            raise NotAuthentic("it is not due yet by this daemon's clock")
        if due_ms < created_ms - _EARLY_MS:
            raise NotAuthentic("it is due before it was made")
        if not _fits(when, due_ms):
            raise NotAuthentic("its due time was not signed")
        if (latest := self._latest.get(schedule.id)) is None:
            return
        latest_due_ms, verified_s = latest
        if isinstance(when, Every):
            if (self._monotonic_s() - verified_s) * 1000 < when.ms - _SLACK_MS:
                raise NotAuthentic("it ran here less than its interval ago")
        elif due_ms <= latest_due_ms:
            raise NotAuthentic("this run was here before")

    def _statement(self, schedule: Schedule) -> ScheduleStatement:
        now_ms = self._wall_ms()
        return ScheduleStatement(
            c=self._cluster,
            id=schedule.id,
            owner=self._owner,
            x=schedule.text,
            u=schedule.user,
            when=msgspec.json.encode(schedule.when.dump()).decode(),
            created=now_ms,
            until=now_ms + _TEN_YEARS_MS,
        )


def _remember(known: OrderedDict[str, T], schedule_id: str, value: T) -> None:
    known[schedule_id] = value
    known.move_to_end(schedule_id)
    while len(known) > _REMEMBERED:
        known.popitem(last=False)


def _fits(when: When, due_ms: int) -> bool:
    match when:
        case Once():
            return due_ms == when.at_ms
        case Cron():
            return when.after(0, due_ms - 1) == due_ms
    return True
