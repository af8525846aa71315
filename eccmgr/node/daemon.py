"""The node in any program: a member that runs commands, each at most once, and answers them.

`ecnode` adds floating addresses and jobs to it; a node that is embedded in another program adds nothing.
"""

import asyncio
import contextlib
import functools
from collections.abc import Sequence
from pathlib import Path

from eccmgr.access.certificates import Certificate
from eccmgr.access.recipient import Recipient
from eccmgr.access.seals import AnswerSealer
from eccmgr.access.trusted_keys import TrustedKeys
from eccmgr.cluster import algebra, nodeset
from eccmgr.cluster.heartbeats import Heartbeats
from eccmgr.cluster.members import SUBCLUSTER_GROUP, Identity, Role, read_membership
from eccmgr.cluster.named import NamedNode
from eccmgr.cluster.publishing import wall_clock_ms
from eccmgr.cluster.session import Session
from eccmgr.cluster.view import Seat
from eccmgr.cluster.vocabulary import Vocabulary
from eccmgr.cluster.vouching import Voucher
from eccmgr.commands.caller import Caller
from eccmgr.commands.carried import FIRST_WORDS
from eccmgr.commands.completion import Known
from eccmgr.commands.elsewhere import ASKED_OF_A_NODE
from eccmgr.commands.standing import Age
from eccmgr.commands.told_dangers import stated
from eccmgr.config.live.store import Store
from eccmgr.daemon import Daemon
from eccmgr.errors import EccmgrError, UsageError
from eccmgr.logs.collection.commands.watch import NodeLogCommands
from eccmgr.logs.collection.following.watching import WatchingPart
from eccmgr.logs.files import LogFiles
from eccmgr.node.authenticity import Authenticity
from eccmgr.node.belonging import Belonging, channels_of
from eccmgr.node.certificate import read_certificate, show_certificate
from eccmgr.node.commands import NodeCommands
from eccmgr.node.executor import Executor
from eccmgr.node.follower import Follower
from eccmgr.node.origins import origins
from eccmgr.node.outbox import Outbox
from eccmgr.node.tagging import TagsPart, tags_of
from eccmgr.redis.connect import Link
from eccmgr.redis.subscribe import Subscription
from eccmgr.series.shared import SharedCommands
from eccmgr.settings import NodeSettings
from eccmgr.text.tags import line_of
from eccmgr.version import full_version

_LISTEN_WAIT_S = 2.0
_DRAIN_S = 10.0


class NodeDaemon(Daemon):
    """One node: it runs the commands that the cluster sends it, and answers on its own control listener."""

    program = "ecnode"

    def __init__(
        self, settings: NodeSettings, store: Store, log_files: LogFiles | None = None, link: Link | None = None
    ) -> None:
        super().__init__(settings, store, log_files, link)
        cluster, subcluster = self.held.cluster, self.held.subcluster
        age = Age()
        groups = (self.held.control_group, f"{SUBCLUSTER_GROUP}{subcluster}", cluster)
        voucher = Voucher(self.keyring.authority.signer, self.name, lambda: self.session.takes_over)
        identity = Identity(
            *(Role.NODE, self.name, subcluster, full_version()),
            groups=groups,
            started=age.started,
            tags=tags_of(self.view),
            vouch=voucher.vouch,
        )
        self.session = Session(self.link, self.keys, self.options, identity)
        self.add_part(TagsPart(self.session))
        self.heartbeats = Heartbeats(self.link, self.keys, self.options, self.session)
        self._certificate = self._read_certificate(settings)
        sealer = AnswerSealer(self.keyring.own, cluster, self.name, self._managers)
        self.outbox = Outbox(self.link, self.keys, self.options, self.name, sealer)
        recipient = Recipient(
            *(self.name, lambda: self.session.identity.subcluster, wall_clock_ms(), self._is_in, self._fits)
        )
        authenticity = Authenticity(cluster, recipient, self._managers, wall_clock_ms)
        self.executor = Executor(self.link, self.keys, self.options, self.session, self.gate, self.outbox, authenticity)
        self.session.takes_over = settings.replace
        self.heartbeats.on_superseded = self.executor.abandon
        self.logs = WatchingPart(
            *(self.link, self.keys, self.options, self.name),
            *(lambda: self.session.identity.subcluster or "", self.view),
        )
        self.add_part(self.logs)
        own = NodeCommands(
            *(self.link, self.keys, self.session, age, self.held.control_group),
            *(self.table, self.abort, self.facts, self._place),
        )
        self._log_commands = NodeLogCommands(self.link, self.keys, self.name, self.logs)
        self.table.add(*self.common_commands(self.known_names), *own.commands(), *self._log_commands.commands())
        self.table.add(*SharedCommands(self.link, self.keys).commands())
        self.table.elsewhere = ASKED_OF_A_NODE.told
        self.vocabulary = Vocabulary(self.link, self.keys, self.options, self.session, self._words_of_its_own)
        self.table.on_change = self.session.on_joined = self.vocabulary.changed

    def _place(self, given: NamedNode | None) -> Sequence[str]:
        return origins(self.view, self.session.identity, given)

    def _managers(self) -> TrustedKeys:
        """The keys of the managers whose commands this node runs, and for whom it seals its answers."""
        return self.keyring.trusted.keys

    def _read_certificate(self, settings: NodeSettings) -> Certificate | None:
        path = settings.certificate or self.view.scope("cluster").text("certificate")
        return read_certificate(Path(path), self.name, self.keyring.own) if path else None

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Listen for commands, then join: a member must listen before commands are sent to it."""
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
        self.heartbeats.listening = subscription.listening
        self.heartbeats.channels, self.heartbeats.on_heads = channels, follower.heads
        subscription.on_listening = follower.catch_up
        if not self.held.states_subcluster:
            belonging = Belonging(self.link, self.keys, self.options, self.heartbeats, subscription, follower)
            self.heartbeats.before_join, self.heartbeats.on_bus = belonging.before_join, belonging.heard
            self.executor.meant = belonging.meant
            self.spawn(tasks, belonging.run(), "subcluster")
        self.spawn(tasks, subscription.run(), "subscription")
        self.spawn(tasks, follower.run(), "follower")
        self.spawn(tasks, self.outbox.run(), "outbox")
        self.spawn(tasks, self.executor.run(), "executor")
        self.spawn(tasks, self.vocabulary.run(), "vocabulary")
        if self._certificate is not None:
            self.spawn(tasks, show_certificate(self.link, self.keys, self.name, self._certificate), "certificate")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LISTEN_WAIT_S):
                await subscription.listening.wait()

    async def finish(self) -> None:
        """Wait until running commands have ended and Redis has their answers."""
        await self._log_commands.finish()
        await self.executor.drain(_DRAIN_S)

    def abort(self, command_id: str, _user: str) -> bool:
        """End a command on this node for a user; answers whether there was one."""
        return self.executor.abort(command_id)

    def facts(self) -> str:
        """The lines of `cluster info` about this node, other than its place in the cluster."""
        trusted = self.keyring.trusted.said(wall_clock_ms()) or "none, so that commands need no signature"
        return "\n".join((f"Trusted managers: {trusted}", *self.remarks()))

    def _is_in(self, folded: str) -> bool:
        return self.name.lower() in nodeset.members(folded)

    def _fits(self, where: str) -> bool:
        """Whether this node is in a target, by its own subcluster and tags."""
        identity = self.session.identity
        seat = Seat("", self.name, identity.subcluster, tag_line=line_of(identity.tags))
        try:
            return algebra.holds(algebra.parse(where), seat)
        except UsageError:
            return False

    async def known_names(self, caller: Caller) -> Known:
        """The names that `caller` may write in a command. The names of members are among them only while Redis
        answers."""
        configuration = functools.partial(self.complete_config, caller)
        try:
            membership = await read_membership(self.link, self.keys)
        except EccmgrError:
            return Known(configuration=configuration)
        nodes = membership.of(Role.NODE)
        subclusters = {member.subcluster: None for member in nodes if member.subcluster}
        names = tuple(member.node_name for member in nodes if member.node_name)
        return Known(names, tuple(subclusters), configuration)

    def _words_of_its_own(self) -> set[str]:
        """The first words of those commands of this node that not every node has, and which of them are dangerous."""
        return set(self.table.first_words()) - FIRST_WORDS | stated(self.table.listed())
