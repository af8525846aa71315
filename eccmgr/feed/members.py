"""The nodes of the cluster, live and absent. After a first look, only what something happened to is read."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from eccmgr.cluster.journal import MembershipEvent
from eccmgr.cluster.members import Member
from eccmgr.cluster.names import public_name
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.roster import read_hash
from eccmgr.cluster.view import Seat
from eccmgr.commands.rendering import iso_time
from eccmgr.errors import Unreadable
from eccmgr.feed.picture import Item, Picture
from eccmgr.feed.session_leases import SessionLeases
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import Dropped, decoded
from eccmgr.redis.wire import Argument

_dropped = Dropped("member of the feed")
_event = msgspec.json.Decoder(MembershipEvent)
_TOUCHED_MAX = 2000
"""If more nodes have changed since the last look, everything is read anew."""
_AT_ONCE = 250
_TURN = 500


class Owners(Protocol):
    """Knows the floating addresses that each node holds, by the node's name in small letters."""

    @property
    def owned(self) -> Mapping[str, Sequence[str]]:
        """The addresses of each node that holds some."""


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node as it stands in Redis. An absent node has no record."""

    seat: Seat
    member: Member | None

    def is_in(self, sessions: Mapping[str, int]) -> bool:
        """Whether the node is live, and its session is one of these."""
        return not self.seat.absent and self.seat.private_name in sessions


class MembersWatcher:
    """Looks at the nodes. `owned` answers the floating addresses of each node, by its name in small letters."""

    def __init__(self, link: Link, keys: Keys, options: ClusterOptions, vips: Owners) -> None:
        self._link, self._keys, self._vips = link, keys, vips
        self._leases = SessionLeases(link, keys, options)
        self.forget()

    @property
    def lease_ms(self) -> int:
        """The length of a lease, as it was read last."""
        return self._leases.length_ms

    def forget(self) -> None:
        """Forget what was seen."""
        self._is_read = False
        self.seen: dict[str, NodeSeen] = {}
        """The nodes, by their names in small letters."""
        self._touched: set[str] = set()
        self.late: frozenset[str] = frozenset()
        """The nodes that have missed heartbeats, in small letters."""
        self._ages: dict[str, int] = {}
        self._owned: Mapping[str, Sequence[str]] = {}

    def heard(self, raw: bytes) -> None:
        """Something happened to members: the event as it was published. Raises ValueError if it is broken."""
        if self._is_read:
            event = decoded(_event, raw)
            self._touched.update(_node_of(member) for member in event.members)
            if len(self._touched) > _TOUCHED_MAX:
                self.missed()

    def missed(self) -> None:
        """Events may have been missed: read everything anew."""
        self._is_read = False
        self._touched.clear()

    async def look(self, picture: Picture, at_ms: int) -> None:
        """Bring `picture` up to date. Raises EccmgrError."""
        if not self._is_read:
            self._is_read = True
            try:
                changed, gone = await self._read_all()
            except BaseException:
                self.missed()
                raise
        else:
            touched, self._touched = self._touched, set()
            try:
                changed, gone = await self._read(touched)
            except BaseException:
                self._touched |= touched
                raise
        for name in gone:
            self.seen.pop(name, None)
            self._ages.pop(name, None)
        self.seen |= changed
        if len(changed) > _AT_ONCE:
            await self.read_ages()
        else:
            self._ages |= await self._ages_of(changed)
        late = await self._read_late()
        self._ages |= late
        owned = self._vips.owned
        others = {name for name in owned.keys() | self._owned.keys() if owned.get(name) != self._owned.get(name)}
        stirred = changed.keys() | late.keys() | self.late | others
        self.late, self._owned = frozenset(late), owned
        items = {name: self._item(self.seen[name]) for name in stirred if name in self.seen}
        picture.amend(items, gone, at_ms)

    async def read_ages(self) -> Mapping[str, int]:
        """How long ago each live node's lease was renewed, in ms. Raises EccmgrError."""
        ages = await self._leases.all_ages()
        self._ages = {name: ages[seen.seat.private_name] for name, seen in self.seen.items() if seen.is_in(ages)}
        return self._ages

    async def _read_all(self) -> tuple[dict[str, NodeSeen], set[str]]:
        roster = await read_hash(self._link, self._keys.roster)
        absent = await read_hash(self._link, self._keys.absent)
        records = await read_hash(self._link, self._keys.members)
        nodes: dict[str, NodeSeen] = {}
        for number, key in enumerate(roster.keys() | absent.keys()):
            if number % _TURN == 0:
                await asyncio.sleep(0)
            if (seen := _seen(key, roster.get(key), absent.get(key), records.get(key))) is not None:
                nodes[seen.seat.key] = seen
        return nodes, self.seen.keys() - nodes.keys()

    async def _read(self, names: Iterable[str]) -> tuple[dict[str, NodeSeen], set[str]]:
        """The nodes of these names that are there, and the names of those that are not."""
        asked = [name.encode() for name in names]
        nodes: dict[str, NodeSeen] = {}
        for at in range(0, len(asked), _AT_ONCE):
            page = asked[at : at + _AT_ONCE]
            keys = (self._keys.roster, self._keys.absent, self._keys.members)
            asking: list[tuple[Argument, ...]] = [("HMGET", key, *page) for key in keys]
            columns = await self._link.pipeline(*asking)
            rows = zip(page, *(replies.values(column, len(page)) for column in columns), strict=True)
            for key, live, absent, record in rows:
                if (seen := _seen(key, live, absent, record)) is not None:
                    nodes[seen.seat.key] = seen
        return nodes, {name.decode() for name in asked} - nodes.keys()

    async def _ages_of(self, nodes: Mapping[str, NodeSeen]) -> dict[str, int]:
        live = {seen.seat.private_name: name for name, seen in nodes.items() if not seen.seat.absent}
        return {live[private]: age for private, age in (await self._leases.ages_of(list(live))).items()}

    async def _read_late(self) -> dict[str, int]:
        """The nodes that have missed heartbeats, and the age of each one's lease in ms."""
        late = {}
        for private, age in (await self._leases.late_ages()).items():
            seen = self.seen.get(_node_of(private))
            if seen is not None and seen.seat.private_name == private:
                late[seen.seat.key] = age
        return late

    def _item(self, seen: NodeSeen) -> Item:
        seat, member = seen.seat, seen.member
        return {
            "name": seat.name,
            "subcluster": seat.subcluster,
            "state": "absent" if seat.absent else "late" if seat.key in self.late else "live",
            "since": None if seat.since_ms is None else iso_time(seat.since_ms),
            "version": member.version if member is not None else "",
            "address": member.address if member is not None else "",
            "lease_age_ms": None if seat.absent else self._ages.get(seat.key),
            "vips": list(self._owned.get(seat.key, ())),
            "tags": dict(seat.tags),
        }


def _node_of(member: str) -> str:
    """The node of a private name, or the node that is named itself, in small letters."""
    return (public_name(member) if member.startswith("#") else member).lower()


def _seen(key: bytes, live: bytes | None, absent: bytes | None, record: bytes | None) -> NodeSeen | None:
    line = live if live is not None else absent
    # The field '' of a kept roster is no node.
    if line is None or not key:
        return None
    try:
        seat = Seat.parse(line, absent=live is None)
        if seat.key.encode() != key:
            raise Unreadable("A line of the roster cannot be read: it is another node's")
    except Unreadable as error:
        _dropped.say(key, line, str(error))
        return None
    return NodeSeen(seat, _member(record) if live is not None and record is not None else None)


def _member(record: bytes) -> Member | None:
    try:
        return Member.parse(record)
    except Unreadable as error:
        _dropped.say(record, record, str(error))
        return None
