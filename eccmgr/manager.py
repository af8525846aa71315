"""A manager: wires its parts together and runs them. Nothing else knows all the parts."""

import asyncio
import functools
import os
import secrets

from eccmgr.cluster.delivery import Delivery
from eccmgr.cluster.members import Membership, Role
from eccmgr.cluster.names import fold
from eccmgr.cluster.session import Identity, Session
from eccmgr.cluster.view import names_of
from eccmgr.commands.carried import same_command
from eccmgr.commands.completion import Known
from eccmgr.commands.elsewhere import ASKED_OF_A_MANAGER
from eccmgr.commands.fleet import Fleet
from eccmgr.commands.manager import ManagerCommands
from eccmgr.commands.standing import Age
from eccmgr.commands.table import Caller
from eccmgr.config.busfile import expected_nodes
from eccmgr.config.store import Store
from eccmgr.control.endpoint import DEFAULT_ENDPOINT
from eccmgr.daemon import Daemon
from eccmgr.errors import EccmgrError
from eccmgr.logs import LogFiles
from eccmgr.redis.connect import Link
from eccmgr.redis.subscribe import Subscription
from eccmgr.settings import ManagerSettings
from eccmgr.version import full_version

PROGRAM = "eccmgr"


class Manager(Daemon):
    """One manager. It holds no state that matters: any number may run, and any may die."""

    program = PROGRAM

    def __init__(
        self, settings: ManagerSettings, store: Store, log_files: LogFiles | None = None, link: Link | None = None
    ) -> None:
        super().__init__(settings, store, log_files, link)
        age = Age()
        groups = (self.held.cluster,)
        identity = Identity(Role.MANAGER, self.name, "", full_version(), groups=groups, started=age.started)
        self.session = Session(self.link, self.keys, self.options, identity)
        self._notices = self.keys.notices(f"{os.getpid()}-{secrets.token_hex(8)}")
        self.delivery = Delivery(self.link, self.keys, self.options, self._notices, normal=same_command)
        facts = ManagerCommands(self.link, self.keys, self.session, age, self.held.control_group, self._remarks_on)
        self.table.add(*self.common_commands(self._known_names), *facts.commands(), *Fleet(self.delivery).commands())
        self.table.elsewhere = ASKED_OF_A_MANAGER.told

    def default_endpoint(self) -> str:
        """The protocol's well-known path."""
        return DEFAULT_ENDPOINT

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Follow what is told to this manager: changes of the membership, and notices for its gathers."""
        subscription = Subscription(self.link, (self.keys.events, self._notices), self._heard)
        subscription.on_listening = self.delivery.heard_event
        self.spawn(tasks, subscription.run(), "subscription")

    async def finish(self) -> None:
        """A manager leaves nothing half done: what it sent is in Redis."""

    def _heard(self, channel: str, data: bytes) -> None:
        if channel == self.keys.events:
            self.delivery.heard_event()
        else:
            self.delivery.heard_notice(data.decode())

    async def _remarks_on(self, membership: Membership | None) -> list[str]:
        """What `info` says beside the facts; `membership` is None where it is not known."""
        found = self.remarks()
        main = self.store.loaded.main
        if main is None or membership is None:
            return found
        try:
            bus = await asyncio.to_thread(expected_nodes, main, self.store.files, self.store.search_path)
        except EccmgrError as error:
            return [*found, f"Bus files: {error}"]
        alive = {member.node_name: member.subcluster or "" for member in membership.members if member.node_name}
        if absent := bus.absent(alive):
            found.append(f"Absent: {fold(absent)}")
        for node, claimed, given in bus.conflicts(alive):
            found.append(f"Conflict: {node} claims subcluster {claimed}, its bus file gives it {given}")
        return found

    async def _known_names(self, caller: Caller) -> Known:
        configuration = functools.partial(self.complete_config, caller)
        try:
            view = await self.delivery.view()
        except EccmgrError:
            return Known(configuration=configuration)
        return Known(tuple(names_of(view)), tuple(view.subclusters), configuration)
