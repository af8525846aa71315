"""The reference pages agree with the tables of commands and options."""

import pytest

from cli.reference import pages
from tests.daemons import ROOT


@pytest.mark.parametrize("name", ["commands.md", "configuration.md"])
def test_reference_page_matches_the_program(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == pages()[name], "run `make reference`"
