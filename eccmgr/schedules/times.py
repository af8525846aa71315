"""The times of a schedule: once, periodically, or by a cron expression. Pure.

Times are in ms on the wall clock of Redis, which all members share.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from eccmgr.errors import CommandError, UsageError
from eccmgr.redis.reading import line, number

UNKNOWN_MS = 0
"""Stands for a moment that is lost."""
_LONGEST_S = 10 * 366 * 86400
_SHORTEST_S = 1.0
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,3})?\Z")
_TEN_YEARS_MS = _LONGEST_S * 1000
# Random fields: their times differ at each evaluation, so no list could show the next run.
_RANDOM = re.compile(r"(?<![a-z])[hr](?![a-z])", re.IGNORECASE)
_ZONE = re.compile(r"TZ=(\S+)\s+")
_CRON = (
    'five fields such as "30 2 * * 1-5" (minute, hour, day of the month, month, day of the week), '
    "where wished behind TZ=ZONE"
)


@dataclass(frozen=True)
class Once:
    """Runs at one moment, in ms; None if the moment is lost."""

    at_ms: int | None = None
    recurs = False
    words = "once"

    def after(self, _due_ms: int, _now_ms: int) -> int | None:
        """Answers None: there is no further run."""
        return None

    def dump(self) -> dict[str, Any]:
        """The form in which Redis keeps it."""
        return {} if self.at_ms is None else {"at": self.at_ms}


@dataclass(frozen=True)
class Every:
    """Runs every `seconds`; missed runs are not made up for."""

    seconds: float
    recurs = True

    @property
    def words(self) -> str:
        """The words in which the caller gave it."""
        return f"{self.seconds:.3f}".rstrip("0").rstrip(".") + " s"

    @property
    def ms(self) -> int:
        """The time between two runs."""
        return round(self.seconds * 1000)

    def after(self, due_ms: int, now_ms: int) -> int | None:
        """The time of the run after the one at `due_ms`. After a step of the clock the period begins anew."""
        following = due_ms + self.ms
        return following if now_ms < following <= now_ms + self.ms else now_ms + self.ms

    def dump(self) -> dict[str, Any]:
        """The form in which Redis keeps it."""
        return {"every": self.seconds}


@dataclass(frozen=True)
class Cron:
    """Runs at the times of a cron expression of five fields, on the clock of a time zone.

    A run at a time of day that a change to summer time skips is made right after the change. A time of day that comes
    twice in autumn is run the first time only, unless the hours of the expression begin with `*`.
    """

    expression: str
    zone: str = "UTC"
    recurs = True

    @property
    def words(self) -> str:
        """The words in which the caller gave it."""
        return self.expression if self.zone == "UTC" else f"TZ={self.zone} {self.expression}"

    def after(self, _due_ms: int, now_ms: int) -> int | None:
        """The time of the next run after now; None if no run comes within fifty years."""
        # Imported only here: the import takes a tenth of a second, and most daemons never need it.
        from croniter import CroniterBadDateError, croniter

        start = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(self.zone))
        hourly = self.expression.split()[1].startswith("*")
        times = croniter(self.expression, start)
        try:
            next_time: datetime = times.get_next(datetime)
            while next_time.fold and not hourly:
                next_time = times.get_next(datetime)
        except CroniterBadDateError:
            return None
        return round(next_time.timestamp() * 1000)

    def dump(self) -> dict[str, Any]:
        """The form in which Redis keeps it."""
        return {"cron": self.expression, "zone": self.zone}


When = Once | Every | Cron


def when(kept: Mapping[str, Any]) -> When:
    """Parse a dumped time. Raises ValueError."""
    if (every := kept.get("every")) is not None:
        return Every(number(every, _SHORTEST_S, _LONGEST_S))
    if (cron := kept.get("cron")) is not None:
        return _cron(line(cron), line(kept.get("zone")))
    return Once(kept.get("at"))


@lru_cache(maxsize=1000)
def _cron(expression: str, zone: str) -> Cron:
    """Parse a kept cron expression. Raises ValueError if it is never due."""
    try:
        check_zone(zone)
        cron = recurrence(expression, zone)
    except UsageError as error:
        raise ValueError(str(error)) from None
    if not isinstance(cron, Cron) or cron.expression != expression:
        raise ValueError(f"{expression[:80]!r} is not a cron expression")
    return cron


def seconds(text: str) -> float:
    """Parse the SECONDS of `sched in`. Raises UsageError."""
    if not _NUMBER.match(text) or float(text) > _LONGEST_S:
        raise UsageError(f"'{text[:80]}' is not a number of seconds up to {_LONGEST_S}")
    return float(text)


def moment(text: str) -> int:
    """Parse the time of `sched at`, in ms: a Unix time, or ISO 8601, in UTC by default. Raises UsageError."""
    if _NUMBER.match(text):
        return round(float(text) * 1000)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"'{text[:80]}' is not a time; expected a Unix time, or ISO 8601 such as 2026-11-23T04:00:00Z"
        ) from None
    return round((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)


def check_within_reach(text: str, moment_ms: int, now_ms: int) -> None:
    """Raises CommandError if `moment_ms`, typed as `text`, is past or more than ten years from now."""
    if moment_ms < now_ms:
        raise CommandError(f"{shown(moment_ms)} is in the past")
    if moment_ms <= now_ms + _TEN_YEARS_MS:
        return
    hint = ""
    if _NUMBER.match(text) and now_ms - _TEN_YEARS_MS <= (meant_ms := moment_ms // 1000) <= now_ms + _TEN_YEARS_MS:
        hint = f"; a Unix time is in seconds: {meant_ms // 1000} is {shown(meant_ms)}"
    raise CommandError(f"'{text[:80]}' is more than ten years away{hint}")


def recurrence(text: str, zone: str) -> Every | Cron:
    """Parse SECONDS of `sched every`, or a cron expression in `zone` or in its own TZ=. Raises UsageError."""
    if _NUMBER.match(text):
        if not _SHORTEST_S <= float(text) <= _LONGEST_S:
            raise UsageError(f"'{text[:80]}' is not a number of seconds from {_SHORTEST_S:g} up to {_LONGEST_S}")
        return Every(float(text))
    if named := _ZONE.match(text):
        zone, text = named[1], text[named.end() :]
    check_zone(zone)
    from croniter import croniter

    expression = " ".join(text.split())
    if len(expression.split()) != 5 or _RANDOM.search(expression) or not croniter.is_valid(expression):
        raise UsageError(f"'{text[:80]}' is neither seconds nor a cron expression; expected {_CRON}")
    return Cron(expression, zone)


def check_zone(zone: str) -> None:
    """Raises UsageError if the time zone does not exist."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"There is no time zone '{zone[:80]}'; expected one such as UTC or Europe/Berlin") from None


def shown_here(moment_ms: int) -> str:
    """`2026-11-23T05:00:00+01:00`, on the clock of this machine."""
    if moment_ms == UNKNOWN_MS:
        return "unknown"
    try:
        return datetime.fromtimestamp(moment_ms / 1000).astimezone().isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return "never"


def shown(moment_ms: int) -> str:
    """`2026-11-23T04:00:00Z`."""
    if moment_ms == UNKNOWN_MS:
        return "unknown"
    try:
        return datetime.fromtimestamp(moment_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "never"
