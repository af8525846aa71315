"""The options of a daemon as frozen values: read from a configuration in one go, and comparable."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eccmgr.cluster.options import ClusterOptions
from eccmgr.config.live.cluster_log import ClusterLog
from eccmgr.config.live.effective import Override, Overrides, ScopeView
from eccmgr.config.syntax.tree import Step
from eccmgr.config.syntax.values import Dictionary, Text, Value
from eccmgr.errors import ConfigError, SettingsError
from eccmgr.text.naming import is_plain_name
from eccmgr.text.tags import TagError, given_tag, given_tags

Given = str | tuple[str, ...]
"""The value of a setting; of `tag` several texts such as `role=mta`."""
COMMAND_LINE = "the command line"
ENVIRONMENT = "the environment"
_CLUSTER = (Step("cluster"),)
_OPTION_OF_SETTING = {"cluster": "cluster_group", "subcluster": "subcluster", "name": "nodename", "tag": "tags"}
"""Maps a setting (a flag or an `ECCMGR_*` variable) to the option of the scope `cluster` that it overrides."""


def overrides(flags: Mapping[str, Given | None], variables: Mapping[str, Given | None]) -> Overrides:
    """The overrides by settings: a flag wins over the environment, and both win over the files.

    Both arguments map the name of a setting (`cluster`, `subcluster`, `name`, `tag`) to its value, None if it was not
    given. Raises SettingsError for a tag that is not allowed.
    """
    by_option: dict[str, Override] = {}
    for given, source in ((variables, ENVIRONMENT), (flags, COMMAND_LINE)):
        for setting, option in _OPTION_OF_SETTING.items():
            value = given.get(setting)
            if value is not None:
                try:
                    by_option[option] = Override(_CLUSTER, option, _value(value), source)
                except TagError as error:
                    where = f"--{setting}" if source is COMMAND_LINE else f"ECCMGR_{setting.upper()}"
                    raise SettingsError(f"{where}: {error}") from None
    return Overrides(by_option.values())


def _value(given: Given) -> Value:
    """The value of an option, in place of that of a file. Raises TagError."""
    if isinstance(given, str):
        return Text(given)
    pairs = tuple(map(given_tag, given))
    given_tags(pairs)
    return Dictionary(tuple((Text(name), Text(value)) for name, value in pairs))


def node_name(view: ScopeView, environment: Mapping[str, str], host: str) -> str:
    """A node's name: `cluster.nodename` (or its flag), else `EC_NODE_NAME`, else the host's name up to its first dot.

    Raises ConfigError if `EC_NODE_NAME` or the host's name cannot be a node's name.
    """
    option = view.scope("cluster").text("nodename")
    if option is not None:
        return option
    variable = environment.get("EC_NODE_NAME")
    name, source = (variable, "EC_NODE_NAME") if variable else (host.partition(".")[0], "The host's name")
    if not is_plain_name(name):
        raise ConfigError(f"{source} '{name}' cannot be a node's name; set cluster {{ nodename = NAME }}")
    return name


@dataclass(frozen=True, slots=True)
class Peer:
    """The rules for callers from one network (as written: `10.1.1.0/24`)."""

    network: str
    always_allow: bool
    always_deny: bool


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of a TLS listener: its certificate and key, and the authority for client certificates, if demanded."""

    certificate: str
    key: str
    client_ca: str | None


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """One endpoint of the control protocol, and its options; a `timeout_s` of 0 means no time-out.

    `place` (`FILE:LINE:COLUMN`, None if no file has the listener) is for messages only and not compared.
    """

    endpoint: str
    file_mode: int
    timeout_s: float
    max_command_bytes: int
    max_connections_of_peer: int
    backlog: int
    authenticate: bool
    authorize: bool
    insecure: bool
    tls: Tls | None = None
    peers: tuple[Peer, ...] = ()
    place: str | None = field(default=None, compare=False)


def listeners(
    view: ScopeView, default: str, instead: Sequence[str] = (), *, disabled: bool = False
) -> tuple[ListenerOptions, ...]:
    """The enabled control listeners, and with `disabled` the others too, in the order written.

    Endpoints given `instead` (`--listen`) replace those of the files; without either, `default` is the only endpoint
    ('' for none). The options of `Control_Listener` hold for all of them. Raises ConfigError if the TLS files of a
    listener are incomplete.
    """
    above = view.scope("Control_Listener")
    if instead:
        scopes = [above.scope("Listen", endpoint) for endpoint in dict.fromkeys(instead)]
    else:
        scopes = above.scopes("Listen") or ([above.scope("Listen", default)] if default else [])
    return tuple(_listener(scope) for scope in scopes if disabled or scope.boolean("Enable"))


def _listener(view: ScopeView) -> ListenerOptions:
    return ListenerOptions(
        endpoint=view.name,
        file_mode=view.integer("File_Mode"),
        timeout_s=view.seconds("Timeout"),
        max_command_bytes=view.integer("Max_Command_Bytes"),
        max_connections_of_peer=view.integer("Max_Connections_Per_Peer"),
        backlog=view.integer("Listen_Backlog"),
        authenticate=view.boolean("Enable_Authentication"),
        authorize=view.boolean("Enable_Authorization"),
        insecure=view.boolean("Insecure"),
        tls=_tls(view),
        peers=tuple(
            Peer(peer.name, peer.boolean("Always_Allow"), peer.boolean("Always_Deny")) for peer in view.scopes("Peer")
        ),
        place=view.place(),
    )


def _tls(view: ScopeView) -> Tls | None:
    certificate, key, client_ca = (view.text(name) for name in ("TLS_Certificate", "TLS_Key", "TLS_Client_CA"))
    if certificate is not None and key is not None:
        return Tls(certificate, key, client_ca)
    if certificate is None and key is None and client_ca is None:
        return None
    raise ConfigError(f"{view.place() or view.name}: a TLS listener, expected both TLS_Certificate and TLS_Key")


def cluster_options(view: ScopeView) -> ClusterOptions:
    """The cluster's times and bounds."""
    cluster = view.scope("cluster")
    # Redis must keep the record of a command for longer than the command lasts.
    longest_s = cluster.seconds("command_ttl") + cluster.seconds("command_timeout")
    return ClusterOptions(
        session_lease_s=cluster.seconds("session_lease"),
        heartbeats_per_sec=cluster.number("heartbeats_per_sec"),
        max_step_s=cluster.seconds("max_step"),
        absent_ttl_s=cluster.seconds("absent_ttl"),
        results_ttl_s=max(cluster.seconds("results_ttl"), longest_s),
        command_ttl_s=cluster.seconds("command_ttl"),
        command_timeout_s=cluster.seconds("command_timeout"),
        job_timeout_s=cluster.seconds("job_timeout"),
        max_jobs=cluster.integer("max_jobs"),
        max_running=cluster.integer("max_running"),
        max_response_bytes=cluster.integer("max_response_bytes"),
    )


class Sync(enum.StrEnum):
    """When the lines of a file are forced to the disk, the strictest first."""

    ALWAYS = "always"
    """After each write."""
    SECOND = "second"
    """Once a second."""
    NEVER = "never"
    """When the system does it by itself."""


@dataclass(frozen=True, slots=True)
class LogFileOptions:
    """The daemon's own log files (the scope `ec_logger`); None for a file that is not configured. Managers may collect
    them too (`ClusterLog`)."""

    name: str
    mainlog: str | None
    paniclog: str | None
    acctlog: str | None
    rejectlog: str | None
    acctlog_sync: Sync
    heartbeat_s: float
    level: str | None
    """The lowest level of the lines, in small letters; None for the one of the command line."""
    place: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class DaemonOptions:
    """The options that a daemon itself uses. `nodeaddr` is None if the configuration does not set it.

    A node that does not set its subcluster (`states_subcluster`) takes the one in the bus file.
    """

    cluster: str
    control_group: str
    subcluster: str
    states_subcluster: bool
    nodeaddr: str | None
    timing: ClusterOptions
    listeners: tuple[ListenerOptions, ...]
    user: str | None
    group: str | None
    log_files: tuple[LogFileOptions, ...]


def daemon_options(view: ScopeView, default_endpoint: str, listen: Sequence[str] = ()) -> DaemonOptions:
    """The options of a daemon. Raises ConfigError, with its place, for an option that does not fit the others."""
    cluster, security = view.scope("cluster"), view.scope("Security")
    return DaemonOptions(
        cluster=cluster.text("cluster_group") or "",
        control_group=cluster.text("control_group") or "",
        subcluster=cluster.text("subcluster") or "",
        states_subcluster=cluster.states("subcluster"),
        nodeaddr=cluster.text("nodeaddr"),
        timing=cluster_options(view),
        listeners=listeners(view, default_endpoint, listen),
        user=security.text("User"),
        group=security.text("Group"),
        log_files=log_files(view),
    )


def log_files(view: ScopeView) -> tuple[LogFileOptions, ...]:
    """The log files that each `ec_logger` names."""
    return tuple(_log_files(logger) for logger in view.scopes("ec_logger"))


def _log_files(logger: ScopeView) -> LogFileOptions:
    return LogFileOptions(
        name=logger.name,
        mainlog=_file(logger, "mainlog"),
        paniclog=_file(logger, "paniclog"),
        acctlog=_file(logger, "acctlog"),
        rejectlog=_file(logger, "rejectlog"),
        acctlog_sync=Sync(logger.text("acctlog_sync") or Sync.SECOND),
        heartbeat_s=logger.seconds("heartbeat"),
        level=logger.text("Debug_Level"),
        place=logger.place(),
    )


def _file(logger: ScopeView, option: str) -> str | None:
    text = logger.text(option)
    try:
        return None if text is None else ClusterLog.parse(text).path
    except ConfigError as error:
        raise logger.fault(str(error), option) from None
