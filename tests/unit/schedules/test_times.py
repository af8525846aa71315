"""The due times of schedules: time zones, summer time, clocks that are stepped."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.errors import CommandError, UsageError
from eccmgr.schedules.times import Cron, Every, Once, check_within_reach, moment, recurrence, seconds, shown, when

BERLIN = "Europe/Berlin"


def ms(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def runs(expression: str, start: str, number: int, zone: str = BERLIN) -> list[str]:
    """The next runs on the clock of a zone."""
    cron, at, found = Cron(expression, zone), ms(start, zone), []
    for _ in range(number):
        following = cron.after(at, at)
        assert following is not None
        at = following
        found.append(datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).strftime("%m-%dT%H:%M"))
    return found


def test_summer_time_change_skips_and_repeats_no_run() -> None:
    assert runs("30 2 * * *", "2026-03-28T12:00", 3) == ["03-29T03:00", "03-30T02:30", "03-31T02:30"]
    assert runs("30 2 * * *", "2026-10-24T12:00", 3) == ["10-25T02:30", "10-26T02:30", "10-27T02:30"]


def test_hourly_runs_continue_through_a_repeated_hour() -> None:
    assert runs("30 * * * *", "2026-10-25T01:00", 4) == ["10-25T01:30", "10-25T02:30", "10-25T02:30", "10-25T03:30"]


def test_in_utc_no_hour_comes_twice() -> None:
    assert runs("30 2 * * *", "2026-10-24T12:00", 2, "UTC") == ["10-25T02:30", "10-26T02:30"]


def test_an_expression_may_never_come_true() -> None:
    assert Cron("0 0 30 2 *").after(0, ms("2026-01-01T00:00")) is None


@given(st.integers(0, 4_000_000_000_000), st.sampled_from(["* * * * *", "*/7 3 * * *", "0 0 1 1 *", "30 2 * * 0"]))
def test_the_next_run_is_always_later(now_ms: int, expression: str) -> None:
    for zone in ("UTC", BERLIN, "America/St_Johns", "Australia/Lord_Howe"):
        following = Cron(expression, zone).after(now_ms, now_ms)
        assert following is not None
        assert following > now_ms


@given(st.floats(1, 1e6), st.integers(0, 10**12), st.integers(-(10**9), 10**9))
def test_period_begins_anew_after_a_clock_step(every: float, due_ms: int, late_ms: int) -> None:
    rhythm, now_ms = Every(every), due_ms + late_ms
    following = rhythm.after(due_ms, now_ms)
    assert following is not None
    assert now_ms < following <= now_ms + rhythm.ms
    if 0 <= late_ms < rhythm.ms:
        assert following == due_ms + rhythm.ms


@pytest.mark.parametrize("made", [Once(), Once(1_790_000_000_000), Every(1.5), Cron("0 0 * * *", BERLIN)])
def test_what_is_kept_is_read_back(made: Once | Every | Cron) -> None:
    assert when(made.dump()) == made


def test_times_are_read_in_every_promised_form() -> None:
    assert moment("1790000000") == moment("1790000000.0") == 1_790_000_000_000
    assert moment("2026-09-21T13:33:20Z") == moment("2026-09-21T13:33:20") == moment("2026-09-21T15:33:20+02:00")
    assert shown(moment("2026-09-21 13:33:20")) == "2026-09-21T13:33:20Z"
    assert seconds("1.5") == 1.5
    assert recurrence("60", "UTC") == Every(60.0)
    assert recurrence("0  3 * * *", BERLIN) == Cron("0 3 * * *", BERLIN)
    assert recurrence("TZ=Europe/Berlin 0 3 * * *", "UTC") == Cron("0 3 * * *", BERLIN)


@pytest.mark.parametrize("text", ["", "x", "-1", "1e9", "nan", "99999999999999", "1 2"])
def test_what_is_no_number_of_seconds_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a number of seconds"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.5", "is not a number of seconds from 1 up to"),
        ("* * * *", "neither seconds nor a cron expression"),
        ("* * * * * *", "neither seconds nor a cron expression"),
        ("61 * * * *", "neither seconds nor a cron expression"),
        ("R R * * *", "neither seconds nor a cron expression"),
        ("R(0-5) * * * *", "neither seconds nor a cron expression"),
        ("0 0 * * r", "neither seconds nor a cron expression"),
        ("@daily", "neither seconds nor a cron expression"),
        ("TZ=Nowhere 0 0 * * *", "There is no time zone 'Nowhere'"),
        ("TZ=../../etc/passwd 0 0 * * *", "There is no time zone"),
    ],
)
def test_what_never_recurs_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        recurrence(text, "UTC")


def test_names_of_months_and_days_are_taken() -> None:
    assert recurrence("0 0 * mar,apr fri-thu", "UTC") == Cron("0 0 * mar,apr fri-thu")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1790000000000", r"; a Unix time is in seconds: 1790000000 is 2026-09-21T14:13:20Z$"),
        ("2999-01-01", r"^'2999-01-01' is more than ten years away$"),
        ("9" * 15, r"^'999999999999999' is more than ten years away$"),
        ("1", r"^1970-01-01T00:00:01Z is in the past$"),
    ],
)
def test_a_time_out_of_reach_is_refused(text: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        check_within_reach(text, moment(text), ms("2026-01-01T00:00"))


def test_a_time_within_ten_years_is_taken() -> None:
    check_within_reach("2035-12-31", moment("2035-12-31"), ms("2026-01-01T00:00"))


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (Once(), "once"),
        (Every(60.0), "60 s"),
        (Every(1.5), "1.5 s"),
        (Every(2_000_000.0), "2000000 s"),
        (Cron("0 3 * * *"), "0 3 * * *"),
        (Cron("0 3 * * *", BERLIN), "TZ=Europe/Berlin 0 3 * * *"),
    ],
)
def test_what_recurs_is_told_in_its_own_words(when: Once | Every | Cron, words: str) -> None:
    assert when.words == words


@given(st.text(max_size=40))
def test_whatever_is_typed_is_a_time_or_refused(text: str) -> None:
    for read in (seconds, moment, lambda typed: recurrence(typed, "UTC")):
        try:
            read(text)
        except UsageError:
            continue
