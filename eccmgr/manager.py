"""A manager: builds its parts, connects them and runs them. Only this module knows all its parts."""

import asyncio
import contextlib
import functools
import os
import secrets
from collections.abc import Collection

import structlog

from eccmgr.cluster.authenticity import AnswerVerifier, SentVerifier
from eccmgr.cluster.delivery import Delivery
from eccmgr.cluster.heartbeats import Heartbeats
from eccmgr.cluster.journal import Journal
from eccmgr.cluster.members import Identity, MemberReader, Membership, Role
from eccmgr.cluster.named import NamedNodes
from eccmgr.cluster.publishing import wall_clock_ms
from eccmgr.cluster.session import Session
from eccmgr.cluster.view import names_of
from eccmgr.cluster.vouching import MemberVerifier
from eccmgr.commands.attach import attach_command
from eccmgr.commands.authz import authz_commands
from eccmgr.commands.caller import Caller
from eccmgr.commands.completion import Known
from eccmgr.commands.describing import Dissected, Hit
from eccmgr.commands.elsewhere import ASKED_OF_A_MANAGER
from eccmgr.commands.fleet import Fleet
from eccmgr.commands.jobs import JobsCommand
from eccmgr.commands.manager import ManagerCommands
from eccmgr.commands.members import MembersCommand
from eccmgr.commands.reach import Reach
from eccmgr.commands.secrets import same_command
from eccmgr.commands.standing import Age
from eccmgr.commands.table import Command
from eccmgr.commands.vips import VipsCommand
from eccmgr.config.live.expected import BusFiles
from eccmgr.config.live.register import RegisterPart
from eccmgr.config.live.secret_files import SecretFiles
from eccmgr.config.live.store import Store
from eccmgr.config.live.trusted_keys import TrustedKeysPart, days_left
from eccmgr.control.endpoint import DEFAULT_ENDPOINT
from eccmgr.daemon import Daemon
from eccmgr.duravip.picture import VipReader
from eccmgr.errors import EccmgrError
from eccmgr.feed.chronicle import Chronicle
from eccmgr.feed.commands import FeedCommands
from eccmgr.feed.events import EventCommands
from eccmgr.feed.whole import Feed
from eccmgr.logs.collection.commands.showing import LogCommands
from eccmgr.logs.collection.commands.tailing import Tailing
from eccmgr.logs.collection.gathering.following import GatheringPart
from eccmgr.logs.files import LogFiles
from eccmgr.logs.retelling import Retelling
from eccmgr.metrics.agreement import AgreementWatch
from eccmgr.metrics.watching import ScrapeWatch
from eccmgr.redis.connect import Link
from eccmgr.redis.subscribe import Subscription
from eccmgr.schedules.module import Sched
from eccmgr.schedules.tally import ScheduleTally
from eccmgr.series.logger import SeriesLogger
from eccmgr.series.shared import SharedCommands
from eccmgr.settings import ManagerSettings
from eccmgr.version import full_version
from eccmgr.web.listener import HttpListener
from eccmgr.web.site import Site

log = structlog.get_logger()

PROGRAM = "eccmgr"
_LOOK_AGAIN_S = 0.5


class Manager(Daemon):
    """One manager. All lasting state is in Redis: any number of managers may run, and any may die."""

    program = PROGRAM

    def __init__(
        self, settings: ManagerSettings, store: Store, log_files: LogFiles | None = None, link: Link | None = None
    ) -> None:
        super().__init__(settings, store, log_files, link)
        age = Age()
        groups = (self.held.cluster,)
        identity = Identity(Role.MANAGER, self.name, "", full_version(), groups=groups, started=age.started)
        self.session = Session(self.link, self.keys, self.options, identity)
        self.heartbeats = Heartbeats(self.link, self.keys, self.options, self.session)
        self._notices = self.keys.notices(f"{os.getpid()}-{secrets.token_hex(8)}")
        self.authorities = TrustedKeysPart(self.view, "node_authorities", settings.node_authority, "--node-authority")
        self.register = RegisterPart(self.view, self.held.cluster)
        answers = AnswerVerifier(
            *(self.link, self.keys, self.keyring.own),
            authorities=lambda: self.authorities.keys,
            register=lambda: self.register.register,
        )
        self._verifier = MemberVerifier(answers.certificates, self.held.cluster, lambda: self.authorities.keys)
        self._members = MemberReader(self.link, self.keys)
        self.delivery = self._delivery(answers)
        self.named = NamedNodes(self.link, self.keys, self.options, self._bus_files_name())
        self.bus_files = BusFiles(store, self.named, self.name)
        self.heartbeats.on_bus, self.session.on_joined = self.bus_files.heard, self.bus_files.changed
        self.register.on_change = self.delivery.register_changed
        self.add_part(self.authorities)
        self.add_part(self.register)
        self.add_part(self.bus_files)
        self.feed = Feed(self.link, self.keys, self.options, self.name)
        self.add_part(self.feed.source)
        self._scrapes = ScrapeWatch(self.feed.source, AgreementWatch(self.link, self.keys, self.delivery.view))
        self.add_part(self._scrapes)
        self.logs = GatheringPart(self.link, self.keys, self.options, self.session, self.view)
        self.add_part(self.logs)
        self.add_part(SeriesLogger(self.link, self.keys, self.options, self.session, self.view))
        self.add_part(Retelling(self.link, self.keys, f"{PROGRAM} {self.name}", self.delivery.withdrawn))
        self.pages = HttpListener(SecretFiles(store), self.view, settings.http, settings.http_prefix, self._site())
        self.add_part(self.pages)
        self.journal = Journal(self.delivery.view)
        self.heartbeats.on_leader = self.journal.leads
        self._vips = VipReader(self.link, self.keys)
        self._reach = Reach(self.table, self.delivery, self._vips)
        self._listening = asyncio.Event()
        own = self._own_commands(age)
        self.table.add(
            *self.common_commands(self._known_names),
            *own.commands(),
            *self._showing_commands(),
            *Fleet(self.delivery, own.strangers).commands(),
            attach_command(self.delivery, self.gate),
            *authz_commands(self.gate),
            *FeedCommands(self.feed.source, self.gate.allows).commands(),
            *EventCommands(Chronicle(self.link, self.keys, self.delivery)).commands(),
            *SharedCommands(self.link, self.keys).commands(),
            *LogCommands(self.link, self.keys, self.logs).commands(),
            *Tailing(self.link, self.keys, self.delivery, self.logs.names).commands(),
        )
        self.table.elsewhere = ASKED_OF_A_MANAGER.told

    def _delivery(self, answers: AnswerVerifier) -> Delivery:
        """The sender of commands: it signs each command, and verifies what Redis keeps of commands and answers."""
        return Delivery(
            *(self.link, self.keys, self.options, self._notices),
            normal=same_command,
            signer=self.keyring.authority.signer,
            verifier=SentVerifier(self.held.cluster, lambda: self.keyring.authority.keys),
            answer_verifier=answers,
            register=lambda: self.register.register,
        )

    def _site(self) -> Site:
        """What the pages over HTTP show."""
        return Site(
            title=f"{self.held.cluster} on {self.name}",
            gate=self.gate,
            ready=self.unready,
            metrics=self._metrics,
            verifiers=lambda: self.server.verifiers,
            penalties=self.server.crowd.penalties,
            lease_s=lambda: self.options.session_lease_s,
            source=self.feed.source,
        )

    async def _metrics(self) -> bytes:
        # Imported here: the library takes memory that a manager without scrapes does not need.
        from eccmgr.metrics.manager import ManagerFigures, exposition

        figures = ManagerFigures(
            # Without Redis it does not know whether it still leads.
            leads=self.session.leads and self.link.fault is None,
            redis_up=self.link.fault is None,
            scraped=await self._scrapes.now(),
            deliveries=self.delivery.tally,
            ran=self.gate.ran,
            known_commands=frozenset(self.table.commands),
            refused=self.gate.refused.counts,
            connections=len(self.server.crowd),
            unsaved=len(await asyncio.to_thread(self.store.unsaved)),
            seen=self.pages.seen,
            logs=self.logs.figures(),
            trips=self.link.trips,
            ended=self.journal.ended,
            schedules=sched.tally if (sched := self.modules.of(Sched)) is not None else ScheduleTally(),
        )
        return await asyncio.to_thread(exposition, figures)

    def _bus_files_name(self) -> str:
        """The name under which Redis keeps what the bus files of this manager's main file state; "" without a file."""
        main = self.store.loaded.main
        return f"{os.path.abspath(main)} of manager {self.name}" if main is not None else ""  # noqa: PTH100

    def _showing_commands(self) -> tuple[Command, ...]:
        """The commands that show what stands in Redis, in a table."""
        held = self.link, self.keys, self.options, self.delivery.view
        return (
            MembersCommand(*held, self._vips, self._verifier, self._members).command(),
            VipsCommand(*held, self._vips).command(),
            JobsCommand(self.link, self.keys, self.delivery.view).command(),
        )

    def _own_commands(self, age: Age) -> ManagerCommands:
        return ManagerCommands(
            *(self.link, self.keys, self.session, age, self.held.control_group),
            *(self._remarks_on, self.delivery.view, self._verifier, self._members),
        )

    def default_endpoint(self) -> str:
        """The well-known path of the control protocol."""
        return DEFAULT_ENDPOINT

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Follow the messages to this manager: changes of the membership, and notices for its gathers."""
        subscription = Subscription(self.link, (self.keys.events, self._notices), self._heard)
        subscription.on_listening = self._listens
        self.spawn(tasks, subscription.run(), "subscription")
        self.spawn(tasks, self._look_after_membership(), "journal")
        self.spawn(tasks, self.delivery.running_on.run(), "gathers without clients")
        self.spawn(tasks, self.delivery.endings.run(), "ends of commands")

    async def finish(self) -> None:
        """Do nothing: a manager has no unfinished work, since the commands that it sent are in Redis."""

    def _heard(self, channel: str, data: bytes) -> None:
        if channel == self.keys.events:
            self.delivery.heard_event()
            self.journal.heard(data)
            self.feed.heard(data)
        else:
            self.delivery.heard_notice(data.decode())

    def _listens(self) -> None:
        self.delivery.heard_event()
        self.feed.missed()
        self._listening.set()

    async def _look_after_membership(self) -> None:
        """Log the changes of the membership that this manager missed while it was not connected."""
        while True:
            await self._listening.wait()
            self._listening.clear()
            try:
                await self.journal.look()
            except EccmgrError as error:
                log.debug("membership not read", reason=str(error))
                self._listening.set()
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def _remarks_on(self, membership: Membership | None) -> list[str]:
        """The remarks of `info`; `membership` is None if it is unknown."""
        found = [*self._keys_said(wall_clock_ms()), *self.register.remarks(), *self.remarks()]
        if self.bus_files.fault:
            found.append(f"Bus files: {self.bus_files.fault}")
        if membership is None:
            return found
        alive = {member.node_name: member.subcluster or "" for member in membership.members if member.node_name}
        with contextlib.suppress(EccmgrError):
            for node, claimed, given in (await self.named.now()).conflicts(alive):
                claim = f"{node} claims subcluster {claimed}, its bus file gives it {given}"
                found.append(f"Conflict: {claim}; {claimed} counts")
        return found

    def _keys_said(self, wall_ms: int) -> list[str]:
        """The lines of `info` about keys, with the days that each key has left."""
        key = self.keyring.own
        signing = days_left(key.public, wall_ms) if key is not None else "none, so that commands are not signed"
        lines = [f"Signing key: {signing}"]
        for title, part in (("Trusted managers", self.keyring.trusted), ("Node authorities", self.authorities)):
            if said := part.said(wall_ms):
                lines.append(f"{title}: {said}")
        if self.authorities.keys and key is None:
            lines.append("node_authorities: no answer can be verified without a signing_key")
        return lines

    async def words_of_nodes(self) -> Collection[str]:
        """The words that live nodes have stated. Raises RedisUnreachable."""
        return await self.delivery.vocabulary()

    async def survey(self, line: Dissected) -> Hit:
        """The nodes that a dangerous command would hit, and what becomes of their VIPs. Raises EccmgrError."""
        return await self._reach.survey(line)

    async def _known_names(self, caller: Caller) -> Known:
        configuration = functools.partial(self.complete_config, caller)
        try:
            view = await self.delivery.view()
        except EccmgrError:
            return Known(configuration=configuration)
        return await asyncio.to_thread(
            lambda: Known(tuple(names_of(view)), tuple(view.subclusters), configuration, tags=view.groups.tags)
        )
