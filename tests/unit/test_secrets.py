"""No secret that a command sets is shown, logged or kept."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.commands.secrets import learn, same_command, without_secrets
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.spec import Naming, OptionSpec, ScopeSpec
from eccmgr.config.schema.types import OptionType
from eccmgr.text import words


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
        ("con\\fig 'set' Datasource \"ecdb\" u\\ri hush", "config set Datasource ecdb uri ********"),
        ("'xml config set a_password hush'", "config set a_password ********"),
        ("config set a_password=hush", "config set a_password=********"),
        (
            "sched in 5 broadcast ecelerity config set a_pass hush",
            "sched in 5 broadcast ecelerity config set a_pass ********",
        ),
        ("exec:t run 'config set a_password hush' b", 'exec:t run "config set a_password ********" b'),
        ("confg set a_password hush", "confg set a_password ********"),
        ("acme:one change_password tom hush", "acme:one change_password ********"),
        ("'xml 'config set Datasource d uri hush", '"xml config" set Datasource d uri ********'),
        ("exec:t run --api-token hush b", "exec:t run --api-token ******** b"),
        ("exec:t run 'a;password=hush hush'", "exec:t run a;password=********"),
        ("exec:t run redis://me:hush@host/0", "exec:t run redis://me:********@host/0"),
        ("config set door one token hush", "config set door ********"),
        ("config set door one colour = hush", "config set door one colour = ********"),
        ("config set Datasource ecdb pasword hush", "config set Datasource ecdb pasword ********"),
        ("config set door one colour hush password hush", "config set door ********"),
        ("config set Datasource ecdb uri x:\u202ehush", "config set ********"),
        ("con\u200bfig s\u2066et a_password hush", "config set ********"),
        ("config\u00a0set a_password hush", "config set ********"),
    ],
)
def test_the_value_of_a_secret_is_hidden(line: str, shown: str) -> None:
    assert without_secrets(line) == shown


@pytest.mark.parametrize(
    "line",
    [
        "",
        "version",
        "json exec:t run  'a  b'",
        "config set Control_Listener Timeout = 30",
        "set x 5",
        "say\tit",
        "config set Message_Expiration 5",
        "config set",
        "config set password",
        "config get x",
    ],
)
def test_text_without_secrets_is_shown_unchanged(line: str) -> None:
    assert without_secrets(line) == line


# The words that may stand around a command, and the ways to write a word.
AROUND = st.lists(
    st.sampled_from(
        [
            *("broadcast {}", "gather --timeout 5 @east {}", "unicast east1 {}", "subcluster broadcast East {}"),
            *('gather "@east & role:mta" {}', "gather @east&role:mta!(east3,w[1-2]) -- {}", "gather (@a)^@b {}"),
            *("json {}", "sched in 5 {}", 'sched every "0 3 * * *" {}', "ecelerity {}", "XML  {}", "retrieve {}"),
        ]
    ),
    max_size=3,
)
WRITTEN = st.lists(st.sampled_from(["{}", '"{}"', "'{}'", "\\{}", '""{}', "{}''"]), min_size=30, max_size=30)
CASE = st.sampled_from([str.lower, str.upper, str.title])
SETTINGS = st.sampled_from(
    [
        "Datasource d uri {}",
        "Datasource d uri = {}",
        "Datasource d uri={}",
        "a_password {}",
        "api_token = {}",
        "Datasource d uri pg:host=a;password={}",
        "Datasource d uri redis://u:{}@host/0",
        "door one key {}",
        "door one key = {}",
        "Datasource d map = [ user = u  password = {} ]",
        "Datasource d passwords = ( {} {} )",
    ]
)


@given(AROUND, WRITTEN, CASE, SETTINGS, st.booleans())
def test_no_spelling_of_a_command_shows_its_secret(
    around: list[str], written: list[str], case: Callable[[str], str], setting: str, quoted: bool
) -> None:
    typed = [case("config"), case("set"), *setting.format("S3CR3T", "S3CR3T").split()]
    line = " ".join(how.format(word) for how, word in zip(written, typed, strict=False))
    for carrier in around:
        line = carrier.format(words.quote(line) if quoted else line)
    assert "S3CR3T" not in without_secrets(line)
    assert without_secrets(without_secrets(line)) == without_secrets(line)
    assert "S3CR3T" not in same_command(line)


@given(st.text(), st.text())
def test_any_line_is_masked_without_an_error(line: str, around: str) -> None:
    assert isinstance(without_secrets(line), str)
    assert "S3CR3T" not in without_secrets(f"config set {around} a_password S3CR3T")


def test_secrets_of_modules_are_known_with_their_options() -> None:
    line = "broadcast config set acme one token abc"
    token = OptionSpec("token", OptionType.TEXT, None, "what opens the door", secret=True)
    learn(replace(SCHEMA, scopes=(*SCHEMA.scopes, ScopeSpec("acme", "", Naming.ALWAYS, None, (token,)))))
    assert without_secrets(line) == "broadcast config set acme one token ********"
