"""The reference page is what the tables of commands say."""

from cli import reference
from tests.daemons import ROOT


def test_the_reference_page_is_in_step_with_the_commands() -> None:
    assert (ROOT / "docs" / "commands.md").read_text() == reference.page(), "run `make reference`"
