"""Repairs RQ's data in Redis. RQ checks nothing that it reads there, and would fail at the same entry again and again.

This drops keys of a kind that RQ does not write, and removes entries that cannot be jobs of ours from the lists and
sets of a queue.
"""

import re
import time
from collections.abc import Iterable
from typing import Any, TypeVar

import redis
import structlog
from rq.defaults import RQ_KEY_PREFIX

log = structlog.get_logger()

T = TypeVar("T")

_KINDS = (
    ("list", r"queue:[^:]+(:intermediate)?"),
    ("zset", r"(wip|finished|failed|canceled|executions):.+"),
    ("set", r"queues|workers(:[^:]+)?|worker:[^:]+:executions|:?job:[^:]+:(dependents|dependencies)"),
    ("hash", r"worker:[^:]+|job:[^:]+|execution:.+"),
    ("stream", r"results:.+"),
    ("string", r"clean_registries:.+|queue:[^:]+:intermediate:first_seen:.+"),
)
_PATTERNS = tuple((kind, re.compile(rf"{re.escape(RQ_KEY_PREFIX)}:(?:{names})\Z")) for kind, names in _KINDS)
_TYPES = ("string", "list", "set", "zset", "hash", "stream")
_NO_NUMBER = re.compile("not an integer|not a valid float|not a float|overflow|NaN or Infinity")
_JOB = re.compile(rb"[A-Za-z0-9-]{1,64}\Z")
_EXECUTION = re.compile(rb"[A-Za-z0-9-]{1,64}:[A-Za-z0-9-]{1,64}\Z")
_MOST = 10_000
_LOCK_S = 60


class Mended(redis.ConnectionError):
    """Raised for a call that failed at a wrong key, which was then dropped. Treat it like a missing answer, and ask
    again."""


class NotUnderstood(redis.ConnectionError):
    """Raised for an answer that no Redis gives. The server may be the wrong one; its data are not to blame."""

    def __init__(self) -> None:
        super().__init__("its answer is not understood")


def mend(client: Any, words: Iterable[object], error: redis.ResponseError) -> None:
    """Drop the wrong keys at which a call failed; `words` are the words of the call. Raises Mended if any key was
    dropped."""
    if _NO_NUMBER.search(str(error)):
        # RQ increments nothing but the counts of a worker.
        kinds = {key: "" for key in _keys(words) if key.startswith(f"{RQ_KEY_PREFIX}:worker:")}
    elif "WRONGTYPE" in str(error):
        kinds = _keys(words)
    else:
        return
    dropped = [key for key, kind in kinds.items() if drop_unless(client, key, kind)]
    if dropped:
        raise Mended("a key held a value that RQ does not write") from error


def drop_unless(client: Any, key: str, kind: str) -> bool:
    """Drop the key if it is not of this kind; answers whether it was dropped."""
    present = _understood(client.type(key), bytes).decode(errors="replace")
    if present == kind or present not in _TYPES:
        return False
    client.unlink(key)
    log.error("key dropped", key=key, reason=f"it was a {present} that RQ did not write")
    return True


def put_right(client: Any, queue: str) -> None:
    """Repair RQ's data of a queue: remove every entry that is not a job or worker of ours, and bound the rest."""
    prefix = f"{RQ_KEY_PREFIX}:"
    now, soon = time.time(), time.time() + _LOCK_S
    waiting = (f"{prefix}queue:{queue}", f"{prefix}queue:{queue}:intermediate")
    for key in waiting:
        drop_unless(client, key, "list")
        client.ltrim(key, 0, _MOST - 1)
        for name in {name for name in _texts(client.lrange(key, 0, -1)) if not _JOB.match(name)}:
            client.lrem(key, 0, name)
    for registry, pattern in (("wip", _EXECUTION), ("finished", _JOB), ("failed", _JOB), ("canceled", _JOB)):
        key = f"{prefix}{registry}:{queue}"
        drop_unless(client, key, "zset")
        client.zremrangebyrank(key, 0, -_MOST - 1)
        entries = _understood(client.zrange(key, 0, -1, withscores=True), list)
        _texts([name for name, _ in entries])
        if strange := [name for name, _ in entries if not pattern.match(name)]:
            client.zrem(key, *strange)
        # Each job of ours is kept for a time only, and RQ ignores times before 1970.
        latest = soon if registry == "wip" else now + 366 * 86400
        if early_or_late := {n: latest for n, s in entries if not 0 <= s <= latest and pattern.match(n)}:
            client.zadd(key, early_or_late)
    for key in (f"{prefix}workers", f"{prefix}workers:{queue}"):
        drop_unless(client, key, "set")
        known = f"{prefix}worker:".encode()
        strange = [name for name in _texts(client.smembers(key)) if not (name.startswith(known) and name.isascii())]
        if strange:
            client.srem(key, *strange)
    lock = f"{prefix}clean_registries:{queue}"
    ttl_s = _understood(client.ttl(lock), int)
    if drop_unless(client, lock, "string") or ttl_s > _LOCK_S or ttl_s == -1:
        client.expire(lock, _LOCK_S)
    for name in _texts(client.lrange(waiting[1], 0, -1)):
        _check_moment(client, f"{waiting[1]}:first_seen:{name.decode()}", now)


def _check_moment(client: Any, key: str, now: float) -> None:
    """Drop the time at which RQ first saw a job on its way, unless that time is in the past."""
    if drop_unless(client, key, "string") or (raw := client.get(key)) is None:
        return
    _understood(raw, bytes)
    try:
        is_past = 0 < float(raw) <= now
    except ValueError:
        is_past = False
    if not is_past:
        client.delete(key)


def _understood(answer: Any, kind: type[T]) -> T:
    if not isinstance(answer, kind):
        raise NotUnderstood
    return answer


def _texts(answer: Any) -> list[bytes]:
    return [_understood(text, bytes) for text in (answer if isinstance(answer, set) else _understood(answer, list))]


def _keys(words: Iterable[object]) -> dict[str, str]:
    kinds: dict[str, str] = {}
    for word in words:
        text = word.decode(errors="replace") if isinstance(word, bytes) else word
        if isinstance(text, str):
            kinds.update((text, kind) for kind, pattern in _PATTERNS if pattern.match(text))
    return kinds
