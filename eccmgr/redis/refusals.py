"""Classifies the error replies of Redis: whether a refusal passes by itself, or what an operator must do.

A caller of Redis gets a refusal as `RedisRefuses`, made from these kinds. An error reply that is not listed is a fault
of ours, for example in a script.
"""

import re
import time
from dataclasses import dataclass, replace

import structlog
from redis.exceptions import AuthenticationError, RedisError, ResponseError

log = structlog.get_logger()

_DISPENSABLE = ("CONFIG", "INFO")
"""Commands that we can do without: a missing right to them is no fault."""
_SAY_AGAIN_S = 60.0
_FORGET_S = 15.0
"""A refusal is forgotten after this many seconds if nobody asks again: the call may pass by then."""


@dataclass(frozen=True)
class Refusal:
    """One kind of error reply."""

    code: str
    """The reply's first word, or a word of ours if the first word says nothing."""
    why: str
    """The fault in words for an operator; "" if the reply's own text says it best."""
    remedy: str
    soon: bool = True
    """Whether the refusal passes by itself. If not, an operator must act."""
    whole: bool = False
    """Whether the server refuses every call, not only this one."""
    partly: bool = False
    """Whether a script may have done a part of its work before the refusal."""

    def told(self, where: str) -> str:
        """The fault of the server at `where`, and its remedy."""
        return f"{self.why} ({where}); {self.remedy}"


_ACL = "grant it to our user in Redis (ACL SETUSER, or its ACL file)"
_LOGIN = "correct the user and password in our URL of Redis, or in Redis itself"
_CLUSTER = "the cluster is being changed, or is down"
_COMMANDS = "use Redis 7.0 or later, or Valkey, with all its commands"

_KINDS = {
    kind.code: kind
    for kind in (
        Refusal("LOADING", "it is loading its data", "wait until it has", whole=True),
        Refusal("BUSY", "a script keeps it busy", "SCRIPT KILL ends the script", whole=True),
        Refusal("MASTERDOWN", "it is a replica without its master", "bring its master back, or promote it", whole=True),
        Refusal("CLUSTERDOWN", _CLUSTER, "see CLUSTER INFO on its nodes", whole=True),
        Refusal("TRYAGAIN", _CLUSTER, "wait until our slot has moved", whole=True),
        Refusal("ASK", _CLUSTER, "wait until our slot has moved", whole=True),
        Refusal("MOVED", "another server serves our slot", "name a cluster as redis+cluster://HOST", whole=True),
        Refusal("CLIENTS", "it has too many clients", "raise its maxclients", whole=True),
        Refusal(
            "READONLY", "it is a replica and takes no writes", "promote it, or name its master in our URL of Redis"
        ),
        Refusal("NOREPLICAS", "too few of its replicas are in step", "bring them back, or lower min-replicas-to-write"),
        Refusal("OOM", "its memory is full", "raise maxmemory or free memory"),
        Refusal("MISCONF", "it cannot save its data", "see its log, or set stop-writes-on-bgsave-error no"),
        Refusal("KILLED", "our script was killed", "leave our scripts alone", partly=True),
        Refusal("NOPERM", "", _ACL, soon=False),
        Refusal("NOAUTH", "it refused our user or password", _LOGIN, soon=False, whole=True),
        Refusal("WRONGPASS", "it refused our user or password", _LOGIN, soon=False, whole=True),
        Refusal(
            "DENIED", "it is in protected mode", "give it a password, or protected-mode no", soon=False, whole=True
        ),
        Refusal("UNKNOWN", "", _COMMANDS, soon=False),
        Refusal("PROTOCOL", "", "see that nothing but Redis answers at our URL of Redis", soon=False),
        Refusal("MODE", "it is not a Redis Cluster", "name it as redis://HOST", soon=False, whole=True),
        Refusal("DB", "it has no such database", "name another in our URL of Redis", soon=False, whole=True),
    )
}
_WORDED = {
    "max number of clients": "CLIENTS",
    "a non local key": "ASK",
    "Script killed": "KILLED",
    "The user executing the script can't": "NOPERM",
    "ACL failure in script": "NOPERM",
    "nknown command": "UNKNOWN",
    "nknown subcommand": "UNKNOWN",
    "nknown Redis command": "UNKNOWN",
    "Protocol error": "PROTOCOL",
    "cluster support disabled": "MODE",
    "DB index is out of range": "DB",
}
"""The kinds of replies that begin with a bare ERR: a part of the text tells the kind."""
_IN_SCRIPT = re.compile(r" script: (?:[0-9a-f]+, )?on @user_script:\d+.*$", re.DOTALL)


def refusal_of(error: BaseException) -> Refusal | None:
    """The kind of refusal of `error`; None for a fault of ours, and for an error that is not a reply of Redis."""
    if not isinstance(error, RedisError):
        return None
    text = str(error)
    kind = _KINDS.get(error.status_code or text.partition(" ")[0])
    if kind is None:
        kind = next((_KINDS[code] for words, code in _WORDED.items() if words in text), None)
        # A script that fails at its first write has done nothing. This error may come at a later write.
        kind = kind and replace(kind, partly=kind.partly or _IN_SCRIPT.search(text) is not None)
    if kind is None and isinstance(error, AuthenticationError):
        kind = _KINDS["WRONGPASS"]
    return kind and replace(kind, why=kind.why or _IN_SCRIPT.sub("", text).rstrip(". "))


def refusal_at_connecting(error: BaseException) -> Refusal | None:
    """The kind of refusal of a server that does not let us in. Here an unknown error is never the fault of a script."""
    if (kind := refusal_of(error)) is not None or not isinstance(error, ResponseError):
        return kind and replace(kind, whole=True)
    return Refusal("ERR", str(error).rstrip(". "), "see our URL of Redis", soon=False, whole=True)


class RefusedCalls:
    """The calls that a server refuses now, with their reasons. Each reason is logged once, until it is over."""

    def __init__(self) -> None:
        self._refused: dict[str, tuple[str, float]] = {}
        self._said: dict[str, float] = {}

    @property
    def lately(self) -> tuple[str, ...]:
        """The reasons and remedies of recent refusals, if their calls have not passed since."""
        since = time.monotonic() - _FORGET_S
        return tuple(dict.fromkeys(reason for reason, refused_at in self._refused.values() if refused_at > since))

    def note(self, what: str, kind: Refusal, where: str) -> None:
        """Record that the server at `where` refused `what`."""
        if what in _DISPENSABLE and kind.code == "NOPERM":
            return
        reason, now = kind.told(where), time.monotonic()
        self._refused[what] = reason, now
        lately = self.lately
        self._said = {
            text: said_at for text, said_at in self._said.items() if now - said_at < _SAY_AGAIN_S or text in lately
        }
        if reason not in self._said:
            self._said[reason] = now
            say = log.warning if kind.soon else log.error
            say("redis refuses", code=kind.code, reason=f"{kind.why} ({where})", remedy=kind.remedy, what=what)

    def taken(self, what: str) -> None:
        """Record that `what` was not refused."""
        if self._refused and self._refused.pop(what, ("", 0.0))[0] and not self.lately:
            self._refused.clear()
            log.info("redis refuses nothing more")
