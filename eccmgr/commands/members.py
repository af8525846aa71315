"""`members`: the nodes of the cluster, and its managers, in a table."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from eccmgr.cluster.absence import absent_for
from eccmgr.cluster.leases import LeaseAge, read_lease_ages
from eccmgr.cluster.members import Member, MemberReader, Role
from eccmgr.cluster.names import natural, public_name
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.view import EVERYONE, Seat, View
from eccmgr.cluster.vouching import MemberVerifier
from eccmgr.commands.answer import Answer, Facts, Format
from eccmgr.commands.columns import columns
from eccmgr.commands.rendering import iso_time
from eccmgr.commands.table import Call, Command, Param
from eccmgr.commands.target import read_in, read_target
from eccmgr.duravip.picture import NO_VIPS, VipPicture, VipReader
from eccmgr.errors import Unreadable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

_HEADINGS = ("NODE", "SUBCLUSTER", "STATE", "VERSION", "ADDRESS", "LEASE AGE", "VIPS", "TAGS")
_WIDEST = 40
_NONE = "-"
_REASON_MAX = 80
_IN_A_COLUMN = "version"
"""The tag that has a column of its own."""
_ABOUT = (
    "TARGET as in preview; without it, the managers are listed too. A node is late once half of its\n"
    "lease is over. An absent node is expected, and has no session: the table says since when. VIPS\n"
    "says also why a node cannot carry some."
)


@dataclass(frozen=True)
class MemberRow:
    """A member as the table shows it. `since_ms` is the wall clock since which it is absent."""

    name: str
    kind: str
    subcluster: str
    state: str
    member: Member | None = None
    since_ms: int | None = None
    age: LeaseAge | None = None
    vips: tuple[str, ...] = ()
    tags: Mapping[str, str] | None = None
    unknown: str = ""
    unable: Mapping[str, str] = field(default_factory=dict)
    """The VIPs that it cannot carry now, each with the reason."""

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of its line."""
        state = absent_for(self.since_ms) if self.state == "absent" else self.state
        tags = " ".join(f"{name}={value}" for name, value in (self.tags or {}).items() if name != _IN_A_COLUMN)
        return (
            self.name,
            self.subcluster or f"({self.kind})",
            f"{state}, unknown" if self.unknown else state,
            self.version or _NONE,
            self.member.address if self.member is not None else _NONE,
            f"{self.age.age_ms / 1000:.1f} s" if self.age is not None else _NONE,
            self._carries if self.kind == "node" and self.state != "absent" else _NONE,
            tags or _NONE,
        )

    @property
    def _carries(self) -> str:
        """The number of its VIPs, and why it cannot carry some."""
        if not self.unable:
            return str(len(self.vips))
        reasons = "; ".join(sorted({reason or "it does not say why" for reason in self.unable.values()}))
        return f"{len(self.vips)} (cannot carry {len(self.unable)}: {reasons[:_REASON_MAX]})"

    @property
    def version(self) -> str:
        """Its version: of an absent node as its tags had it, "" if nobody knows."""
        return self.member.version if self.member is not None else (self.tags or {}).get("version", "")

    @property
    def facts(self) -> Facts:
        """The fields of the JSON form."""
        return {
            "name": self.name,
            "kind": self.kind,
            "private_name": self.member.private_name if self.member is not None else None,
            "subcluster": self.subcluster or None,
            "state": self.state,
            "since": None if self.since_ms is None else iso_time(self.since_ms),
            "version": self.version or None,
            "address": self.member.address if self.member is not None else None,
            "lease_age_ms": self.age.age_ms if self.age is not None else None,
            "vips": list(self.vips),
            "unable": dict(self.unable),
            "tags": dict(self.tags or {}),
            "unknown": self.unknown or None,
        }


class MembersCommand:
    """The handler of one manager. Everything is read from Redis in a few calls, page by page."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        options: ClusterOptions,
        view: Callable[[], Awaitable[View]],
        vips: VipReader,
        verifier: MemberVerifier,
        members: MemberReader,
    ) -> None:
        self._link, self._keys, self._options = link, keys, options
        self._view, self._vips, self._verifier, self._members = view, vips, verifier, members

    def command(self) -> Command:
        """The entry in the table of commands."""
        brief = "the nodes: state, version, address, age of the lease, VIPs, tags"
        target = Param("TARGET", kind="target", optional=True)
        return Command("members", brief, self._show, (target,), about=_ABOUT, heavy=True, reads=True)

    async def _show(self, call: Call) -> Answer:
        view = await self._view()
        target = await read_in(view, lambda word: read_target(word, view), call.args[0]) if call.args else EVERYONE
        seats = view.listed(target)
        members = (await self._members.read()).members
        picture = await self._picture(view)
        ages = await read_lease_ages(self._link, self._keys, self._options, picture.sessions)
        live = [seat for seat in seats if not seat.absent]
        unknown = await self._verifier.strangers(members, live)

        def table() -> Answer:
            rows = list(_nodes(seats, members, picture, ages, unknown))
            if not call.args:
                rows += _others(members, ages)
            # The facts of thousands of nodes are costly, and the text form drops them.
            listed = [] if call.caller.form is Format.TEXT else [row.facts for row in rows]
            facts = {"view": view.number, "target": str(target), "members": listed}
            return Answer(columns(_HEADINGS, [row.cells for row in rows], _WIDEST), facts=facts, structured=True)

        return await asyncio.to_thread(table)

    async def _picture(self, view: View) -> VipPicture:
        try:
            return await self._vips.read(view)
        except Unreadable:
            return NO_VIPS


def _nodes(
    seats: Sequence[Seat],
    members: Sequence[Member],
    picture: VipPicture,
    ages: Mapping[str, LeaseAge],
    unknown: Mapping[str, str],
) -> Iterator[MemberRow]:
    records = {member.private_name: member for member in members}
    owned = picture.owned
    for seat in seats:
        if seat.absent:
            yield MemberRow(seat.name, "node", seat.subcluster, "absent", since_ms=seat.since_ms, tags=seat.tags)
            continue
        age = ages.get(seat.private_name)
        yield MemberRow(
            seat.name,
            "node",
            seat.subcluster,
            _state(age),
            records.get(seat.private_name),
            age=age,
            vips=tuple(owned.get(seat.name, ())),
            tags=seat.tags,
            unknown=unknown.get(seat.private_name, ""),
            unable=picture.situation.unable.get(seat.name, {}),
        )


def _others(members: Sequence[Member], ages: Mapping[str, LeaseAge]) -> Iterator[MemberRow]:
    others = (member for member in members if member.role is not Role.NODE)
    for member in sorted(others, key=lambda other: (other.role, natural(public_name(other.private_name)))):
        age = ages.get(member.private_name)
        name = public_name(member.private_name)
        yield MemberRow(name, member.role.value.lower(), "", _state(age), member, age=age)


def _state(age: LeaseAge | None) -> str:
    return "late" if age is None or age.is_late else "live"
