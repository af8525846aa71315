"""No secret that a command sets is shown, logged or kept."""

from dataclasses import replace

import pytest

from eccmgr.commands.secrets import learn, without_secrets
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.spec import Naming, OptionSpec, ScopeSpec
from eccmgr.config.schema.types import OptionType


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('config set Datasource ecdb uri ( "pg:host=a;password=hush" )', "config set Datasource ecdb uri ********"),
        ("CONFIG  Set Some_Password hush", "config set Some_Password ********"),
        ("config set Some_Password = hush", "config set Some_Password = ********"),
        ("broadcast config set db_password hush", "broadcast config set db_password ********"),
        ("gather @east config set api_token hush", "gather @east config set api_token ********"),
        ('config set Blackhole "hush', "config set ********"),
        ("config set note ( hush", "config set note ********"),
    ],
)
def test_the_value_of_a_secret_is_hidden(line: str, shown: str) -> None:
    assert without_secrets(line) == shown


@pytest.mark.parametrize(
    "line",
    ["", "version", "config set Message_Expiration 5", "config set", "config set password", "config get x"],
)
def test_text_without_secrets_is_shown_unchanged(line: str) -> None:
    assert without_secrets(line) == line


def test_secrets_of_modules_are_known_with_their_options() -> None:
    line = "broadcast config set acme one token abc"
    token = OptionSpec("token", OptionType.TEXT, None, "what opens the door", secret=True)
    learn(replace(SCHEMA, scopes=(*SCHEMA.scopes, ScopeSpec("acme", "", Naming.ALWAYS, None, (token,)))))
    assert without_secrets(line) == "broadcast config set acme one token ********"
