"""Signed schedules: the checks of a daemon before each run."""

import dataclasses
import datetime as dt
import json

import pytest

from eccmgr.access.authority import Authority
from eccmgr.access.keys import SigningKey
from eccmgr.access.signer import Signer
from eccmgr.access.statements import UNSIGNED, Signed
from eccmgr.access.trusted_keys import NotAuthentic, TrustedKeys
from eccmgr.errors import CommandError
from eccmgr.schedules.authenticity import ScheduleSeal
from eccmgr.schedules.schedule import Schedule
from eccmgr.schedules.times import Cron, Every, Once, When

NOW = 1_795_000_020_000
UNTIL = dt.date(2099, 1, 1)
KEY, OTHER = SigningKey(b"k" * 32, "m1", UNTIL), SigningKey(b"o" * 32, "m2", UNTIL)
AT_NOW = Once(NOW)


class Clock:
    wall_ms = NOW
    monotonic_s = 1000.0


def seal(
    clock: Clock, key: SigningKey | None = KEY, trusted: tuple[SigningKey, ...] = (), owner: str = ""
) -> ScheduleSeal:
    keys = TrustedKeys(each.public for each in trusted)
    authority = Authority(Signer(key, "lab", lambda: clock.wall_ms), lambda: keys)
    return ScheduleSeal(authority, "lab", owner, lambda: clock.wall_ms, lambda: clock.monotonic_s)


def made(by: ScheduleSeal, when: When = AT_NOW, text: str = "uptime", user: str = "tom") -> Schedule:
    schedule = Schedule("3fa9c1", text, user, when)
    return dataclasses.replace(schedule, signed=by.sign(schedule))


def test_signed_schedule_survives_its_record() -> None:
    signed = made(seal(Clock()))
    assert Schedule.parse(signed.dump().encode()) == signed


def test_own_and_trusted_schedules_are_authentic() -> None:
    seal(Clock()).check(made(seal(Clock())), NOW)
    seal(Clock(), trusted=(OTHER,)).check(made(seal(Clock(), OTHER)), NOW)


def test_without_keys_nothing_is_signed() -> None:
    free = seal(Clock(), None)
    schedule = made(free)
    assert schedule.signed == UNSIGNED
    assert "env" not in json.loads(schedule.dump())
    free.check(schedule, NOW)


def test_daemon_without_key_makes_no_schedule() -> None:
    with pytest.raises(CommandError, match="signing_key"):
        made(seal(Clock(), None, (OTHER,)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"signed": UNSIGNED}, "not signed"),
        ({"text": "shutdown"}, "another schedule"),
        ({"user": "root"}, "another schedule"),
        ({"id": "3fa9c2"}, "another schedule"),
        ({"when": Every(3)}, "another schedule"),
        ({"when": Once(NOW + 1)}, "another schedule"),
    ],
)
def test_changed_schedule_is_refused(changes: dict[str, object], reason: str) -> None:
    by = seal(Clock())
    with pytest.raises(NotAuthentic, match=reason):
        by.check(dataclasses.replace(made(by), **changes), NOW)


def test_schedule_of_a_stranger_is_refused() -> None:
    with pytest.raises(NotAuthentic, match="not trusted"):
        seal(Clock()).check(made(seal(Clock(), OTHER)), NOW)
    with pytest.raises(NotAuthentic, match="another schedule"):
        seal(Clock()).check(made(seal(Clock(), owner="east1")), NOW)
    true = made(seal(Clock()))
    forged = dataclasses.replace(true, signed=Signed(true.signed.env, OTHER.sign(true.signed.env)))
    with pytest.raises(NotAuthentic, match="does not fit"):
        seal(Clock()).check(forged, NOW)


def test_deleted_schedule_does_not_come_back() -> None:
    clock = Clock()
    by = seal(clock)
    schedules = [made(by, when) for when in (Once(NOW), Every(60), Cron("* * * * *"))]
    by.deleted("3fa9c1")
    for schedule in schedules:
        with pytest.raises(NotAuthentic, match="it was deleted"):
            by.check(schedule, NOW)
    # A later schedule may get the same id.
    clock.wall_ms = NOW + 1
    by.check(made(by, Every(60)), NOW + 1)


def test_moved_due_time_is_refused() -> None:
    by = seal(Clock())
    with pytest.raises(NotAuthentic, match="its due time was not signed"):
        by.check(made(by, Once(NOW + 60_000)), NOW)
    with pytest.raises(NotAuthentic, match="its due time was not signed"):
        by.check(made(by, Cron("30 2 * * *")), NOW)


def test_time_of_redis_makes_nothing_due_early() -> None:
    by = seal(Clock())
    with pytest.raises(NotAuthentic, match="not due yet by this daemon's clock"):
        by.check(made(by, Once(NOW + 5_001)), NOW + 5_001)
    with pytest.raises(NotAuthentic, match="before it was made"):
        by.check(made(by, Every(60)), NOW - 5_001)


def test_run_that_was_here_does_not_come_again() -> None:
    clock = Clock()
    by = seal(clock)
    cron = made(by, Cron("* * * * *"))
    due = NOW - NOW % 60_000 + 60_000
    clock.wall_ms = due
    by.check(cron, due)
    by.begun(cron.id, due)
    with pytest.raises(NotAuthentic, match="was here before"):
        by.check(cron, due)
    clock.wall_ms = due + 60_000
    by.check(cron, due + 60_000)


def test_interval_passes_between_two_runs() -> None:
    clock = Clock()
    by = seal(clock)
    every = made(by, Every(60))
    by.check(every, NOW)
    by.begun(every.id, NOW)
    clock.monotonic_s += 57
    clock.wall_ms += 57_000
    with pytest.raises(NotAuthentic, match="less than its interval ago"):
        by.check(every, NOW + 57_000)
    clock.monotonic_s += 3
    clock.wall_ms += 3_000
    by.check(every, NOW + 60_000)
