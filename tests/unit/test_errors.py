"""The one error that is reported for a group of errors, such as a task group's."""

import asyncio

import pytest

from eccmgr.errors import CommandError, NameInUse, unwrapped

FIRST, SECOND, BUG = NameInUse("east1 is taken"), CommandError("cannot"), ZeroDivisionError("a bug")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FIRST, FIRST),
        (ExceptionGroup("", [FIRST]), FIRST),
        (ExceptionGroup("", [ExceptionGroup("", [ExceptionGroup("", [BUG])])]), BUG),
        (ExceptionGroup("", [ExceptionGroup("", [FIRST]), SECOND]), FIRST),
        (BaseExceptionGroup("", [asyncio.CancelledError(), FIRST]), FIRST),
    ],
)
def test_a_group_comes_down_to_what_failed_first(error: BaseException, told: BaseException) -> None:
    assert unwrapped(error) is told


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(3)])
def test_a_wish_to_end_outranks_what_failed(end: BaseException) -> None:
    assert unwrapped(BaseExceptionGroup("", [ExceptionGroup("", [FIRST, BUG]), end])) is end


def test_a_cancelled_group_is_cancelled() -> None:
    cancelled = asyncio.CancelledError()
    assert unwrapped(BaseExceptionGroup("", [cancelled])) is cancelled


def test_program_faults_are_not_hidden_by_others() -> None:
    group = ExceptionGroup("", [FIRST, BUG])
    assert unwrapped(group) is group
