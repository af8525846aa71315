"""The scope `cluster` of the table of known scopes and options."""

import ipaddress

from eccmgr.cluster.options import RESPONSE_BYTES_MAX
from eccmgr.config.schema.spec import Naming, OptionSpec, ScopeSpec
from eccmgr.config.schema.types import OptionType


def _cidrmask(network: str | None) -> str:
    try:
        return str(ipaddress.ip_network(network or "", strict=False).max_prefixlen)
    except ValueError:
        return "32"


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
        OptionSpec(
            "tags",
            OptionType.TAGS,
            None,
            "the tags of this node, by which a target finds it (@role:mta); each has a name and a value",
        ),
        OptionSpec("heartbeats_per_sec", OptionType.NUMBER, "2", "heartbeats a second", 0.1, 100),
        OptionSpec(
            "heartbeat_start_delay",
            OptionType.SECONDS,
            "0",
            "seconds before the first heartbeat",
            0,
            3600,
            without_effect="a member joins, which is its first heartbeat, as soon as it is ready",
        ),
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
            "seconds for which a lost node is still expected (default 30 days); 0: until it is forgotten",
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
            "seconds after which a job (a long command) is ended",
            0.1,
            1e9,
        ),
        OptionSpec(
            "max_jobs",
            OptionType.INTEGER,
            "100",
            "the most unfinished jobs of a node; further long commands are refused",
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
            RESPONSE_BYTES_MAX,
        ),
        OptionSpec(
            "trusted_managers",
            OptionType.LIST,
            None,
            "the public keys of managers; with any, a node runs only the commands that one of them signed",
            locked=True,
        ),
        OptionSpec(
            "signing_key",
            OptionType.PATH,
            None,
            "the file of the key that signs a manager's commands, or a node's schedules",
            dynamic=False,
            locked=True,
        ),
        OptionSpec(
            "certificate",
            OptionType.PATH,
            None,
            "the file of a node's certificate, with which managers know its answers",
            dynamic=False,
            locked=True,
        ),
        OptionSpec(
            "node_authorities",
            OptionType.LIST,
            None,
            "the public keys that certify nodes; with any, a manager believes only the answers of certified nodes",
            locked=True,
        ),
        OptionSpec(
            "node_certificates",
            OptionType.PATH,
            None,
            "the folder of the certificates of all nodes (*.crt): a manager expects these nodes, and with "
            "node_authorities believes only them",
            locked=True,
        ),
        OptionSpec(
            "logs",
            OptionType.DICTIONARY,
            None,
            "the logs of this node that managers collect: the name of each, and its file",
            locked=True,
        ),
        OptionSpec(
            "logs_pipe",
            OptionType.BYTES,
            "1048576",
            "the most bytes of each log of this node that wait in Redis",
            131072,
            1 << 30,
        ),
        OptionSpec("if_check_interval", OptionType.SECONDS, "1", "seconds between checks of the interfaces", 0.1, 3600),
        OptionSpec(
            "if_down_limit",
            OptionType.INTEGER,
            "3",
            "looks at an interface that is down before its addresses are given up",
            1,
            1000,
            without_effect="the addresses of a down interface are given up at once",
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
            "the way to change addresses: netlink, exec (plumber_program), memory (none: for a demonstration); "
            "auto is netlink, and a node that may not use it carries nothing",
            dynamic=False,
            locked=True,
        ),
        OptionSpec(
            "plumber_program",
            OptionType.PATH,
            None,
            "the program of plumber exec, run as PROGRAM plumb (or unplumb, check) ADDRESS INTERFACE EPOCH",
            dynamic=False,
            locked=True,
        ),
        OptionSpec(
            "fence",
            OptionType.NAME,
            "auto",
            "the fence that silences the addresses of a host whose processes are stopped: nftables, valid_lft or none; "
            "auto takes the first of these that works",
            dynamic=False,
            locked=True,
        ),
    ),
    scopes=(
        ScopeSpec(
            "Replicate",
            "how this node sends what it counts for the whole cluster",
            Naming.ALWAYS,
            None,
            (
                OptionSpec("parameters", OptionType.TEXT, "audit_series", "what is sent: audit_series"),
                OptionSpec("max_delay", OptionType.SECONDS, "1", "the longest time that a count waits", 0.01, 3600),
                OptionSpec("max_pending", OptionType.INTEGER, "100", "the keys that may wait", 1, 100000),
                OptionSpec(
                    "max_size",
                    OptionType.INTEGER,
                    "100000",
                    "the most keys of a series in a window, counted for each node; the smallest become `other`",
                    1,
                    1000000,
                ),
            ),
        ),
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
            locked=True,
        ),
    ),
)
