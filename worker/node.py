"""A node: wires its parts together and runs them. Nothing else knows all the parts."""

import asyncio
import contextlib
import functools
import math
import os
from collections.abc import Callable
from typing import Any

from eccmgr.cluster.members import SUBCLUSTER_GROUP, Identity, Role, read_membership
from eccmgr.cluster.session import Session
from eccmgr.cluster.vocabulary import Vocabulary
from eccmgr.commands.caller import Caller
from eccmgr.commands.carried import FIRST_WORDS
from eccmgr.commands.completion import Known
from eccmgr.commands.elsewhere import ASKED_OF_A_NODE
from eccmgr.commands.standing import Age
from eccmgr.config.effective import ScopeView
from eccmgr.config.printing import show_recurse
from eccmgr.config.store import Proposal, Store
from eccmgr.daemon import Daemon
from eccmgr.errors import EccmgrError
from eccmgr.logs import LogFiles
from eccmgr.node.belonging import Belonging, channels_of
from eccmgr.node.commands import NodeCommands
from eccmgr.node.executor import Executor
from eccmgr.node.follower import Follower
from eccmgr.parts import Desired, Part, Prepared, Takeover
from eccmgr.redis.connect import Link
from eccmgr.redis.subscribe import Subscription
from eccmgr.settings import NodeSettings
from eccmgr.version import full_version
from worker.arp import arp_command
from worker.duravip.commands import DuravipCommands
from worker.duravip.options import duravip_options
from worker.duravip.service import DuravipService
from worker.duravip.vips import read_vips
from worker.guardian.launch import find_guardians
from worker.jobs.commands import JobCommands
from worker.jobs.service import JobService

PROGRAM = "ecnode"
_LISTEN_WAIT_S = 2.0
_DRAIN_S = 10.0


class Node(Daemon):
    """One node: it runs what the cluster asks of it, and answers on its own control listener."""

    program = PROGRAM

    def __init__(
        self, settings: NodeSettings, store: Store, log_files: LogFiles | None = None, link: Link | None = None
    ) -> None:
        super().__init__(settings, store, log_files, link)
        cluster, subcluster = self.held.cluster, self.held.subcluster
        age = Age()
        groups = (self.held.control_group, f"{SUBCLUSTER_GROUP}{subcluster}", cluster)
        identity = Identity(Role.NODE, self.name, subcluster, full_version(), groups=groups, started=age.started)
        self.session = Session(self.link, self.keys, self.options, identity)
        self.executor = Executor(self.link, self.keys, self.options, self.session, self.gate)
        self.session.takes_over = settings.replace
        self.session.on_superseded = self.executor.abandon
        self.jobs = JobService(
            self.link,
            self.keys,
            self.options,
            self.name,
            self._job_settings,
            lambda: self.modules.long,
            self.executor.deliver,
        )
        self.executor.jobs = self.jobs
        self.modules.adapted, self.modules.on_change = self.jobs.adapted, self.jobs.kick
        guardians = find_guardians(duravip_options(self.view).plumber_program or "")
        copies = settings.redis_copies
        self.duravip = DuravipService(self.link, self.keys, self.options, self.session, guardians, self.view, copies)
        own = NodeCommands(
            self.link,
            self.keys,
            self.session,
            age,
            self.held.control_group,
            self.table,
            self._abort,
            self._facts,
        )
        self.table.add(*self.common_commands(self._known_names), *own.commands(), *JobCommands(self.jobs).commands())
        self.table.elsewhere = ASKED_OF_A_NODE.told
        self.vocabulary = Vocabulary(self.link, self.keys, self.options, self.session, self._words_of_its_own)
        self.table.on_change = self.session.on_joined = self.vocabulary.changed
        self.table.add(arp_command(), *DuravipCommands(self.duravip).commands())

    def default_endpoint(self) -> str:
        """A path that tells the nodes of one host apart; in the folder that a service manager made for it, if any."""
        folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        return f"{folder}/{self.name}" if folder else f"/tmp/ecnode-{self.name}"  # noqa: S108

    @staticmethod
    def check(view: ScopeView) -> None:
        """Raises ConfigError where the VIPs of a configuration, or their options, do not fit together."""
        Daemon.check(view)
        duravip_options(view)
        read_vips(view)

    def consider(self, proposal: Proposal) -> None:
        """As `check`, but for VIPs, of which there may be thousands: the part that has them reads them."""
        Daemon.check(proposal.after)
        duravip_options(proposal.after)

    @property
    def parts(self) -> tuple[Part, ...]:
        """With VIPs."""

        async def vips(desired: Desired) -> Prepared:
            take = await self.duravip.prepare(desired.view, desired.changes)

            def carry() -> None:
                take()
                self._carry()

            return Takeover(carry)

        return (*super().parts, vips)

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Listen for commands before joining: what is sent to a member must find it listening."""
        channels = channels_of(self.keys, self.name, self.session.identity.subcluster)
        subscription = Subscription(self.link, channels, self.executor.heard, lambda: self.options.heartbeat_s)
        follower = Follower(
            self.link,
            self.keys,
            self.options,
            self.session,
            channels,
            self.executor.read_up,
            subscription.restart,
        )
        self.executor.on_heard = follower.heard
        self.session.listening = subscription.listening
        self.session.channels, self.session.on_heads = channels, follower.heads
        subscription.on_listening = follower.catch_up
        if not self.held.states_subcluster:
            belonging = Belonging(self.link, self.keys, self.options, self.session, subscription, follower)
            self.session.before_join, self.session.on_bus = belonging.before_join, belonging.heard
            self.executor.meant = belonging.meant
            self.spawn(tasks, belonging.run(), "subcluster")
        self.spawn(tasks, subscription.run(), "subscription")
        self.spawn(tasks, follower.run(), "follower")
        self.spawn(tasks, self.executor.run(), "executor")
        self.spawn(tasks, self.jobs.run(), "jobs")
        self.spawn(tasks, self.vocabulary.run(), "vocabulary")
        self._tasks = tasks
        self._carry()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LISTEN_WAIT_S):
                await subscription.listening.wait()

    async def finish(self) -> None:
        """Let running commands end, and their answers reach Redis."""
        await self.executor.drain(_DRAIN_S)
        await self.jobs.finish()
        await self.duravip.finish()

    def _words_of_its_own(self) -> set[str]:
        """What commands begin with that not every node has."""
        return set(self.table.first_words()) - FIRST_WORDS

    def _facts(self) -> str:
        """What `cluster info` says of this node beside its place in the cluster."""
        return "\n".join(filter(None, (self.duravip.info(), *self.remarks())))

    def _abort(self, wanted: str, user: str) -> bool:
        """End a command, or a job, on this node; whether there is one."""
        return self.jobs.withdraw(wanted, user) or self.executor.abort(wanted)

    async def serve(self, ready: Callable[[], object]) -> None:
        """Run until `stop`, and let the guardian go. Raises EccmgrError where the start fails."""
        try:
            await super().serve(ready)
        finally:
            await self.duravip.close()

    def _job_settings(self) -> dict[str, Any]:
        """What a job worker works with."""
        view = self.view
        return {
            "url": self.link.server.plain_url,
            "link": self.link.address.url,
            "prefix": self.keys.rq_prefix,
            "queue": self.name.lower(),
            "node": self.name,
            "cluster": self.keys.cluster,
            "configuration": show_recurse(view.root, view.schema, reveal=True),
            "max_bytes": self.options.max_response_bytes,
            "results_ttl_s": math.ceil(self.options.results_ttl_s),
        }

    def _carry(self) -> None:
        """Begin to carry VIPs, where the configuration has any for the first time."""
        if self._tasks is not None and self.duravip.begins():
            self.spawn(self._tasks, self.duravip.run(), "duravip")

    async def _known_names(self, caller: Caller) -> Known:
        configuration = functools.partial(self.complete_config, caller)
        try:
            membership = await read_membership(self.link, self.keys)
        except EccmgrError:
            return Known(configuration=configuration, vips=self.duravip.names)
        nodes = membership.of(Role.NODE)
        subclusters = {member.subcluster: None for member in nodes if member.subcluster}
        names = tuple(member.node_name for member in nodes if member.node_name)
        return Known(names, tuple(subclusters), configuration, self.duravip.names)
