"""The options that a daemon reads: typed values, listeners, cluster options, and their precedence."""

import pytest

from eccmgr.cluster.options import ClusterOptions
from eccmgr.config.live.options import (
    ListenerOptions,
    Peer,
    Tls,
    cluster_options,
    daemon_options,
    listeners,
    node_name,
    overrides,
)
from eccmgr.config.live.store import Store
from eccmgr.errors import ConfigError
from tests.unit.config.console import Console, Opened


def test_the_schemas_defaults_are_those_of_the_cluster() -> None:
    assert cluster_options(Store.open(None).view()) == ClusterOptions()


def test_cluster_options_follow_the_file(console_on: Opened) -> None:
    console = console_on(
        {"a.conf": "cluster { session_lease = 500ms  heartbeats_per_sec = 10  max_response_bytes = 1MiB }"}
    )
    options = cluster_options(console.store.view())
    assert (options.session_lease_s, options.heartbeat_s, options.max_response_bytes) == (0.5, 0.1, 1 << 20)


def test_answers_are_kept_as_long_as_commands_last(console_on: Opened) -> None:
    console = console_on({"a.conf": "cluster { results_ttl = 2  command_ttl = 3  command_timeout = 4 }"})
    assert cluster_options(console.store.view()).results_ttl_s == 7


def test_without_a_file_there_is_the_default_endpoint() -> None:
    (only,) = listeners(Store.open(None).view(), "/tmp/2025")
    assert only == ListenerOptions(
        endpoint="/tmp/2025",
        file_mode=0o660,
        timeout_s=60.0,
        max_command_bytes=1 << 20,
        max_connections_of_peer=64,
        backlog=1024,
        authenticate=False,
        authorize=False,
        insecure=False,
    )


def test_listeners_of_the_sample_inherit_from_their_scope(manager: Console) -> None:
    first, second = listeners(manager.store.view(), "/default")
    assert (first.endpoint, first.authenticate) == ("/tmp/2025", False)
    assert (second.endpoint, second.authenticate, second.authorize) == ("127.0.0.1:2025", True, False)
    assert first.place is not None
    assert first.place.endswith("/eccluster.conf:21:3")


def test_a_listener_has_all_that_its_file_says(console_on: Opened) -> None:
    console = console_on(
        {
            "a.conf": """Control_Listener {
              File_Mode = 0600
              Listen "0.0.0.0:2025" {
                Timeout = 2m  Max_Command_Bytes = 4KiB  Listen_Backlog = 5  Insecure = on
                Max_Connections_Per_Peer = 7
                TLS_Certificate = "/c"  TLS_Key = "/k"
                Peer "10.0.0.0/8" { Always_Allow = yes }
              }
              Listen "/closed" { Enable = off }
            }"""
        }
    )
    (only,) = listeners(console.store.view(), "/default")
    assert only == ListenerOptions(
        "0.0.0.0:2025",
        0o600,
        120.0,
        4096,
        7,
        5,
        False,
        False,
        True,
        Tls("/c", "/k", None),
        (Peer("10.0.0.0/8", True, False),),
    )


def test_listen_flags_replace_the_files_listeners(manager: Console) -> None:
    found = listeners(manager.store.view(), "/default", ["/tmp/x", "127.0.0.1:2025", "/tmp/x"])
    assert [(each.endpoint, each.authenticate) for each in found] == [("/tmp/x", True), ("127.0.0.1:2025", True)]


def test_certificate_without_key_is_refused_with_its_place(console_on: Opened) -> None:
    console = console_on({"a.conf": 'Control_Listener { Listen "127.0.0.1:1" { TLS_Certificate = c } }'})
    with pytest.raises(ConfigError, match=r"a\.conf:1:20: a TLS listener, expected both TLS_Certificate and TLS_Key"):
        daemon_options(console.store.view(), "/default")


def test_the_daemons_options_of_the_sample(manager: Console, node: Console) -> None:
    options = daemon_options(manager.store.view(), "/default")
    assert (options.cluster, options.subcluster, options.user, options.group) == (
        "ec_cluster", "default", "ecuser", "ecuser",
    )  # fmt: skip
    (log,) = options.log_files
    assert (log.mainlog, log.acctlog, log.heartbeat_s) == ("/var/log/eccluster/mainlog.ec", None, 0.0)
    assert daemon_options(node.store.view(), "/default").subcluster == "east"


def test_options_change_only_where_what_holds_changes(manager: Console) -> None:
    before = daemon_options(manager.store.view(), "/default")
    manager.ok("config set Control_Listener Timeout 60")
    manager.ok("config reload")
    assert daemon_options(manager.store.view(), "/default") == before
    manager.ok("config set Control_Listener Timeout 61")
    assert daemon_options(manager.store.view(), "/default") != before


def test_flag_wins_over_environment_and_file(node: Console) -> None:
    path = node.store.loaded.main
    given = overrides({"cluster": "flag", "name": None}, {"cluster": "variable", "subcluster": "west"})
    console = Console(Store.open(path, overrides=given))
    assert console.ok("config eval cluster cluster_group") == "cluster_group = flag  # from the command line"
    assert console.ok("config eval cluster subcluster") == "subcluster = west  # from the environment"
    options = daemon_options(console.store.view(), "/default")
    assert (options.cluster, options.subcluster) == ("flag", "west")


def test_nodes_name_is_option_else_variable_else_host(console_on: Opened) -> None:
    nothing = Store.open(None).view()
    named = console_on({"a.conf": "cluster { nodename = opt }"}).store.view()
    flagged = Store.open(None, overrides=overrides({"name": "flag"}, {})).view()
    assert node_name(named, {"EC_NODE_NAME": "var"}, "host.example.com") == "opt"
    assert node_name(flagged, {"EC_NODE_NAME": "var"}, "host.example.com") == "flag"
    assert node_name(nothing, {"EC_NODE_NAME": "var.x"}, "host.example.com") == "var.x"
    assert node_name(nothing, {"EC_NODE_NAME": ""}, "host.example.com") == "host"
    with pytest.raises(ConfigError, match="EC_NODE_NAME 'a b' cannot be a node's name"):
        node_name(nothing, {"EC_NODE_NAME": "a b"}, "host")


def test_override_that_does_not_fit_fails_its_reader() -> None:
    view = Store.open(None, overrides=overrides({"cluster": "a b"}, {})).view()
    with pytest.raises(ConfigError, match="cluster_group does not fit, expected a name"):
        daemon_options(view, "/default")


def test_asking_outside_the_schema_is_a_programs_mistake(manager: Console) -> None:
    view = manager.store.view()
    with pytest.raises(LookupError):
        view.text("nonsense")
    with pytest.raises(LookupError):
        view.scope("cluster").text("max_running")


def test_view_stays_unchanged_after_a_configuration_change(manager: Console) -> None:
    view = manager.store.view()
    manager.ok("config set blackhole on")
    assert (view.boolean("Blackhole"), manager.store.view().boolean("Blackhole")) == (False, True)
