"""The commands that every node has, for its own console and for broadcasts."""

import asyncio
from collections.abc import Callable, Sequence

from eccmgr.cluster.members import line_of_leader, read_leader, read_membership
from eccmgr.cluster.named import NamedNode, named_node
from eccmgr.cluster.session import Session
from eccmgr.commands.answer import Answer
from eccmgr.commands.danger import Danger
from eccmgr.commands.membership import as_text
from eccmgr.commands.process import process_commands
from eccmgr.commands.standing import Age
from eccmgr.commands.table import Call, Command, Param, Table, describe, prompt
from eccmgr.errors import CommandError, EccmgrError
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.text.hostport import read_host_port


class NodeCommands:
    """The handlers of one node."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        session: Session,
        age: Age,
        control_group: str,
        table: Table,
        abort: Callable[[str, str], bool],
        duravip: Callable[[], str] = lambda: "",
        place: Callable[[NamedNode | None], Sequence[str]] = lambda _given: (),
    ) -> None:
        """`place` gives the lines about the node's subcluster and tags, from what bus files say of the node."""
        self._link = link
        self._keys = keys
        self._session = session
        self._age = age
        self._control_group = control_group
        self._table = table
        self._abort_here = abort
        self._duravip = duravip
        self._place = place

    def commands(self) -> tuple[Command, ...]:
        """The entries in the table of commands."""
        return (
            *process_commands(self._age),
            Command("cluster membership", "the members and their roles", self._membership, idempotent=True, heavy=True),
            Command("cluster info", "the cluster as this node sees it", self._info, idempotent=True),
            prompt(
                "cluster nodename",
                "this node's name",
                lambda: self._session.identity.name,
                facts=lambda: {"node": self._session.identity.name},
            ),
            prompt(
                "cluster nodeaddr",
                "this node's address",
                self._nodeaddr,
                facts=lambda: {"address": self._nodeaddr() or None},
            ),
            Command("cluster help", "the cluster commands", self._help, idempotent=True),
            Command(
                "cluster abort",
                "end a command or job on this node, also before it begins",
                self._abort,
                (Param("ID"),),
                danger=Danger.ASKS,
            ),
            Command("cluster reset", "leave the cluster and join again", self._reset, danger=Danger.ASKS_NUMBER),
        )

    async def _membership(self, _call: Call) -> Answer:
        membership = await read_membership(self._link, self._keys)
        facts = {"view": membership.view, "members": [member.facts() for member in membership.members]}
        return Answer(as_text(membership), facts=facts)

    async def _info(self, _call: Call) -> Answer:
        leader, remarks = "leader unknown", [f"Redis refuses: {refusal}" for refusal in self._link.refusals]
        given: NamedNode | None = None
        leading: str | None = None
        try:
            first = await read_leader(self._link, self._keys)
            leader, leading = line_of_leader(first), first or None
            given = await named_node(self._link, self._keys, self._session.identity.name)
        except EccmgrError as error:
            remarks = remarks or [f"Redis: {str(error).removeprefix('Redis is ').removeprefix('Redis ')}"]
        text = "\n".join(
            (
                f"Daemon: {self._link.address} [m:{self._session.private_name}]",
                f"Control Group: {self._control_group}",
                f"Cluster Group: {self._keys.cluster} ({leader})",
                "Logger Group: none",
                *self._place(given),
                *remarks,
                *filter(None, (self._duravip(),)),
            )
        )
        identity = self._session.identity
        facts = {
            "redis": str(self._link.address),
            "private_name": self._session.private_name or None,
            "control_group": self._control_group,
            "cluster": self._keys.cluster,
            "leader": leading,
            "node": identity.name,
            "subcluster": identity.subcluster,
            "remarks": [*remarks, *self._duravip().splitlines()],
        }
        return Answer(text, facts=facts)

    def _nodeaddr(self) -> str:
        # The address is known only once the start is over.
        address = self._session.identity.address
        return read_host_port(address, lowest=0)[0] if address else ""

    async def _help(self, _call: Call) -> str:
        return describe(self._table, "cluster")

    async def _abort(self, call: Call) -> Answer:
        command_id = call.args[0].removeprefix("#")
        if not self._abort_here(command_id.upper(), call.caller.user):
            raise CommandError(f"Command '{call.args[0][:80]}' neither waits nor runs on this node")
        return Answer(f"Aborted {command_id}", facts={"id": command_id})

    async def _reset(self, _call: Call) -> Answer:
        # The answer to this command still goes out under the old private name, under which the node claimed it.
        await asyncio.shield(self._session.reset())
        private = self._session.private_name
        return Answer(f"Cluster connection reset: {private}", facts={"private_name": private})
