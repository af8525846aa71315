"""The rights of managers and nodes in Redis, as rules for its access lists (ACL). Needs Redis 7 or Valkey.

Redis lets a call through if the user's own rules, or the rules of one selector `( … )`, allow the whole of it: command,
keys and channels. A script runs with the rights of its caller, so each call in it must be allowed too.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from eccmgr.redis.keys import Keys

_CONNECTING = (
    *("auth", "hello", "ping", "client|setname", "client|info", "role", "cluster|nodes"),
    *("info", "time", "wait", "multi", "exec", "discard", "unwatch", "unsubscribe", "sunsubscribe"),
)
"""Commands that name no key and no channel."""
_SCRIPTS = ("eval", "evalsha")
"""We call scripts by their sha or else by their text, and never load one by SCRIPT."""
_DATA = (
    *("@hash", "@list", "@set", "@sortedset", "@stream", "@string"),
    *("del", "unlink", "exists", "type", "copy", "rename", "watch", "persist", "ttl", "pttl", "expire", "pexpire"),
)
"""Commands on keys."""
_LOG = (
    *("xrange", "xrevrange", "xlen", "hget", "hmget", "hexists", "hlen"),
    *("xdel", "hdel", "del", "unlink", "type", "pttl", "pexpire"),
)
"""Commands on the log, which read it and forget old entries, and add nothing."""
_AUDIT = ("xadd", "xlen", "pexpire", "pttl", "unlink", "type")
"""Commands on the audit, which read none of its entries."""
_INDEX = ("zadd", "zrem", "pexpire", "type")
"""Commands on the list of the nodes with logs: a node names itself there, and reads nobody."""
_MADE = "?" * 12
"""In a pattern: the end of a job worker's name."""


def user_of_managers(keys: Keys) -> str:
    """The user of all managers of the cluster. No name of ours has a `+`, so these names are never the same."""
    return f"eccmgr+{keys.cluster}"


def user_of_node(keys: Keys, node: str) -> str:
    """The user of one node."""
    return f"ecnode+{keys.cluster}+{node.lower()}"


def line(user: str, rights: Sequence[str], password: str = "") -> str:
    """The line of an ACL file, or the words of ACL SETUSER. It holds only a hash of the password; without one, nobody
    can be this user."""
    login = (f"#{sha256(password.encode()).hexdigest()}",) if password else ()
    return " ".join(("user", user, "reset", "on", *login, *rights))


def rights_of_managers(keys: Keys) -> tuple[str, ...]:
    """The rules for a manager: all data and channels of its cluster, and no command for the server itself."""
    messages = ("publish", "spublish", "subscribe", "ssubscribe")
    allowed = _allowed(*_CONNECTING, *_SCRIPTS, *_DATA, *messages)
    # `@list` and others hold SORT, which reads keys that it does not name.
    return (f"~{keys.tag}:*", f"&{keys.tag}:*", *allowed, "-@dangerous", *_allowed("info", "role"))


def rights_of_node(keys: Keys, node: str, subclusters: Iterable[str]) -> tuple[str, ...]:
    """The rules for a node, which hears commands for itself and for these subclusters, and sends none."""
    hears = (keys.everyone, keys.node(node), *map(keys.subcluster, subclusters), keys.vip_events)
    tells = (keys.events, keys.vip_events, keys.notices("*"), keys.tailed("*"))
    log = (keys.log, keys.heads, keys.latest, keys.latest_of("*"))
    return (
        *_allowed(*_CONNECTING),
        # The keys that a call of a script names are checked here, and what the script does with them below.
        _selector(_allowed(*_SCRIPTS), f"~{keys.tag}:*"),
        _selector((*_allowed(*_DATA), "-@dangerous"), *(f"~{key}" for key in _keys_of_node(keys, node))),
        _selector(_allowed(*_LOG), *(f"~{key}" for key in log)),
        _selector(_allowed(*_AUDIT), f"~{keys.audit}"),
        _selector(_allowed(*_INDEX), f"~{keys.logs}"),
        _selector(_allowed("subscribe", "ssubscribe"), *(f"&{channel}" for channel in hears)),
        _selector(_allowed("publish", "spublish"), *(f"&{channel}" for channel in tells)),
        _selector(_allowed("publish", "subscribe"), f"&{keys.rq_prefix}:pubsub:{node.lower()}-{_MADE}"),
    )


def _keys_of_node(keys: Keys, node: str) -> tuple[str, ...]:
    """What a node reads and writes."""
    name, rq = node.lower(), keys.rq_prefix
    queue = ("queue", "workers", "wip", "finished", "failed", "canceled", "clean_registries")
    each_job = ("job", ":job", "results", "execution", "executions")
    worker = f"{rq}:worker:{name}-{_MADE}"
    return (
        *(keys.state, keys.members, keys.sessions, keys.seniority, keys.roster, keys.subclusters),
        *(keys.absent, keys.absent_since, keys.vocabulary, f"{keys.view_prefix}*", f"{keys.command_prefix}*"),
        *(keys.vips, keys.vip_changes, keys.vip_beliefs, keys.vip_holds, keys.late, f"{keys.ended_prefix}*"),
        *(keys.jobs, keys.certificate(node), keys.schedules(node), f"{keys.schedules(node)}:*"),
        *(keys.logs_of(node), f"{keys.logs_of(node)}:*"),
        *(keys.series, keys.series_counts("*"), keys.series_batch("*")),
        *(f"{rq}:queues", f"{rq}:workers", f"{rq}:suspended", worker, f"{worker}:executions"),
        *(f"{rq}:{kind}:{name}" for kind in queue),
        *(f"{rq}:queue:{name}:intermediate", f"{rq}:queue:{name}:intermediate:first_seen:*"),
        *(f"{rq}:{kind}:*" for kind in each_job),
    )


def _allowed(*names: str) -> tuple[str, ...]:
    return tuple(f"+{name}" for name in names)


def _selector(*rules: Sequence[str] | str) -> str:
    words = [word for rule in rules for word in ((rule,) if isinstance(rule, str) else rule)]
    return f"({' '.join(words)})"
