"""`config get`, `eval`, `show`, `showrecurse`, `locate`: their exact answers."""

import pytest
from hypothesis import given

from eccmgr.config.files.load import load
from eccmgr.config.live.effective import Override, Overrides
from eccmgr.config.live.store import Store
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.masking import MASK
from eccmgr.config.schema.printing import show_recurse
from eccmgr.config.syntax.changes import difference
from eccmgr.config.syntax.tree import Scope, Step, path_text, same
from eccmgr.config.syntax.values import Text
from tests.unit.config.console import Console, Opened, own_sample
from tests.unit.config.memory import MemoryFiles
from tests.unit.config.trees import texts, trees


def test_get_of_an_option_that_is_not_set(manager: Console) -> None:
    assert manager.refused("config get blackhole") == "Option 'Blackhole' is not set in scope ''."
    answer = manager.refused("config get control_listener Listen /tmp/2025 TIMEOUT")
    assert answer == "Option 'Timeout' is not set in scope 'Control_Listener::Listen:/tmp/2025:'."


def test_eval_falls_back_to_the_default(manager: Console) -> None:
    assert manager.ok("config eval blackhole") == "Blackhole = 0"
    assert manager.ok("config eval SUSPEND_delivery") == "Suspend_Delivery = false"
    assert manager.ok("config eval Message_Expiration") == "Message_Expiration = 86400"


def test_get_shows_schema_spelling_and_file_quotes(manager: Console) -> None:
    answer = manager.ok("config get control_listener enable_authentication")
    assert answer == 'Enable_Authentication = "true"'


def test_eval_falls_back_to_the_enclosing_scopes(manager: Console) -> None:
    assert manager.ok("config eval control_listener listen 127.0.0.1:2025 enable_authentication") == (
        'Enable_Authentication = "true"'
    )
    assert manager.ok("config eval control_listener listen /tmp/2025 enable_authentication") == (
        'Enable_Authentication = "false"'
    )


def test_eval_of_what_nobody_sets_and_nothing_knows(manager: Console) -> None:
    assert manager.refused("config eval nonsense") == "Option 'nonsense' is not set in scope ''."


def test_eval_ignores_an_enclosing_option_of_another_meaning(console_on: Opened) -> None:
    console = console_on({"a.conf": "Timeout = ( not seconds )"})
    assert console.ok("config eval Control_Listener Timeout") == "Timeout = 60"


def test_eval_says_what_comes_from_the_command_line() -> None:
    over = Override((Step("cluster"),), "cluster_group", Text("other"), "the command line")
    store = Store.open(own_sample("ecelerity-cluster.conf"), overrides=Overrides([over]))
    console = Console(store)
    assert console.ok("config eval cluster cluster_group") == "cluster_group = other  # from the command line"
    assert console.ok("config get cluster cluster_group") == 'cluster_group = "ec_cluster"'
    assert console.ok("config set cluster cluster_group third").splitlines() == [
        'cluster_group = "third"',
        "# cluster_group from the command line still holds",
        "# cluster_group takes effect after a restart",
    ]
    assert store.view().scope("cluster").text("cluster_group") == "other"


def test_show_lists_options_and_scopes_in_brief(console_on: Opened) -> None:
    console = console_on({"a.conf": 'ESMTP_Listener { x = 1\n Listen ":25" { y = 2 }\n inner { } }'})
    assert console.ok("config show esmtp_listener") == 'x = 1\nListen ":25" { ... }\ninner { ... }'
    assert console.ok("config show") == "ESMTP_Listener { ... }"


def test_show_of_a_kind_lists_its_instances(node: Console) -> None:
    assert node.ok("config show binding").splitlines() == [
        'Binding "duravip-1" { ... }',
        'Binding "duravip-2" { ... }',
        'Binding "duravip-6" { ... }',
    ]


def test_show_logs_is_one_option_a_line(manager: Console) -> None:
    assert manager.ok("config show Logs").splitlines() == [
        'logfile = "/var/log/eccluster/%Y/%m/%d/%{l}/%{s}/%{n}"',
        'file_mode = "0640"',
        'dir_mode = "0755"',
    ]


def test_show_of_what_is_not_there(manager: Console) -> None:
    assert manager.refused("config show nonsense") == "No scope 'nonsense' in scope ''."
    assert manager.refused("config show Datasource other") == "No scope 'Datasource other'."


def test_showrecurse_of_a_scope_has_its_heading(manager: Console) -> None:
    assert manager.ok("config showrecurse control_listener listen /tmp/2025") == (
        'Listen "/tmp/2025" {\n  Enable_Authentication = "false"\n}'
    )


def test_showrecurse_is_the_configuration_again() -> None:
    console = Console(Store.open(own_sample("eccluster.conf")), reveal=True)
    text = console.ok("config showrecurse")
    again = load("/a", MemoryFiles({"/a": text.encode()}))
    assert again.faults == []
    assert difference(console.store.live, again.root) == []


def test_locate_says_where_each_scope_stands(manager: Console) -> None:
    assert manager.ok("config locate listen").splitlines() == [
        'Listen "/tmp/2025"',
        "  is at Control_Listener::Listen:/tmp/2025:",
        'Listen "127.0.0.1:2025"',
        r"  is at Control_Listener::Listen:127.0.0.1\:2025:",
    ]
    assert manager.ok("config locate Listen ^/tmp").splitlines() == [
        'Listen "/tmp/2025"',
        "  is at Control_Listener::Listen:/tmp/2025:",
    ]
    assert manager.refused("config locate Listen nowhere") == "No scope 'Listen' that fits 'nowhere'."
    assert manager.refused("config locate nonsense") == "No scope 'nonsense'."


@pytest.mark.parametrize("pattern", ["(?P<x>a)(?P=x)", "(?=a)", "a" * 5000, "a{100000}", "(", "[z-a]"])
def test_a_pattern_that_is_none_is_refused(console_on: Opened, pattern: str) -> None:
    console = console_on({"a.conf": "foo a { }"})
    assert "is not a regular expression: " in console.refused(f"config locate foo '{pattern}'")


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|a)*b", "(a?){60}a{60}$", "a?" * 50 + "a" * 50 + "$", ".*.*.*.*x", "(?#[)(a+)+b(?#])", r"(\w+\s?)*$"],
)
def test_no_pattern_runs_away(console_on: Opened, pattern: str) -> None:
    # If the parser tried any part twice, this would take longer than the test may.
    console = console_on({"a.conf": f"foo {'a' * 250}! {{ }}"})
    console.reply(f"config locate foo '{pattern}'")


@pytest.mark.parametrize(
    "pattern", [r"^10\.[0-9]+\.[0-9]+:25$", "duravip-[0-9]{1,3}", "^[a-z]{4}$|west", "x?y", ".*25"]
)
def test_ordinary_patterns_are_taken(console_on: Opened, pattern: str) -> None:
    console = console_on({"a.conf": "foo 10.1.2:25 { } foo duravip-12 { } foo east { } foo y { }"})
    assert console.ok(f"config locate foo '{pattern}'").count("is at") == 1


@pytest.mark.parametrize(
    "subcommand", ["get", "eval", "show", "showrecurse", "commit now", "locate a b c", "nonsense", ""]
)
def test_missing_extra_and_unknown_words_answer_the_usage(manager: Console, subcommand: str) -> None:
    if subcommand in ("show", "showrecurse"):
        manager.ok(f"config {subcommand}")
        return
    answer = manager.refused(f"config {subcommand}".strip())
    assert answer.startswith(("Usage: config ", "Unknown command: 'config"))


def test_secrets_are_hidden_unless_the_role_allows_them(manager: Console) -> None:
    revealing = Console(manager.store, reveal=True)
    for line in ("config get Datasource ecdb uri", "config show Datasource ecdb", "config showrecurse"):
        assert "s3cret" not in manager.ok(line)
        assert f"user=ecuser;password={MASK}" in manager.ok(line)
        assert "s3cret" in revealing.ok(line)


def test_an_option_about_passwords_is_no_secret(manager: Console) -> None:
    answer = manager.ok("config get auth_ds scheme ecauth authenticate returns_password")
    assert answer == 'returns_password = "true"'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Password = abc", f"Password = {MASK}"),
        ('db_passwd = "a b"', f'db_passwd = "{MASK}"'),
        ("api_token = ( a b )", f"api_token = ( {MASK} {MASK} )"),
        ("map = [ user = u  password = p ]", f"map = [ user = u  password = {MASK} ]"),
        ('url = "redis://me:pa:ss@w@host/0"', f'url = "redis://me:{MASK}@host/0"'),
        ('url = "redis://:pw@host"', f'url = "redis://:{MASK}@host"'),
        ('x = "a;Password = x y;b"', f'x = "a;Password = {MASK} y;b"'),
        ('Datasource d { uri = "PASSWORD = x y;b" }', f'uri = "PASSWORD = {MASK};b"'),
        ('x = "pgsql:h;db_password=abc;pwd2 = d;y"', f'x = "pgsql:h;db_password={MASK};pwd2 = {MASK};y"'),
        ('x = "http://h/?api_token=abc&y=compass"', f'x = "http://h/?api_token={MASK}&y=compass"'),
        ('x = "compass=abc"', 'x = "compass=abc"'),
        ("timeout = 5", "timeout = 5"),
        ('url = "http://host:80/a@b"', 'url = "http://host:80/a@b"'),
    ],
)
def test_what_is_masked(console_on: Opened, text: str, shown: str) -> None:
    assert shown in console_on({"a.conf": text}).ok("config showrecurse")


def _read_located(text: str) -> list[str]:
    """The parts of a located path, as a reader takes it apart: a backslash protects a colon or another backslash."""
    parts, part, at = [], "", 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] in (":", "\\"):
            part += text[at + 1]
            at += 1
        elif text[at] == ":":
            parts.append(part)
            part = ""
        else:
            part += text[at]
        at += 1
    return parts


@given(texts, texts)
def test_names_in_located_paths_can_be_read_back(one: str, other: str) -> None:
    path = (Step("Outer", one), Step("Inner", other))
    assert _read_located(path_text(path)) == ["Outer", one, "Inner", other]


@given(trees)
def test_a_tree_printed_parses_to_the_same_tree(tree: Scope) -> None:
    printed = show_recurse(tree, SCHEMA, reveal=True)
    again = load("/a", MemoryFiles({"/a": printed.encode()}), schema=type(SCHEMA)("", ""))
    assert again.faults == []
    assert same(tree, again.root)
