"""The ages of the leases of sessions, and which of them are late. Reads no more of them than it must."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.errors import Unreadable
from eccmgr.redis import reading, replies
from eccmgr.redis.bounds import MEMBERS_MAX
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

SESSIONS_AT_ONCE = 1000
LATE_MAX = 1000
"""The most sessions of one look of which it is asked whether they are late."""
_OLDEST_MS = 1e12

Scored = Sequence[tuple[bytes, float]]


@dataclass(frozen=True, slots=True)
class LeaseNow:
    """The lease clock, and the length of a lease with its present stretch, and of one that is never stretched."""

    clock_ms: int
    length_ms: int
    steady_ms: int

    @property
    def is_stretched(self) -> bool:
        """Whether the leases differ."""
        return self.length_ms > self.steady_ms

    def age_ms(self, end_ms: float, *, steady: bool) -> int:
        """The time since the renewal of a lease that ends then."""
        length = self.steady_ms if steady else self.length_ms
        return max(0, round(min(length - (end_ms - self.clock_ms), _OLDEST_MS)))


class SessionLeases:
    """Reads the leases of one cluster. All methods raise EccmgrError."""

    def __init__(self, link: Link, keys: Keys, options: ClusterOptions) -> None:
        self._link, self._keys, self._options = link, keys, options
        self.length_ms = 0
        """The length of a lease, as it was read last."""

    async def all_ages(self) -> Mapping[str, int]:
        """The age of the lease of each session, by its private name."""
        lease = await self._now()
        ages: dict[str, int] = {}
        start = 0
        while start <= MEMBERS_MAX:
            words = ("ZRANGE", self._keys.sessions, start, start + SESSIONS_AT_ONCE - 1, "WITHSCORES")
            page = replies.scores(await self._link.call(*words))
            ages |= await self._ages(lease, page)
            if len(page) < SESSIONS_AT_ONCE:
                break
            start += SESSIONS_AT_ONCE
        return ages

    async def ages_of(self, privates: Sequence[str]) -> Mapping[str, int]:
        """The age of the leases of these sessions, as far as they have one."""
        if not privates:
            return {}
        lease = await self._now()
        ends = replies.scores_of(await self._link.call("ZMSCORE", self._keys.sessions, *privates), len(privates))
        scored = [(name.encode(), end) for name, end in zip(privates, ends, strict=True) if end is not None]
        return await self._ages(lease, scored)

    async def late_ages(self) -> Mapping[str, int]:
        """The age of the lease of each session that is late: half of its lease is over."""
        lease = await self._now()
        soon, half = lease.steady_ms // 2, lease.length_ms // 2
        late = dict(await self._ages(lease, await self._ending("-inf", lease.clock_ms + soon)))
        if lease.is_stretched:
            # A session that is never stretched has no more time than this, and is late with less than half of it only.
            unsure = await self._ending(f"({lease.clock_ms + soon}", lease.clock_ms + min(lease.steady_ms, half))
            steady = await self._steady(unsure)
            late |= {name: age for name, age in (await self._ages(lease, unsure)).items() if name not in steady}
            sure = await self._ending(f"({lease.clock_ms + lease.steady_ms}", lease.clock_ms + half)
            late |= await self._ages(lease, sure)
        return late

    async def _ending(self, after: str, until_ms: int) -> Scored:
        words = ("ZRANGEBYSCORE", self._keys.sessions, after, until_ms, "WITHSCORES", "LIMIT", 0, LATE_MAX)
        return replies.scores(await self._link.call(*words))

    async def _ages(self, lease: LeaseNow, scored: Scored) -> Mapping[str, int]:
        steady: frozenset[str] = frozenset()
        if lease.is_stretched:
            steady = await self._steady(one for one in scored if one[1] <= lease.clock_ms + lease.steady_ms)
        names = ((private.decode(errors="replace"), end) for private, end in scored)
        return {name: lease.age_ms(end, steady=name in steady) for name, end in names}

    async def _steady(self, scored: Iterable[tuple[bytes, float]]) -> frozenset[str]:
        """Those sessions that carry floating addresses: their leases are never stretched."""
        privates = [private for private, _ in scored]
        carriers: set[str] = set()
        for at in range(0, len(privates), SESSIONS_AT_ONCE):
            page = privates[at : at + SESSIONS_AT_ONCE]
            counters = replies.values(await self._link.call("HMGET", self._keys.vips, *page), len(page))
            carriers |= {name.decode(errors="replace") for name, kept in zip(page, counters, strict=True) if kept}
        return frozenset(carriers)

    async def _now(self) -> LeaseNow:
        now, kept, sessions = await self._link.pipeline(
            ("TIME",), ("HMGET", self._keys.state, "clock", "wall"), ("ZCARD", self._keys.sessions)
        )
        clock, last = (_number(value) for value in replies.values(kept, 2))
        options = self._options
        step = max(0, min(replies.time_ms(now) - last, to_ms(options.max_step_s)))
        stretch = max(1.0, replies.count(sessions) * options.heartbeats_per_sec / options.heartbeats_borne_per_sec)
        self.length_ms = to_ms(options.session_lease_s * stretch)
        return LeaseNow(clock + step, self.length_ms, to_ms(options.session_lease_s))


def _number(value: bytes | None) -> int:
    try:
        return reading.whole(value or b"0")
    except ValueError:
        raise Unreadable("The lease clock in Redis cannot be read") from None
