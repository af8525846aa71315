"""The members of the cluster: their records and their list."""

import asyncio
import enum
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import msgspec

from eccmgr.access.statements import UNSIGNED, Signed
from eccmgr.cluster.names import natural, public_name
from eccmgr.cluster.tagged import tags_in
from eccmgr.errors import Unreadable
from eccmgr.redis import reading, replies
from eccmgr.redis.address import RedisAddress
from eccmgr.redis.bounds import check_members
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import Count
from eccmgr.text.tags import Tags, line_of

_dropped = reading.Dropped("member")
_LATEST_START_S = 1e11

NULL = "(Null)"
SUBCLUSTER_GROUP = "ec_sc_"
"""This before a subcluster's name stands for the group of its nodes."""


class Role(enum.StrEnum):
    """The kind of a member."""

    NODE = "Node"
    MANAGER = "Manager"
    OTHER = "Other"

    @property
    def tag(self) -> str:
        """The beginning of the member's private name."""
        return {Role.NODE: "ec0", Role.MANAGER: "mgr", Role.OTHER: "oth"}[self]


_ROLES = list(Role)


@dataclass(frozen=True)
class Member:
    """A member's record.

    `started` is Unix time in seconds. `address` is HOST:PORT or [V6]:PORT; the port is 0 if the member has no TCP
    listener.
    """

    private_name: str
    role: Role
    node_name: str | None
    subcluster: str | None
    version: str
    address: str
    groups: tuple[str, ...]
    started: Annotated[float, msgspec.Meta(ge=0, le=_LATEST_START_S)]
    env: str = ""
    """A node's signed statement that the session is its own (`MemberStatement`); "" if the node has no key."""
    sig: str = ""
    tag_line: str = ""
    """A node's tags, with its facts, as `eccmgr.text.tags.line_of` writes them; "" for another member."""

    @classmethod
    def parse(cls, raw: bytes | str) -> "Member":
        """Read a record as `dump` writes it. Raises Unreadable."""
        with reading.parsing("A member's record"):
            member = reading.decoded(_member, raw)
            reading.check_lines(
                member.private_name, member.node_name, member.subcluster, member.version, member.address
            )
            reading.check_lines(*member.groups)
            tags_in(member.tag_line)
            return member

    def dump(self) -> str:
        """The record as Redis keeps it."""
        return msgspec.json.encode(self).decode()

    @property
    def tags(self) -> Tags:
        """The node's tags by their names, with its facts (`os`, `version`, `python`, `arch`)."""
        return tags_in(self.tag_line)

    def facts(self) -> dict[str, Any]:
        """The fields of the JSON form."""
        return {
            "private_name": self.private_name,
            "node_name": self.node_name,
            "subcluster": self.subcluster,
            "node_type": self.role.value,
            "version": self.version,
            "address": self.address,
            "groups": list(self.groups),
            "tags": dict(self.tags),
        }


_member = msgspec.json.Decoder(Member)


@dataclass(frozen=True)
class Identity:
    """A process that joins. `name` is the node's name, or for another role the name of the host; the rest is for its
    record."""

    role: Role
    name: str
    subcluster: str = ""
    version: str = ""
    address: str = ""
    groups: tuple[str, ...] = ()
    started: float = 0.0
    tags: Tags = field(default_factory=dict)
    """A node's tags, with its facts."""
    vouch: Callable[[str], Signed] = field(default=lambda _private: UNSIGNED, repr=False, compare=False)
    """Signs that the session with a private name is this process's own."""

    def member(self, private: str) -> Member:
        """The record for a session with this private name."""
        is_node = self.role is Role.NODE
        env, sig = self.vouch(private).kept
        return Member(
            private_name=private,
            role=self.role,
            node_name=self.name if is_node else None,
            subcluster=self.subcluster if is_node else None,
            version=self.version,
            address=self.address,
            groups=self.groups,
            started=self.started,
            env=env.decode(),
            sig=sig.decode(),
            tag_line=line_of(self.tags),
        )

    def of(self, subcluster: str) -> "Identity":
        """The same node in another subcluster."""
        earlier, later = f"{SUBCLUSTER_GROUP}{self.subcluster}", f"{SUBCLUSTER_GROUP}{subcluster}"
        groups = tuple(later if group == earlier else group for group in self.groups)
        return replace(self, subcluster=subcluster, groups=groups)


@dataclass(frozen=True)
class Life:
    """One session of a member, under which it runs commands: its private name, and the view in which it began."""

    private_name: str
    joined_view: Count


@dataclass(frozen=True)
class Membership:
    """The members in one view: the nodes first, each kind in order of name. `leader` is a private name, "" without a
    leader."""

    view: int
    leader: str
    members: tuple[Member, ...]

    def of(self, role: Role) -> list[Member]:
        """The members of one kind."""
        return [member for member in self.members if member.role is role]

    @property
    def leader_line(self) -> str:
        """`pono is leader`."""
        return line_of_leader(self.leader)


def line_of_leader(leader: str) -> str:
    """`pono is leader`; `leader` is a private name, "" without a leader."""
    return f"{public_name(leader)} is leader" if leader else "no leader"


class MemberReader:
    """Reads the members time and again. A record that has not changed is not parsed again."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link, self._keys = link, keys
        self._records: frozenset[bytes] = frozenset()
        self._parsed: dict[bytes, Member] = {}
        self._members: tuple[Member, ...] = ()

    async def read(self) -> Membership:
        """The present members. Raises RedisUnreachable, and Unreadable if they are more than a cluster has."""
        await check_members(self._link, self._keys.members)
        kept, number, oldest = await self._link.pipeline(
            ("HVALS", self._keys.members), ("HGET", self._keys.state, "view"), ("ZRANGE", self._keys.seniority, 0, 0)
        )
        # Redis answers them in another order after it has made room for more.
        records, view, first = frozenset(replies.texts(kept)), replies.value(number), replies.texts(oldest)
        if records != self._records:
            parsed, members = await asyncio.to_thread(_parsed, records, self._parsed)
            self._records, self._parsed, self._members = records, parsed, members
        else:
            members = self._members
        return Membership(_number(view), _leader(first), members)


async def read_membership(link: Link, keys: Keys) -> Membership:
    """The present members, for a process that reads them now and then. Raises the errors of `MemberReader.read`."""
    return await MemberReader(link, keys).read()


async def read_leader(link: Link, keys: Keys) -> str:
    """The private name of the leader, "" without a leader. Raises RedisUnreachable and Unreadable."""
    return _leader(replies.texts(await link.call("ZRANGE", keys.seniority, 0, 0)))


def _leader(first: Sequence[bytes]) -> str:
    leader = first[0].decode(errors="replace") if first else ""
    return leader if leader.isprintable() else ""


def _parsed(records: Iterable[bytes], before: Mapping[bytes, Member]) -> tuple[dict[bytes, Member], tuple[Member, ...]]:
    """The members by their records, and in order; `before` are those that are parsed already."""
    parsed = {record: member for record in records if (member := before.get(record) or _readable(record)) is not None}
    return parsed, tuple(sorted(parsed.values(), key=_order))


def _order(member: Member) -> tuple[object, ...]:
    return _ROLES.index(member.role), natural(public_name(member.private_name)), member.private_name


def _number(view: bytes | None) -> int:
    try:
        return reading.whole(view or b"")
    except ValueError:
        return 0


def _readable(record: bytes) -> Member | None:
    """The member of a record; None if it cannot be read, which the log says."""
    try:
        return Member.parse(record)
    except Unreadable as error:
        _dropped.say(record, record, str(error))
        return None


def host_address(redis: RedisAddress) -> str:
    """The address of this host on its way to Redis. No packet is sent. Over a Unix socket, or without a route, it is
    the loopback address."""
    if redis.path:
        return "127.0.0.1"
    try:
        family, kind, _, _, target = socket.getaddrinfo(redis.host, redis.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1"
