"""The table of known scopes and options: the schema of a manager's and a node's configuration.

It feeds checking, `config eval`, spelling, `help config`, completion and the reference page.
"""

import ipaddress

from eccmgr.config.option_types import OptionType
from eccmgr.config.schema import Naming, OptionSpec, ScopeSpec


def _cidrmask(network: str | None) -> str:
    try:
        return str(ipaddress.ip_network(network or "", strict=False).max_prefixlen)
    except ValueError:
        return "32"


_DURAVIP_PREFERENCE = OptionSpec(
    "Duravip_Preference", OptionType.NAME, None, "the node that carries the address while it lives"
)
_ENABLE_DURAVIP = OptionSpec("Enable_Duravip", OptionType.BOOLEAN, "false", "whether the address is a floating one")
_DURAVIP_FOLLOW = OptionSpec(
    "Duravip_Follow", OptionType.TEXT, None, "the binding or address with which this one moves"
)

_LISTENER_OPTIONS = (
    OptionSpec("Enable", OptionType.BOOLEAN, "true", "whether the listener is open"),
    OptionSpec("File_Mode", OptionType.MODE, "0660", "the mode of a Unix socket, from its creation on"),
    OptionSpec(
        "Timeout", OptionType.SECONDS, "60", "idle seconds after which a connection is closed; 0 is never", 0, 1e9
    ),
    OptionSpec("Enable_Authentication", OptionType.BOOLEAN, "false", "whether a caller has to say who he is"),
    OptionSpec("Enable_Authorization", OptionType.BOOLEAN, "false", "whether a caller's roles bound what he may run"),
    OptionSpec(
        "Insecure",
        OptionType.BOOLEAN,
        "false",
        "allows a TCP listener beyond loopback without TLS or authentication",
    ),
    OptionSpec("Max_Command_Bytes", OptionType.BYTES, "1048576", "the longest command that is taken", 16, 1 << 30),
    OptionSpec("Listen_Backlog", OptionType.INTEGER, "1024", "connections that may wait to be accepted", 1, 65535),
    OptionSpec("TLS_Certificate", OptionType.PATH, None, "the certificate of a TLS listener (PEM)"),
    OptionSpec("TLS_Key", OptionType.PATH, None, "the private key of that certificate (PEM)"),
    OptionSpec("TLS_Client_CA", OptionType.PATH, None, "the authority whose client certificates are demanded (PEM)"),
)

_PEER = ScopeSpec(
    "Peer",
    "what holds for callers from a network",
    Naming.ALWAYS,
    OptionType.NETWORK,
    (
        OptionSpec("Always_Allow", OptionType.BOOLEAN, "false", "whether these callers need not authenticate"),
        OptionSpec("Always_Deny", OptionType.BOOLEAN, "false", "whether these callers are turned away"),
    ),
)

CONTROL_LISTENER = ScopeSpec(
    "Control_Listener",
    "where consoles connect; its options hold for every Listen in it that does not set them",
    options=(
        *_LISTENER_OPTIONS,
        OptionSpec("AuthScramParameters", OptionType.DICTIONARY, None, "where the SCRAM verifiers are found"),
        OptionSpec("AuthorizationParameters", OptionType.DICTIONARY, None, "where the groups of users are found"),
    ),
    scopes=(
        ScopeSpec(
            "Listen",
            "one endpoint: a path or ADDRESS:PORT",
            Naming.ALWAYS,
            OptionType.ENDPOINT,
            _LISTENER_OPTIONS,
            (_PEER,),
        ),
    ),
)

AUTHORIZATION = ScopeSpec(
    "Authorization",
    "who may run what",
    scopes=(
        ScopeSpec(
            "Role",
            "a group of users, or one user by name",
            Naming.ALWAYS,
            None,
            (
                OptionSpec(
                    "allow",
                    OptionType.PATTERNS,
                    None,
                    "regular expressions searched in a command; one that fits allows it",
                ),
            ),
        ),
    ),
)

SECURITY = ScopeSpec(
    "Security",
    "as whom the daemon runs",
    options=(
        OptionSpec("User", OptionType.TEXT, None, "the user that the daemon becomes after its start", dynamic=False),
        OptionSpec("Group", OptionType.TEXT, None, "the group that the daemon becomes after its start", dynamic=False),
    ),
)

EC_LOGGER = ScopeSpec(
    "ec_logger",
    "the daemon's own log files",
    Naming.EITHER,
    options=(
        OptionSpec("mainlog", OptionType.PATH, None, "what happens"),
        OptionSpec("paniclog", OptionType.PATH, None, "what should never happen"),
        OptionSpec("acctlog", OptionType.PATH, None, "who authenticated and who ran what"),
        OptionSpec("rejectlog", OptionType.PATH, None, "who was turned away"),
        OptionSpec(
            "heartbeat", OptionType.SECONDS, "0", "seconds between signs of life in the main log; 0 is none", 0, 1e9
        ),
    ),
)

_LOG_FILES = (
    OptionSpec(
        "logfile", OptionType.PATH, None, "the path of a collected log; %Y %m %d and %{l} %{s} %{n} are filled in"
    ),
    OptionSpec("file_mode", OptionType.MODE, "0640", "the mode of new log files"),
    OptionSpec("dir_mode", OptionType.MODE, "0755", "the mode of new log folders"),
)

LOGS = ScopeSpec(
    "Logs",
    "where the logs of nodes are collected",
    options=(
        *_LOG_FILES,
        OptionSpec("max_idle", OptionType.SECONDS, "300", "seconds after which an unused log file is closed", 0, 1e9),
        OptionSpec("max_open", OptionType.INTEGER, "50", "log files open at once", 1, 100000),
        OptionSpec("control_cache", OptionType.TEXT, None, "where the position in each log is kept"),
    ),
    scopes=tuple(
        ScopeSpec(kind, f"what differs for the logs of a {kind.lower()}", Naming.EITHER, None, _LOG_FILES)
        for kind in ("Manager", "Node", "Subscriber")
    ),
)

CLUSTER = ScopeSpec(
    "cluster",
    "the cluster, this process's place in it, and its time limits",
    options=(
        OptionSpec("cluster_group", OptionType.NAME, "ec_cluster", "the name of the cluster", dynamic=False),
        OptionSpec(
            "control_group", OptionType.NAME, "ec_console", "the group in which nodes take commands", dynamic=False
        ),
        OptionSpec(
            "nodename", OptionType.NAME, None, "this node's name; else EC_NODE_NAME, else the host's", dynamic=False
        ),
        OptionSpec(
            "nodeaddr",
            OptionType.ADDRESS,
            None,
            "the address shown to others; else that of the connection to Redis",
            dynamic=False,
        ),
        OptionSpec(
            "subcluster",
            OptionType.NAME,
            "default",
            "the subcluster of this node; else the one that a bus file gives it",
            dynamic=False,
        ),
        OptionSpec("heartbeats_per_sec", OptionType.NUMBER, "2", "signs of life a second", 0.1, 100),
        OptionSpec("heartbeat_start_delay", OptionType.SECONDS, "0", "seconds before the first heartbeat", 0, 3600),
        OptionSpec(
            "session_lease",
            OptionType.SECONDS,
            "2.5",
            "seconds without a heartbeat after which a session ends",
            0.1,
            3600,
        ),
        OptionSpec(
            "max_step", OptionType.SECONDS, "0.6", "the most that the lease clock advances in one step", 0.01, 3600
        ),
        OptionSpec(
            "absent_ttl",
            OptionType.SECONDS,
            "2592000",
            "seconds for which a node that was lost is still expected (default 30 days); 0: until it is forgotten",
            0,
            1e9,
        ),
        OptionSpec(
            "results_ttl",
            OptionType.SECONDS,
            "3600",
            "seconds for which answers are kept; never less than command_ttl and command_timeout together",
            1,
            1e9,
        ),
        OptionSpec(
            "command_ttl", OptionType.SECONDS, "60", "seconds after which a command is no longer begun", 0.1, 1e9
        ),
        OptionSpec(
            "command_timeout",
            OptionType.SECONDS,
            "60",
            "seconds after which a running command is cancelled",
            0.1,
            1e9,
        ),
        OptionSpec(
            "job_timeout",
            OptionType.SECONDS,
            "3600",
            "seconds after which a long command, which is a job, is ended",
            0.1,
            1e9,
        ),
        OptionSpec(
            "max_jobs",
            OptionType.INTEGER,
            "100",
            "jobs of a node that are not finished; over it a long command is refused",
            1,
            10000,
        ),
        OptionSpec("max_running", OptionType.INTEGER, "8", "commands that a node runs at once", 1, 10000),
        OptionSpec(
            "max_response_bytes",
            OptionType.BYTES,
            "4194304",
            "the longest answer; a longer one is cut",
            1024,
            1 << 30,
        ),
        OptionSpec(
            "trusted_managers",
            OptionType.LIST,
            None,
            "the keys whose commands a node runs; with any, only signed ones",
        ),
        OptionSpec("if_check_interval", OptionType.SECONDS, "1", "seconds between looks at the interfaces", 0.1, 3600),
        OptionSpec(
            "if_down_limit",
            OptionType.INTEGER,
            "3",
            "taken for files of old; without effect: what a down interface carries is given up at once",
            1,
            1000,
        ),
        OptionSpec(
            "view_mature_time", OptionType.SECONDS, "5", "seconds of quiet before addresses are balanced", 0, 86400
        ),
        OptionSpec("view_balance_interval", OptionType.SECONDS, "5", "seconds between steps of balancing", 0, 86400),
        OptionSpec(
            "duravip_balance_set_size",
            OptionType.INTEGER,
            "10",
            "addresses moved in one step of balancing",
            1,
            100000,
        ),
        OptionSpec(
            "arp_all_hosts",
            OptionType.BOOLEAN,
            "true",
            "whether a move is announced to all, or only to known peers",
        ),
        OptionSpec(
            "announce_count", OptionType.INTEGER, "5", "announcements of an address that was just plumbed", 1, 100
        ),
        OptionSpec(
            "announce_time", OptionType.SECONDS, "2", "seconds over which these announcements are spread", 0, 60
        ),
        OptionSpec(
            "announce_refresh",
            OptionType.SECONDS,
            "60",
            "seconds between announcements from then on; 0 is never",
            0,
            86400,
        ),
        OptionSpec(
            "plumber",
            OptionType.NAME,
            "auto",
            "who changes addresses: netlink, exec (plumber_program), memory (nobody: for a demonstration); "
            "auto is netlink, and a node that may not use it carries nothing",
            dynamic=False,
        ),
        OptionSpec(
            "plumber_program",
            OptionType.PATH,
            None,
            "the program of plumber exec, run as PROGRAM plumb (or unplumb, check) ADDRESS INTERFACE EPOCH",
            dynamic=False,
        ),
        OptionSpec(
            "fence",
            OptionType.NAME,
            "auto",
            "what silences the addresses of a host whose processes are stopped: nftables, valid_lft or none; "
            "auto is the first of them that is to be had",
            dynamic=False,
        ),
    ),
    scopes=(
        ScopeSpec(
            "Topology",
            "the interface of the floating addresses of a network",
            Naming.ALWAYS,
            OptionType.NETWORK,
            (
                OptionSpec("interface", OptionType.TEXT, None, "the interface that carries them"),
                OptionSpec(
                    "cidrmask",
                    OptionType.INTEGER,
                    "32 or 128",
                    "the prefix length with which they are added",
                    0,
                    128,
                    default_of=_cidrmask,
                ),
            ),
        ),
    ),
)

BINDING = ScopeSpec(
    "Binding",
    "a source address for mail, floating or not",
    Naming.ALWAYS,
    None,
    (
        _ENABLE_DURAVIP,
        OptionSpec("Bind_Address", OptionType.ADDRESS, None, "the address"),
        _DURAVIP_PREFERENCE,
        _DURAVIP_FOLLOW,
    ),
)

ESMTP_LISTENER = ScopeSpec(
    "ESMTP_Listener",
    "where mail arrives",
    scopes=(
        ScopeSpec(
            "Listen",
            "one endpoint: ADDRESS:PORT",
            Naming.ALWAYS,
            OptionType.ENDPOINT,
            (
                _ENABLE_DURAVIP,
                _DURAVIP_PREFERENCE,
                _DURAVIP_FOLLOW,
            ),
        ),
    ),
)

DATASOURCE = ScopeSpec(
    "Datasource",
    "a data base and how it is reached",
    Naming.EITHER,
    options=(
        OptionSpec("uri", OptionType.LIST, None, "where it is; passwords are shown as ********", secret=True),
        OptionSpec("cache_life", OptionType.SECONDS, None, "seconds for which an answer of it is kept", 0, 1e9),
    ),
)

AS_LOGGER = ScopeSpec("as_logger", "the collector of node logs (a manager's only)", Naming.EITHER)

SCHEMA = ScopeSpec(
    "",
    "options outside of every scope",
    options=(
        OptionSpec("Blackhole", OptionType.BOOLEAN, "0", "whether mail is taken and thrown away"),
        OptionSpec("Suspend_Delivery", OptionType.BOOLEAN, "false", "whether no mail is sent on"),
        OptionSpec("Message_Expiration", OptionType.SECONDS, "86400", "seconds after which mail is given up", 0, 1e9),
        OptionSpec(
            "Local_Changes_File", OptionType.PATH, None, "the file for changes that belong to no other; loaded last"
        ),
        OptionSpec("Local_Changes_Only", OptionType.BOOLEAN, "false", "whether every change is written to that file"),
    ),
    scopes=(
        AS_LOGGER,
        AUTHORIZATION,
        BINDING,
        CLUSTER,
        CONTROL_LISTENER,
        DATASOURCE,
        EC_LOGGER,
        ESMTP_LISTENER,
        LOGS,
        SECURITY,
    ),
)
"""The whole schema: the global scope."""
