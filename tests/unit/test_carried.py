"""The command in a broadcast: the text that is sent."""

import pytest

from eccmgr.commands.carried import carried
from eccmgr.errors import UsageError


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("pid", "pid"),
        ('"shutdown now"', "shutdown now"),
        ("'flush  cache' ", "flush  cache"),
        ('"pid"', "pid"),
        ('say "a  b"', 'say "a  b"'),
        (r'"say \"a  b\""', 'say "a  b"'),
        ('"a" "b"', '"a" "b"'),
    ],
)
def test_one_quoted_word_is_the_command_inside(typed: str, sent: str) -> None:
    assert carried(typed) == sent


@pytest.mark.parametrize("typed", ["", "json", "XML json", 'json ""', '"xml"', '""', "' '", '"  "', r'"\"\""', "'' ''"])
def test_an_empty_command_is_refused(typed: str) -> None:
    with pytest.raises(UsageError, match="The command is empty"):
        carried(typed)


@pytest.mark.parametrize("typed", ['say "x', "'", '"say \'x"'])
def test_an_open_quote_is_refused(typed: str) -> None:
    with pytest.raises(UsageError, match="quote is never closed"):
        carried(typed)
