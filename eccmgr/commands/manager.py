"""The manager's own commands: the members of the cluster, and the state of this manager."""

from collections.abc import Awaitable, Callable, Collection, Mapping

from eccmgr.cluster.absence import absent_nodes
from eccmgr.cluster.members import MemberReader, Membership
from eccmgr.cluster.session import Session
from eccmgr.cluster.view import EVERYONE, Seat, View
from eccmgr.cluster.vouching import MemberVerifier
from eccmgr.commands.answer import Answer
from eccmgr.commands.membership import as_xml, member_counts, member_facts, summary, unknown_nodes
from eccmgr.commands.process import process_commands
from eccmgr.commands.rendering import iso_time
from eccmgr.commands.standing import Age
from eccmgr.commands.table import Call, Command, refused
from eccmgr.errors import EccmgrError, Unreadable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.server_seen import ServerSeen
from eccmgr.version import full_version

CLUSTER_REFUSAL = "cluster commands run on a node, not on the cluster manager; use: broadcast cluster …"

RemarksOn = Callable[[Membership | None], Awaitable[list[str]]]
"""Gives further lines of `info`, from the members (None if they are unknown)."""


class ManagerCommands:
    """The handlers of one manager."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        session: Session,
        age: Age,
        control_group: str,
        remarks: RemarksOn,
        view: Callable[[], Awaitable[View]],
        verifier: MemberVerifier,
        members: MemberReader,
    ) -> None:
        self._link = link
        self._keys = keys
        self._remarks = remarks
        self._view = view
        self._verifier = verifier
        self._members = members
        self._session = session
        self._age = age
        self._control_group = control_group

    def commands(self) -> tuple[Command, ...]:
        """The manager's commands, for its table."""
        return (
            Command(
                "show cluster membership",
                "the members and their roles, in XML",
                self._membership,
                heavy=True,
                reads=True,
            ),
            Command("info", "the cluster and this manager", self._info, is_open=True, reads=True),
            *process_commands(self._age),
            refused("cluster", CLUSTER_REFUSAL),
        )

    async def _membership(self, _call: Call) -> Answer:
        membership = await self._members.read()
        unknown = await self._verifier.strangers(membership.members)
        facts = {
            "cluster": self._keys.cluster,
            "view": membership.view,
            "members": [member_facts(member, unknown) for member in membership.members],
        }
        return Answer(as_xml(self._keys.cluster, membership, unknown), is_xml=True, facts=facts)

    async def strangers(self, seats: Collection[Seat]) -> Mapping[str, str]:
        """The nodes at `seats` that nobody has certified, by their names, each with the reason.

        Raises RedisUnreachable.
        """
        if not self._verifier.is_asked:
            return {}
        members = (await self._members.read()).members
        unknown = await self._verifier.strangers(members, seats)
        return {seat.name: unknown[seat.private_name] for seat in seats if seat.private_name in unknown}

    async def _info(self, _call: Call) -> Answer:
        leader, membership, counts = "leader unknown", None, None
        absent: list[Seat] = []
        unknown: Mapping[str, str] = {}
        server: ServerSeen | None = None
        try:
            server = await self._link.look()
            redis = str(server)
        except EccmgrError as error:
            redis = str(error).removeprefix("Redis is ").removeprefix("Redis ")
        try:
            membership = await self._members.read()
            counts = member_counts(membership.members)
            leader, members = membership.leader_line, summary(counts)
            live, absent = (await self._view()).expected(EVERYONE)
            unknown = await self.strangers(live)
        except EccmgrError as error:
            members = f"unknown: {error}" if isinstance(error, Unreadable) else "unknown"
        private, remarks = self._session.private_name or "not joined yet", await self._remarks(membership)
        lines = "\n".join(
            (
                f"Cluster Group: {self._keys.cluster} ({leader})",
                f"Control Group: {self._control_group}",
                "Logger Group: none",
                f"Members: {members}",
                *([f"Absent: {absent_nodes(absent)}"] if absent else ()),
                *([f"Unknown: {unknown_nodes(unknown)}"] if unknown else ()),
                f"Redis: {redis}",
                *(f"Redis refuses: {refusal}" for refusal in self._link.refusals),
                f"Manager: {private}, version {full_version()}, up {self._age}",
                *remarks,
            )
        )
        known = [{"node": seat.name, "since": seat.since_ms and iso_time(seat.since_ms)} for seat in absent]
        facts = {
            "cluster": self._keys.cluster,
            "leader": membership.leader or None if membership is not None else None,
            "view": membership.view if membership is not None else None,
            "control_group": self._control_group,
            "members": counts,
            "absent": known,
            "unknown": dict(unknown),
            "redis": None if server is None else server._asdict(),
            "redis_refuses": list(self._link.refusals),
            "manager": {
                "private_name": self._session.private_name or None,
                "version": full_version(),
                "up_s": round(self._age.seconds, 3),
            },
            "remarks": remarks,
        }
        return Answer(lines, facts=facts)
