"""A manager: wires its parts together and runs them. Nothing else knows all the parts."""

import asyncio
import os
import secrets

from eccmgr.cluster.delivery import Delivery
from eccmgr.cluster.members import Role
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.session import Identity, Session
from eccmgr.cluster.view import names_of
from eccmgr.commands.completion import Known
from eccmgr.commands.fleet import Fleet
from eccmgr.commands.manager import ManagerCommands
from eccmgr.commands.standing import Age, standing_commands
from eccmgr.commands.table import Table
from eccmgr.control.connection import Limits
from eccmgr.control.endpoint import DEFAULT_ENDPOINT, Endpoint
from eccmgr.control.server import ControlServer
from eccmgr.daemon import Daemon
from eccmgr.errors import EccmgrError
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.subscribe import Subscription
from eccmgr.settings import ManagerSettings
from eccmgr.version import full_version

PROGRAM = "eccmgr"
CONTROL_GROUP = "ec_console"


class Manager(Daemon):
    """One manager. It holds no state that matters: any number may run, and any may die."""

    def __init__(
        self,
        settings: ManagerSettings,
        options: ClusterOptions | None = None,
        limits: Limits | None = None,
        link: Link | None = None,
    ) -> None:
        super().__init__()
        self.options = options or ClusterOptions()
        self.keys = Keys(settings.cluster)
        self.link = link or Link(settings.redis)
        self.endpoints = [Endpoint.parse(text) for text in settings.listen or (DEFAULT_ENDPOINT,)]
        age = Age()
        self.table = Table()
        self.server = ControlServer(self.table, limits)
        identity = Identity(
            Role.MANAGER, settings.name, "", full_version(), groups=(settings.cluster,), started=age.started
        )
        self.session = Session(self.link, self.keys, self.options, identity)
        self._notices = self.keys.notices(f"{os.getpid()}-{secrets.token_hex(8)}")
        self.delivery = Delivery(self.link, self.keys, self.options, self._notices)
        self.table.add(
            *standing_commands(self.table, PROGRAM, self._known_names, self.stop),
            *ManagerCommands(self.link, self.keys, self.options, self.session, age, CONTROL_GROUP).commands(),
            *Fleet(self.delivery).commands(),
        )

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Follow what is told to this manager: changes of the membership, and notices for its gathers."""
        subscription = Subscription(self.link, (self.keys.events, self._notices), self._heard)
        self.spawn(tasks, subscription.run(), "subscription")

    async def finish(self) -> None:
        """A manager leaves nothing half done: what it sent is in Redis."""

    async def _heard(self, channel: str, data: bytes) -> None:
        if channel == self.keys.events:
            self.delivery.heard_event()
        else:
            self.delivery.heard_notice(data.decode())

    async def _known_names(self) -> Known:
        try:
            view = await self.delivery.view()
        except EccmgrError:
            return Known()
        return Known(tuple(names_of(view)), tuple(view.subclusters))
