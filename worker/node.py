"""A node: wires its parts together and runs them. Nothing else knows all the parts."""

import asyncio
import contextlib

from eccmgr.cluster.members import Role, read_membership
from eccmgr.cluster.names import check_name
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.session import Identity, Session
from eccmgr.commands.completion import Known
from eccmgr.commands.standing import Age, standing_commands
from eccmgr.commands.table import Table
from eccmgr.control.connection import Limits
from eccmgr.control.endpoint import Endpoint
from eccmgr.control.server import ControlServer
from eccmgr.daemon import Daemon
from eccmgr.errors import EccmgrError
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.subscribe import Subscription
from eccmgr.settings import NodeSettings
from eccmgr.version import full_version
from worker.commands import NodeCommands
from worker.executor import Executor

PROGRAM = "ecnode"
CONTROL_GROUP = "ec_console"
_LISTEN_WAIT_S = 2.0
_DRAIN_S = 10.0


class Node(Daemon):
    """One node: it runs what the cluster asks of it, and answers on its own control listener."""

    def __init__(
        self,
        settings: NodeSettings,
        options: ClusterOptions | None = None,
        limits: Limits | None = None,
        link: Link | None = None,
    ) -> None:
        super().__init__()
        name, subcluster = check_name(settings.name), check_name(settings.subcluster, "Subcluster")
        self.options = options or ClusterOptions()
        self.keys = Keys(settings.cluster)
        self.link = link or Link(settings.redis)
        self.endpoints = [Endpoint.parse(text) for text in settings.listen or (f"/tmp/ecnode-{name}",)]  # noqa: S108
        age = Age()
        groups = (CONTROL_GROUP, f"ec_sc_{subcluster}", settings.cluster)
        identity = Identity(Role.NODE, name, subcluster, full_version(), groups=groups, started=age.started)
        self.session = Session(self.link, self.keys, self.options, identity)
        self.table = Table()
        self.server = ControlServer(self.table, limits)
        self.executor = Executor(self.link, self.keys, self.options, self.session, self.table)
        self.table.add(
            *standing_commands(self.table, PROGRAM, self._known_names, self.stop),
            *NodeCommands(self.link, self.keys, self.session, age, CONTROL_GROUP, self.table).commands(),
        )
        self._channels = (self.keys.everyone, self.keys.subcluster(subcluster), self.keys.node(name))

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Listen for commands before joining: what is sent to a member must find it listening."""
        subscription = Subscription(self.link, self._channels, self.executor.heard)
        self.session.listening = subscription.listening
        self.spawn(tasks, subscription.run(), "subscription")
        self.spawn(tasks, self.executor.run(), "executor")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LISTEN_WAIT_S):
                await subscription.listening.wait()

    async def finish(self) -> None:
        """Let running commands end, and their answers reach Redis."""
        await self.executor.drain(_DRAIN_S)

    async def _known_names(self) -> Known:
        try:
            membership = await read_membership(self.link, self.keys)
        except EccmgrError:
            return Known()
        nodes = membership.of(Role.NODE)
        subclusters = {member.subcluster: None for member in nodes if member.subcluster}
        return Known(tuple(member.node_name for member in nodes if member.node_name), tuple(subclusters))
