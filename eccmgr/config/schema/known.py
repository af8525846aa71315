"""The table of known scopes and options: the schema of a manager's and a node's configuration.

It feeds checking, `config eval`, spelling, `help config`, completion and the reference page.
"""

from eccmgr.config.schema.known_cluster import CLUSTER
from eccmgr.config.schema.known_http import HTTP_LISTENER
from eccmgr.config.schema.spec import Naming, OptionSpec, ScopeSpec
from eccmgr.config.schema.types import OptionType

_OF_MAIL = "it is the mail server's"

_DURAVIP_PREFERENCE = OptionSpec(
    "Duravip_Preference", OptionType.NAME, None, "the node that carries the address while it lives"
)
_ENABLE_DURAVIP = OptionSpec("Enable_Duravip", OptionType.BOOLEAN, "false", "whether the address is a floating one")
_DURAVIP_FOLLOW = OptionSpec(
    "Duravip_Follow", OptionType.TEXT, None, "the binding or address with which this one moves"
)

_LISTENER_OPTIONS = (
    OptionSpec("Enable", OptionType.BOOLEAN, "true", "whether the listener is open"),
    OptionSpec("File_Mode", OptionType.MODE, "0660", "the mode of a Unix socket, from its creation on", locked=True),
    OptionSpec(
        "Timeout", OptionType.SECONDS, "60", "idle seconds after which a connection is closed; 0 is never", 0, 1e9
    ),
    OptionSpec(
        "Enable_Authentication", OptionType.BOOLEAN, "false", "whether a caller has to authenticate", locked=True
    ),
    OptionSpec(
        "Enable_Authorization",
        OptionType.BOOLEAN,
        "false",
        "whether a caller's roles limit the commands that the caller may run",
        locked=True,
    ),
    OptionSpec(
        "Insecure",
        OptionType.BOOLEAN,
        "false",
        "lets a TCP listener without authentication run every command of everybody, on any address; "
        "without it, such a listener must be on loopback, and answers only version, uptime, pid and info",
        locked=True,
    ),
    OptionSpec("Max_Command_Bytes", OptionType.BYTES, "1048576", "the longest command that is taken", 16, 1 << 30),
    OptionSpec(
        "Max_Connections_Per_Peer",
        OptionType.INTEGER,
        "64",
        "connections at once of one user of this host, or of one address",
        1,
        4096,
    ),
    OptionSpec("Listen_Backlog", OptionType.INTEGER, "1024", "connections that may wait to be accepted", 1, 65535),
    OptionSpec("TLS_Certificate", OptionType.PATH, None, "the certificate of a TLS listener (PEM)", locked=True),
    OptionSpec("TLS_Key", OptionType.PATH, None, "the private key of that certificate (PEM)", locked=True),
    OptionSpec(
        "TLS_Client_CA",
        OptionType.PATH,
        None,
        "the authority whose client certificates are demanded (PEM)",
        locked=True,
    ),
)

_PEER = ScopeSpec(
    "Peer",
    "the rules for callers from one network",
    Naming.ALWAYS,
    OptionType.NETWORK,
    (
        OptionSpec("Always_Allow", OptionType.BOOLEAN, "false", "whether these callers need not authenticate"),
        OptionSpec("Always_Deny", OptionType.BOOLEAN, "false", "whether these callers are turned away"),
    ),
    locked=True,
)

CONTROL_LISTENER = ScopeSpec(
    "Control_Listener",
    "where consoles connect; its options hold for every Listen in it that does not set them",
    options=(
        *_LISTENER_OPTIONS,
        OptionSpec(
            "AuthScramParameters",
            OptionType.DICTIONARY,
            None,
            "where the SCRAM verifiers are found",
            locked=True,
        ),
        OptionSpec(
            "AuthorizationParameters",
            OptionType.DICTIONARY,
            None,
            "where the groups of users are found",
            locked=True,
        ),
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
    "the commands that users may run",
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
                    "regular expressions; a command in which one is found is allowed",
                ),
            ),
        ),
    ),
    locked=True,
)

SECURITY = ScopeSpec(
    "Security",
    "the user and group of the daemon",
    options=(
        OptionSpec("User", OptionType.TEXT, None, "the user that the daemon becomes after its start", dynamic=False),
        OptionSpec("Group", OptionType.TEXT, None, "the group that the daemon becomes after its start", dynamic=False),
    ),
    locked=True,
)

EC_LOGGER = ScopeSpec(
    "ec_logger",
    "the daemon's own log files",
    Naming.EITHER,
    options=(
        OptionSpec("mainlog", OptionType.PATH, None, "all events", locked=True),
        OptionSpec("paniclog", OptionType.PATH, None, "errors, with their traces", locked=True),
        OptionSpec(
            "acctlog",
            OptionType.PATH,
            None,
            "authentications, and the commands that each user ran or was refused",
            locked=True,
        ),
        OptionSpec(
            "acctlog_sync",
            OptionType.SYNC,
            "second",
            "when the lines of acctlog are forced to the disk: after each write, once a second, or by the system",
            locked=True,
        ),
        OptionSpec("rejectlog", OptionType.PATH, None, "callers and requests that were refused", locked=True),
        OptionSpec(
            "Debug_Level",
            OptionType.LEVEL,
            None,
            "the lowest level of the lines in these files, or on standard error if there is no file; else INFO",
        ),
        OptionSpec(
            "heartbeat", OptionType.SECONDS, "0", "seconds between signs of life in the main log; 0: no signs", 0, 1e9
        ),
    ),
)

_LOG_FILES = (
    OptionSpec(
        "logfile",
        OptionType.PATH,
        None,
        "the path of a collected log; the times of strftime (%Y %m %d), %{l} (log), %{s} (subcluster) and %{n} (node) "
        "are filled in",
        locked=True,
    ),
    OptionSpec(
        "Subscriber",
        OptionType.LIST,
        None,
        "the subscribers for which this manager collects logs; () for none; else its own name, and master",
    ),
)
_LOG_MODES = (
    OptionSpec("file_mode", OptionType.MODE, "0640", "the mode of new log files", locked=True),
    OptionSpec("dir_mode", OptionType.MODE, "0755", "the mode of new log folders, less the umask", locked=True),
    OptionSpec("utc", OptionType.BOOLEAN, "true", "whether the times in the path are those of UTC, not of this host"),
)
_LOGS_OF_NODE = ScopeSpec("Node", "what differs for the logs of one node", Naming.ALWAYS, None, _LOG_FILES)

LOGS = ScopeSpec(
    "Logs",
    "where a manager collects the logs of nodes",
    options=(
        *_LOG_FILES,
        *_LOG_MODES,
        OptionSpec("max_idle", OptionType.SECONDS, "300", "seconds after which an unused log file is closed", 0, 1e9),
        OptionSpec("max_open", OptionType.INTEGER, "50", "log files open at once", 1, 100000),
        OptionSpec(
            "control_cache",
            OptionType.PATH,
            None,
            "the folder in which this manager notes how far each file is written; else .collected beside the logs",
            locked=True,
        ),
    ),
    scopes=(
        ScopeSpec(
            "Manager", "what differs on one manager", Naming.ALWAYS, None, (*_LOG_FILES, *_LOG_MODES), (_LOGS_OF_NODE,)
        ),
        _LOGS_OF_NODE,
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
    "a database and how to reach it",
    Naming.EITHER,
    options=(
        OptionSpec(
            "uri",
            OptionType.LIST,
            None,
            "its addresses; passwords are shown as ********",
            secret=True,
            without_effect=_OF_MAIL,
        ),
        OptionSpec(
            "cache_life",
            OptionType.SECONDS,
            None,
            "seconds for which an answer of it is kept",
            0,
            1e9,
            without_effect=_OF_MAIL,
        ),
    ),
)

AS_LOGGER = ScopeSpec(
    "as_logger",
    "writes the audit series of the cluster to files, a window each (a manager's only)",
    Naming.EITHER,
    options=(
        OptionSpec("base_dir", OptionType.PATH, None, "the folder of the files SERIES.TIMESTAMP", locked=True),
        OptionSpec("log_interval", OptionType.SECONDS, "60", "the length of a window", 1, 86400),
        OptionSpec(
            "series_include_default",
            OptionType.TEXT,
            "all",
            "the series that are written: all but those that series_exclude names, or none but those of series_include",
        ),
        OptionSpec(
            "series_include", OptionType.PATTERNS, None, "regular expressions; a series that one fits whole is written"
        ),
        OptionSpec(
            "series_exclude",
            OptionType.PATTERNS,
            None,
            "regular expressions; a series that one fits whole is not written, unless series_include names it",
        ),
    ),
)

SCHEMA = ScopeSpec(
    "",
    "options outside of every scope",
    options=(
        OptionSpec(
            "Blackhole", OptionType.BOOLEAN, "0", "whether mail is taken and thrown away", without_effect=_OF_MAIL
        ),
        OptionSpec(
            "Suspend_Delivery", OptionType.BOOLEAN, "false", "whether no mail is sent on", without_effect=_OF_MAIL
        ),
        OptionSpec(
            "Message_Expiration",
            OptionType.SECONDS,
            "86400",
            "seconds after which mail is given up",
            0,
            1e9,
            without_effect=_OF_MAIL,
        ),
        OptionSpec(
            "Local_Changes_File",
            OptionType.PATH,
            None,
            "the file for changes that belong to no other file; loaded last",
            locked=True,
        ),
        OptionSpec(
            "Local_Changes_Only",
            OptionType.BOOLEAN,
            "false",
            "whether every change is written to that file",
            locked=True,
        ),
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
        HTTP_LISTENER,
        LOGS,
        SECURITY,
    ),
)
"""The whole schema: the global scope."""
