"""The cluster as a whole: its leader, its view, Redis, and its subclusters."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

from eccmgr.cluster.names import natural, public_name
from eccmgr.commands.rendering import iso_time
from eccmgr.feed.members import MembersWatcher, NodeSeen
from eccmgr.feed.picture import Item, Picture
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import whole

_LEADING = 64
_AGES_EACH_S = 2.0
_DESCRIBED_EACH_S = 30.0
_VERSIONS_MAX = 10
_SUBCLUSTERS_MAX = 1000
AGE_SHARES = 8
"""The ages of leases are counted in this many equal parts of a lease."""


class ClusterWatcher:
    """Looks at the cluster as a whole. `members` looks at the nodes, always before this."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        members: MembersWatcher,
        manager: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link, self._keys, self._members, self._manager, self._clock = link, keys, members, manager, clock
        self.forget()

    def forget(self) -> None:
        """Forget what was seen."""
        self._described, self._described_s = "", 0.0
        self._shares: Mapping[str, list[int]] = {}
        self._shares_s = 0.0
        self._oldest_ms = 0
        self._view: tuple[int, int | None] | None = None

    async def look(self, picture: Picture, at_ms: int) -> None:
        """Bring `picture` up to date. Raises EccmgrError."""
        asked_s = self._clock()
        kept, first = await self._link.pipeline(
            ("HMGET", self._keys.state, "view", "clock", "era"), ("ZRANGE", self._keys.seniority, 0, _LEADING - 1)
        )
        round_trip_s = self._clock() - asked_s
        view, clock_ms, era = (_whole(value) for value in replies.values(kept, 3))
        ranked = [name.decode(errors="replace") for name in replies.texts(first)]
        if self._view is None or self._view[0] != view:
            self._view = view, None if self._view is None else at_ms
        if self._shares_s + _AGES_EACH_S <= self._clock():
            self._shares, self._shares_s = await self._read_shares(), self._clock()
        if not self._described or self._described_s + _DESCRIBED_EACH_S <= self._clock():
            self._described, self._described_s = (await self._link.describe()).partition(", round")[0], self._clock()
        since = self._view[1]
        item: Item = {
            "cluster": self._keys.cluster,
            "manager": self._manager,
            "leader": public_name(ranked[0]) if ranked and ranked[0].isprintable() else None,
            "managers": [public_name(name) for name in ranked if name.startswith("#mgr-") and name.isprintable()],
            "era": era,
            "view": view,
            "view_since": None if since is None else iso_time(since),
            "lease_clock_ms": clock_ms,
            "oldest_lease_age_ms": self._oldest_ms,
            "redis": self._described,
            "round_trip_ms": round(round_trip_s * 1000, 3),
            "subclusters": _subclusters(self._members.seen, self._members.late, self._shares),
        }
        picture.show({self._keys.cluster: item}, at_ms)

    async def _read_shares(self) -> dict[str, list[int]]:
        """The number of live nodes of each subcluster, in small letters, by the age of their leases."""
        ages = await self._members.read_ages()
        self._oldest_ms = max(ages.values(), default=0)
        length_ms = max(1, self._members.lease_ms)
        shares: dict[str, list[int]] = defaultdict(lambda: [0] * AGE_SHARES)
        for name, age_ms in ages.items():
            seat = self._members.seen[name].seat
            shares[seat.subcluster.lower()][min(AGE_SHARES - 1, age_ms * AGE_SHARES // length_ms)] += 1
        return dict(shares)


def _subclusters(
    nodes: Mapping[str, NodeSeen], late: frozenset[str], shares: Mapping[str, list[int]]
) -> list[dict[str, object]]:
    spelt: dict[str, str] = {}
    states: dict[str, Counter[str]] = defaultdict(Counter)
    versions: dict[str, Counter[str]] = defaultdict(Counter)
    for name, seen in nodes.items():
        key = seen.seat.subcluster.lower()
        spelt.setdefault(key, seen.seat.subcluster)
        states[key]["absent" if seen.seat.absent else "late" if name in late else "live"] += 1
        if seen.member is not None:
            versions[key][seen.member.version] += 1
    return [
        {
            "name": spelt[key],
            "live": states[key]["live"],
            "late": states[key]["late"],
            "absent": states[key]["absent"],
            "versions": dict(versions[key].most_common(_VERSIONS_MAX)),
            "lease_ages": shares.get(key, [0] * AGE_SHARES),
        }
        for key in sorted(spelt, key=natural)[:_SUBCLUSTERS_MAX]
    ]


def _whole(value: bytes | None) -> int:
    try:
        return whole(value or b"")
    except ValueError:
        return 0
