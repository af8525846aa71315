"""The life of a daemon: it starts, reports ready, follows its configuration until it is stopped, and ends cleanly.

Managers and nodes are daemons.
"""

import abc
import asyncio
import contextlib
import functools
import os
import signal
import socket
from collections.abc import Callable, Collection, Coroutine
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import structlog

from eccmgr.access.policy import Policy
from eccmgr.access.verifiers import Verifiers
from eccmgr.cluster.heartbeats import Heartbeats
from eccmgr.cluster.members import host_address
from eccmgr.cluster.session import Session
from eccmgr.commands import config
from eccmgr.commands.caller import Caller
from eccmgr.commands.describing import LEAVING, Dissected, Hit, describe_command
from eccmgr.commands.gate import Gate
from eccmgr.commands.secrets import learn
from eccmgr.commands.standing import KnownNames, standing_commands
from eccmgr.commands.table import Command, Table
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.holding import Holding
from eccmgr.config.live.keyring import Keyring
from eccmgr.config.live.options import DaemonOptions, node_name
from eccmgr.config.live.parts import AllPrepared, Part, Prepared, Spawn, Takeover, prepare_all
from eccmgr.config.live.roles import RolesPart
from eccmgr.config.live.store import Proposal, Store
from eccmgr.config.live.transaction import ConfigSession
from eccmgr.config.schema import completion
from eccmgr.control.endpoint import Endpoint
from eccmgr.control.listeners import Listeners
from eccmgr.control.server import ControlServer
from eccmgr.errors import (
    CommandError,
    EccmgrError,
    NameInUse,
    RedisUnreachable,
    single_errors,
    unwrapped,
)
from eccmgr.host.notify import READY, STOPPING, notify, show_life
from eccmgr.logs.accounting import Accounting
from eccmgr.logs.files import LogFiles
from eccmgr.logs.notes import ConfigurationNotes
from eccmgr.logs.panics import paniclog_command
from eccmgr.modules.catalogue import installed
from eccmgr.modules.following import ModulesPart
from eccmgr.modules.loaded import Modules
from eccmgr.redis.connect import Link
from eccmgr.redis.eviction import EvictionWatch
from eccmgr.redis.keys import Keys
from eccmgr.series.counting import SeriesCounter
from eccmgr.settings import DaemonSettings
from eccmgr.text.hostport import host_port

log = structlog.get_logger()

_REMARKS_MAX = 5
_READY_S = 2.0


class WayToRedis(Part):
    """The link to Redis, and the watch over the server's eviction policy for a full memory."""

    title = "connections to Redis"

    def __init__(self, link: Link) -> None:
        self._link, self._eviction = link, EvictionWatch(link)

    @property
    def remark(self) -> str:
        """The operator's warning about the server; "" if all is well."""
        return self._eviction.remark

    async def start(self, spawn: Spawn) -> None:
        """Watch the server."""
        spawn(self._eviction.watch(), "eviction")

    async def close(self) -> None:
        """Close all connections."""
        await self._link.close()


class Daemon(abc.ABC):
    """A member of the cluster with a control listener, a command table and a configuration."""

    program: ClassVar[str]
    """The name of the program."""
    session: Session
    heartbeats: Heartbeats
    """The heartbeats that keep that session alive."""

    def __init__(
        self, settings: DaemonSettings, store: Store, log_files: LogFiles | None = None, link: Link | None = None
    ) -> None:
        self.store = store
        learn(store.schema)
        view = store.view()
        self.name = node_name(view, os.environ, socket.gethostname())
        self._holding = Holding(view, self.default_endpoint(), settings.listen)
        self.options = self._holding.timing
        """The one object that all parts share; see `ClusterOptions`."""
        self.keys = Keys(self.held.cluster)
        self.link = link or Link(settings.redis, tag=self.keys.tag)
        self.keyring = Keyring(settings, view, self.held.cluster)
        self.table = Table()
        self.gate = Gate(self.table)
        authority = self.keyring.authority
        self.counter = SeriesCounter(self.link, self.keys, self.name, view)
        self.modules = Modules(
            *(installed(), self.program, self.name, self.gate, self.link, self.keys, authority, self.counter.series)
        )
        self.server = ControlServer(self.gate)
        self.server.keeps, self.server.lost = self._has_transaction, self._abandon_transaction
        self._log_files = log_files or LogFiles()
        self._redis = WayToRedis(self.link)
        self._listeners = Listeners(self.server, view, self.default_endpoint(), settings.listen)
        by = f"{self.program} {self.name}"
        self._accounting = Accounting(self._log_files, self.link, self.keys, self.options, by)
        self._accounting.follow(self.gate)
        self._notes = ConfigurationNotes(self.link, self.keys, self.options, by)
        # The parts end in the reverse order: the log ends last, and answers under way may still need Redis.
        self.parts: list[Part] = [
            *(self._log_files, self._redis, self._accounting, self._notes, self._holding, self.counter),
            self.keyring.trusted,
            RolesPart(store, view, self.default_endpoint(), settings.listen, self._take_policy),
            *(self._listeners, ModulesPart(self.modules, view)),
        ]
        """The parts that follow the configuration, in the order in which they prepare, carry out and start."""
        self._config_sessions: WeakKeyDictionary[object, ConfigSession] = WeakKeyDictionary()
        self._stopping = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []
        self._tasks: asyncio.TaskGroup | None = None

    def _take_policy(self, policy: Policy, verifiers: Verifiers) -> None:
        self.gate.policy, self.server.verifiers = policy, verifiers

    def add_part(self, part: Part) -> None:
        """Add a part that follows the configuration, before the modules, which alone may take long to prepare."""
        self.parts.insert(-1, part)

    @property
    def view(self) -> ScopeView:
        """The configuration that is in force in all parts."""
        return self._holding.view

    @property
    def held(self) -> DaemonOptions:
        """The daemon's own options in that configuration."""
        return self._holding.options

    async def unready(self) -> list[str]:
        """The reasons why this daemon cannot do its work now; none if it can."""
        reasons = []
        try:
            async with asyncio.timeout(_READY_S):
                await self.link.reach()
        except (EccmgrError, TimeoutError) as error:
            reasons.append(f"Redis has not answered within {_READY_S:g} s: {error}".removesuffix(": "))
        if not self.session.joined.is_set():
            reasons.append("This daemon is not a member of the cluster")
        return reasons

    @abc.abstractmethod
    def default_endpoint(self) -> str:
        """The endpoint on which it listens if neither a flag nor a file names one; '' for none."""

    @abc.abstractmethod
    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Start the work that must run before the daemon joins the cluster."""

    @abc.abstractmethod
    async def finish(self) -> None:
        """End the work that must end before the daemon leaves the cluster."""

    # The life of a daemon, from the start to the end.

    async def run(self) -> None:
        """Run as a program until SIGTERM, SIGINT or `stop`; SIGHUP reloads. Raises EccmgrError if the start fails."""
        loop = asyncio.get_running_loop()
        for number, act in ((signal.SIGTERM, self.stop), (signal.SIGINT, self.stop), (signal.SIGHUP, self.reload)):
            loop.add_signal_handler(number, act)
        try:
            await self.serve(lambda: notify(READY))
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def serve(self, ready: Callable[[], object]) -> None:
        """Run until `stop`; call `ready` after the start. Raises EccmgrError if the start fails."""
        try:
            await self._serve(ready)
        except BaseExceptionGroup as group:
            # Not `except*`: early releases of Python 3.11 wrap the error that its block raises in a group again.
            reason = unwrapped(group)
            if reason is group:
                raise
            for other in single_errors(group):
                if other is not reason:
                    log.error("another failure", reason=str(other) or type(other).__name__)
            raise reason from reason.__cause__

    async def _serve(self, ready: Callable[[], object]) -> None:
        async with contextlib.AsyncExitStack() as ending:
            for part in self.parts:
                ending.push_async_callback(part.close)
            ending.push_async_callback(self._refuse_changes)
            await self._refuse_changes()
            await (await prepare_all(self.parts, self.view)).carry_out()
            async with asyncio.TaskGroup() as tasks:
                await self._start(tasks)
                log.info("ready", endpoints=",".join(map(str, self.server.endpoints)))
                ready()
                await self._stopping.wait()
                log.info("stopping")
                notify(STOPPING)
                await self._end()

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        """Start every part, follow changes of the configuration from then on, and join the cluster."""
        self._tasks = tasks
        self.spawn(tasks, show_life(), "watchdog")
        for part in self.parts:
            await part.start(functools.partial(self.spawn, tasks))
        self.store.on_change = self._prepare
        for remark in self.remarks():
            log.warning("remark", text=remark)
        await self._locate()
        await self.start(tasks)
        await self._join()
        self.spawn(tasks, self.heartbeats.run(), "session")

    async def _end(self) -> None:
        """Follow no more changes, bring every part to its end, and leave the cluster."""
        await self._refuse_changes()
        await self.finish()
        for part in reversed(self.parts):
            await part.finish()
        await self.session.leave()
        self._tasks = None
        for task in self._background:
            task.cancel()

    async def _join(self) -> None:
        """Become a member. If Redis is away, this waits until it is back. Raises NameInUse."""
        try:
            await self.heartbeats.join()
        except NameInUse:
            raise
        except EccmgrError as error:
            away = isinstance(error, RedisUnreachable)
            log.warning("redis unreachable" if away else "not a member", reason=str(error))

    async def _locate(self) -> None:
        """Tell the session the address for its record: the configured one, else that of the connection to Redis."""
        port = next((endpoint.port for endpoint in self.server.endpoints if endpoint.path is None), 0)
        if (host := self.held.nodeaddr) is None:
            host = await asyncio.to_thread(host_address, self.link.address)
        self.session.located_at(host_port(host, port))

    def stop(self) -> None:
        """Begin a clean end. The caller still gets the answer."""
        self._stopping.set()

    def spawn(self, tasks: asyncio.TaskGroup, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` in the background until the daemon ends."""
        self._background = [task for task in self._background if not task.done()]
        self._background.append(tasks.create_task(work, name=name))

    # Changes of the configuration.

    def check(self) -> None:
        """Raises ConfigError if a part cannot follow the configuration."""
        for part in self.parts:
            part.check(self.view)

    def reload(self) -> None:
        """Read the files of the configuration again, and open the log files anew."""
        if self._tasks is not None:
            self.spawn(self._tasks, self._reload(), "reload")

    async def _reload(self) -> None:
        """Read the configuration's files again and open the log files anew, for SIGHUP."""
        try:
            await self.store.reload(ConfigSession(), "SIGHUP", anew=True)
            await asyncio.to_thread(self._log_files.reopen)
        except EccmgrError as error:
            log.error("configuration not changed", reason=str(error))
        else:
            log.info("configuration reloaded")

    async def _refuse_changes(self) -> None:
        reason = f"{self.program} is starting or ending: nothing was changed; try again in a moment"
        await self.store.refuse(CommandError(reason))

    async def _prepare(self, proposal: Proposal) -> Prepared:
        """Have all parts prepare for a change. Raises EccmgrError if one cannot."""
        prepared = await prepare_all(self.parts, proposal.after, proposal.changes)
        return AllPrepared((prepared, Takeover(lambda: self._notes.changed(proposal))))

    # For the commands.

    @property
    def endpoints(self) -> list[Endpoint]:
        """The endpoints on which it listens, as configured."""
        return list(self._listeners.plan.listeners)

    def common_commands(self, known: KnownNames) -> tuple[Command, ...]:
        """The commands that every daemon has."""
        schema = self.store.schema
        return (
            *standing_commands(self.table, self.program, known, self.stop, self._log_files.reopen, schema),
            *config.commands(self.store, self.config_session),
            describe_command(self.gate, self.survey, self.words_of_nodes),
            self.modules.command(),
            paniclog_command(self._log_files.panics),
        )

    async def words_of_nodes(self) -> Collection[str]:
        """The words that nodes have stated for managers. Raises EccmgrError."""
        return ()

    async def survey(self, line: Dissected) -> Hit:
        """What a dangerous command would hit. Raises EccmgrError."""
        return Hit(self.name if line.innermost.name in LEAVING else "")

    def config_session(self, caller: Caller) -> ConfigSession | None:
        """The configuration's part of the console session of `caller`; None for a caller without one."""
        if caller.session is None:
            return None
        return self._config_sessions.setdefault(caller.session, ConfigSession())

    def _has_transaction(self, connection: object) -> bool:
        session = self._config_sessions.get(connection)
        return session is not None and session.transaction is not None

    def _abandon_transaction(self, connection: object) -> None:
        if (session := self._config_sessions.pop(connection, None)) is not None:
            self.store.abandon(session)

    def complete_config(self, caller: Caller, command: str, words: "tuple[str, ...]") -> list[str]:
        """The next words of a `config` command."""
        root = self.store.root(self.config_session(caller) or ConfigSession())
        return completion.candidates(command, words, root, self.store.schema)

    def remarks(self) -> list[str]:
        """Remarks for the operator on the configuration of this daemon."""
        found = list(self._listeners.plan.remarks)
        if self._listeners.plan.asks_for_passwords and not self.server.verifiers.users:
            found.append("AuthScramParameters names no file with users, so that nobody can sign in (ec_scrampasswd)")
        found += self.store.loaded.ignored[:_REMARKS_MAX]
        found += self.modules.remarks(self.view)
        if refused := str(self.gate.refused):
            found.append(f"Refused since the start: {refused}")
        found += filter(None, (self._redis.remark,))
        return [*found, *self._log_files.remarks(), *self._accounting.remarks()]
