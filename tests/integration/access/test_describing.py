"""`describe` says what a line would do to those who may run the line, and to nobody else."""

import pytest

from tests.integration.access.guarded import Guarded

NOT_AUTHORIZED = "Not Authorized for this command"


def test_a_line_that_may_run_is_described(guarded: Guarded) -> None:
    assert guarded.ask("describe gather uptime") == "uptime\nDanger: none\nChanges: nothing"


@pytest.mark.parametrize(
    "line",
    [
        "describe shutdown",
        "DESCRIBE json shutdown",
        '"describe" "shutdown"',
        "describe gather exec:ok touch",
        "describe broadcast gather uptime",
        "describe sched in 5 shutdown",
        "describe sched in 5 broadcast shutdown",
        "json describe pid",
        "gather describe shutdown",
    ],
)
def test_no_description_without_a_role(guarded: Guarded, line: str) -> None:
    assert NOT_AUTHORIZED in guarded.ask(line)
    guarded.check_alive()


def test_describing_is_not_in_the_account_of_commands(guarded: Guarded) -> None:
    guarded.administer("describe shutdown")
    assert "describe" not in guarded.audited()
    guarded.check_alive()
