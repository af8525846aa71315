"""The table of known options: its types, its defaults, and the reference that is generated from it."""

from collections.abc import Iterator

import pytest

from eccmgr.commands.table import describe, overview
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.reference import help_text, reference_page
from eccmgr.config.schema.spec import OptionSpec, ScopeSpec
from eccmgr.config.schema.types import BadValueError, OptionType, PythonValue, convert
from eccmgr.config.syntax.values import Dictionary, ItemList, Text
from tests.daemons import ROOT
from tests.unit.config.console import Console


def all_options(scope: ScopeSpec = SCHEMA, path: str = "") -> Iterator[tuple[str, OptionSpec]]:
    for option in scope.options:
        yield f"{path}{option.name}", option
    for inner in scope.scopes:
        yield from all_options(inner, f"{path}{inner.name}.")


OPTIONS = dict(all_options())


def test_every_default_fits_its_own_option() -> None:
    for path, option in OPTIONS.items():
        default = option.default_value("10.0.0.0/8")
        if default is not None:
            convert(option.type, default, option.low, option.high)
            assert option.type not in (OptionType.LIST, OptionType.DICTIONARY, OptionType.PATTERNS), path


@pytest.mark.parametrize(
    ("path", "default"),
    [
        ("Logs.max_open", "50"),
        ("Logs.max_idle", "300"),
        ("cluster.view_mature_time", "5"),
        ("cluster.view_balance_interval", "5"),
        ("cluster.duravip_balance_set_size", "10"),
        ("cluster.if_check_interval", "1"),
        ("cluster.if_down_limit", "3"),
        ("cluster.heartbeat_start_delay", "0"),
        ("Blackhole", "0"),
        ("Suspend_Delivery", "false"),
        ("Message_Expiration", "86400"),
        ("Control_Listener.Listen.File_Mode", "0660"),
    ],
)
def test_the_defaults_that_operators_rely_on(path: str, default: str) -> None:
    assert OPTIONS[path].default == default


def test_all_that_the_product_promises_is_known() -> None:
    promised = """
        Control_Listener.Listen: File_Mode Enable Timeout Enable_Authentication Enable_Authorization Max_Command_Bytes
            Listen_Backlog TLS_Certificate TLS_Key TLS_Client_CA
        Control_Listener.Listen.Peer: Always_Allow Always_Deny
        Control_Listener: AuthScramParameters AuthorizationParameters
        Authorization.Role: allow
        Security: User Group
        ec_logger: mainlog paniclog acctlog rejectlog heartbeat
        Logs: logfile file_mode dir_mode max_idle max_open control_cache
        Logs.Manager: logfile
        Logs.Node: logfile Subscriber
        Logs.Manager.Node: logfile Subscriber
        cluster: cluster_group control_group nodename nodeaddr subcluster heartbeats_per_sec session_lease max_step
            absent_ttl results_ttl command_ttl command_timeout max_running max_response_bytes heartbeat_start_delay
            if_check_interval if_down_limit view_mature_time view_balance_interval duravip_balance_set_size
            arp_all_hosts trusted_managers
        cluster.Topology: interface cidrmask
        Binding: Enable_Duravip Bind_Address Duravip_Preference
        ESMTP_Listener.Listen: Enable_Duravip Duravip_Preference Duravip_Follow
        Datasource: uri
    """
    prefix = ""
    for word in promised.split():
        if word.endswith(":"):
            prefix = word[:-1]
        else:
            assert f"{prefix}.{word}" in OPTIONS
    assert SCHEMA.scope("as_logger") is not None


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        *((OptionType.BOOLEAN, text, True) for text in ("on", "TRUE", "Enabled", "yes", "1")),
        *((OptionType.BOOLEAN, text, False) for text in ("off", "False", "disabled", "NO", "0")),
        (OptionType.BOOLEAN, "maybe", None),
        (OptionType.BOOLEAN, "", None),
        (OptionType.MODE, "0640", 0o640),
        (OptionType.MODE, "755", 0o755),
        (OptionType.MODE, "0888", None),
        (OptionType.MODE, "17777", None),
        (OptionType.INTEGER, "10", 10),
        (OptionType.INTEGER, "-1", None),
        (OptionType.INTEGER, "1.5", None),
        (OptionType.INTEGER, "١", None),
        (OptionType.INTEGER, "9" * 400, None),
        (OptionType.NUMBER, "1.5", 1.5),
        (OptionType.NUMBER, "nan", None),
        (OptionType.NUMBER, "inf", None),
        (OptionType.SECONDS, "250ms", 0.25),
        (OptionType.SECONDS, "2 h", 7200.0),
        (OptionType.SECONDS, "2y", None),
        (OptionType.BYTES, "4MiB", 4 << 20),
        (OptionType.BYTES, "1k", 1024),
        (OptionType.NAME, "east-1.example", "east-1.example"),
        (OptionType.NAME, "-east", None),
        (OptionType.NAME, "a" * 64, None),
        (OptionType.ADDRESS, "2001:db8::1", "2001:db8::1"),
        (OptionType.ADDRESS, "10.1.1", None),
        (OptionType.NETWORK, "10.1.1.0/24", "10.1.1.0/24"),
        (OptionType.NETWORK, "10.1.1.0/33", None),
        (OptionType.ENDPOINT, ":25", ":25"),
        (OptionType.ENDPOINT, "[::1]:2025", "[::1]:2025"),
        (OptionType.ENDPOINT, "host:70000", None),
        (OptionType.ENDPOINT, "::1:2025", None),
        (OptionType.ENDPOINT, "[10.1.1.1]:2025", None),
        (OptionType.ENDPOINT, "/tmp/2025", "/tmp/2025"),
        (OptionType.PATH, "", None),
    ],
)
def test_what_each_type_takes(kind: OptionType, text: str, value: PythonValue | None) -> None:
    if value is None:
        with pytest.raises(BadValueError, match=r"\w"):
            convert(kind, Text(text))
    else:
        assert convert(kind, Text(text)) == value


def test_single_value_is_list_and_patterns_compile() -> None:
    assert convert(OptionType.LIST, Text("a")) == ("a",)
    with pytest.raises(BadValueError, match="compile"):
        convert(OptionType.PATTERNS, ItemList((Text("ok"), Text("("))))
    with pytest.raises(BadValueError, match="dictionary"):
        convert(OptionType.DICTIONARY, Text("a"))
    assert convert(OptionType.DICTIONARY, Dictionary(((Text("k"), Text("1")), (Text("k"), Text("2"))))) == {"k": "2"}


def test_bounds_of_a_number_are_in_the_expectation() -> None:
    with pytest.raises(BadValueError, match="a whole number from 1 up to 5"):
        convert(OptionType.INTEGER, Text("6"), 1, 5)


def test_reference_page_has_every_option_exactly_once() -> None:
    page = reference_page()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(OPTIONS)
    assert all(len(row.replace("\\|", "").split("|")) == 7 for row in rows)
    assert "| `Message_Expiration` | a number of seconds" in page


def test_help_lists_every_command_with_its_usage(manager: Console) -> None:
    assert "config set [SCOPE [NAME]]… OPTION [=] VALUE" in overview(manager.table)
    text = describe(manager.table, "config")
    names = "get|eval|set|unset|show|showrecurse|locate|begin|replay|commit|rollback|reload|writeback"
    for name in names.split("|"):
        assert f"Usage: config {name}" in text
    assert "Usage: config begin [from scratch]" in text


def test_config_help_tells_what_is_known(manager: Console) -> None:
    assert manager.ok("config help cluster Max_Running").splitlines() == [
        "max_running: commands that a node runs at once",
        "  takes a whole number from 1 up to 10000",
        "  default: 8",
        "  dynamic: takes effect at once",
    ]
    assert "cidrmask" in manager.ok("config help cluster topology")
    assert "Control_Listener { … }" in manager.ok("config help")
    assert "holds secrets" in manager.ok("config help datasource uri")
    assert manager.refused("config help nonsense") == "Nothing is known of 'nonsense'"


def test_an_unknown_subcommand_lists_those_there_are(manager: Console) -> None:
    assert manager.refused("config frobnicate").startswith("Unknown command: 'config frobnicate'. config has: begin,")


def test_each_option_is_read_or_marked() -> None:
    sources = [path for part in ("eccmgr", "worker", "cli") for path in (ROOT / part).rglob("*.py")]
    text = "\n".join(path.read_text() for path in sources if not path.name.startswith("known")).lower()
    unread = {option.name for option in OPTIONS.values() if f'"{option.name.lower()}"' not in text}
    assert unread <= {option.name for option in OPTIONS.values() if option.without_effect}
    assert "without effect: a member joins" in help_text(("cluster", "heartbeat_start_delay"))
