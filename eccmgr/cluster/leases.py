"""How long ago each session was renewed."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.errors import Unreadable
from eccmgr.redis import reading, replies
from eccmgr.redis.bounds import MEMBERS_MAX
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

_PAGE = 1000
_OLDEST_MS = 10**12


class LeaseAge(NamedTuple):
    """The time since the last renewal of a session. It is late once half of its lease is over."""

    age_ms: int
    is_late: bool


async def read_lease_ages(
    link: Link, keys: Keys, options: ClusterOptions, steady: Collection[str] = ()
) -> Mapping[str, LeaseAge]:
    """The age of each session's lease by private name, read page by page. Raises RedisUnreachable and Unreadable.

    The leases of `steady` sessions, those that carry VIPs, are never stretched; nor are those of managers.
    """
    now, kept, number = await link.pipeline(("TIME",), ("HMGET", keys.state, "clock", "wall"), ("ZCARD", keys.sessions))
    clock, wall = (_whole(value) for value in replies.values(kept, 2))
    clock += max(0, min(replies.time_ms(now) - wall, to_ms(options.max_step_s)))
    sessions = min(replies.count(number), MEMBERS_MAX)
    stretch = max(1.0, sessions * options.heartbeats_per_sec / options.heartbeats_borne_per_sec)
    lease_ms, steady_ms = to_ms(options.session_lease_s * stretch), to_ms(options.session_lease_s)
    ages = {}
    for start in range(0, sessions, _PAGE):
        words = ("ZRANGE", keys.sessions, start, start + _PAGE - 1, "WITHSCORES")
        for raw, ends in replies.scores(await link.call(*words)):
            private = raw.decode(errors="replace")
            length = lease_ms if private.startswith("#ec0-") and private not in steady else steady_ms
            age_ms = max(0, round(min(length - (ends - clock), _OLDEST_MS)))
            ages[private] = LeaseAge(age_ms, 2 * age_ms > length)
    return ages


def _whole(value: bytes | None) -> int:
    try:
        return reading.whole(value or b"0")
    except ValueError:
        raise Unreadable("The lease clock in Redis cannot be read") from None
