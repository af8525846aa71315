"""The life of a daemon: start, say ready, run until told to stop, end cleanly; and follow its configuration meanwhile.

Managers and nodes share it.
"""

import abc
import asyncio
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import structlog

from eccmgr.cluster.members import host_address
from eccmgr.cluster.session import Session
from eccmgr.commands import config
from eccmgr.commands.caller import Caller
from eccmgr.commands.gate import Gate
from eccmgr.commands.secrets import learn
from eccmgr.commands.standing import KnownNames, standing_commands
from eccmgr.commands.table import Command, Table
from eccmgr.config import completion
from eccmgr.config.effective import ScopeView
from eccmgr.config.options import daemon_options, node_name
from eccmgr.config.store import Proposal, Store
from eccmgr.config.times import check_times
from eccmgr.config.transaction import ConfigSession
from eccmgr.control.endpoint import Endpoint
from eccmgr.control.listeners import plan
from eccmgr.control.server import ControlServer
from eccmgr.errors import (
    CommandError,
    ConfigError,
    EccmgrError,
    NameInUse,
    RedisUnreachable,
    single_errors,
    unwrapped,
)
from eccmgr.hostport import host_port
from eccmgr.logs import LogFiles
from eccmgr.modules.catalogue import installed
from eccmgr.modules.loaded import Modules
from eccmgr.notify import notify
from eccmgr.parts import Desired, Part, Prepared, Takeover, follow
from eccmgr.redis.connect import Link
from eccmgr.redis.eviction import EvictionWatch
from eccmgr.redis.keys import Keys
from eccmgr.settings import DaemonSettings

log = structlog.get_logger()

_SIGN_OF_LIFE_RECHECK_S = 5.0


class Daemon(abc.ABC):
    """A member of the cluster with a control listener, a command table and a configuration."""

    program: ClassVar[str]
    """The name that it runs by."""
    session: Session

    def __init__(
        self, settings: DaemonSettings, store: Store, log_files: LogFiles | None = None, link: Link | None = None
    ) -> None:
        self.store = store
        learn(store.schema)
        self.check(store.view())
        self.name = node_name(store.view(), os.environ, socket.gethostname())
        self._listen = settings.listen
        self.held = daemon_options(store.view(), self.default_endpoint(), self._listen)
        self._plan = plan(self.held.listeners)
        self.options = self.held.timing
        """The one object that all parts hold; see `ClusterOptions`."""
        self.keys = Keys(self.held.cluster)
        self.link = link or Link(settings.redis, tag=self.keys.tag)
        self._eviction = EvictionWatch(self.link)
        self.table = Table()
        self.gate = Gate(self.table)
        self.modules = Modules(installed(), self.program, self.name, self.gate, self.link, self.keys)
        self.server = ControlServer(self.gate)
        self.server.keeps = self._has_transaction
        self._log_files = log_files or LogFiles()
        self.view = store.view()
        """The configuration that holds in all parts."""
        self._config_sessions: WeakKeyDictionary[object, ConfigSession] = WeakKeyDictionary()
        self._stopping = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []
        self._tasks: asyncio.TaskGroup | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @abc.abstractmethod
    def default_endpoint(self) -> str:
        """Where it listens if neither a flag nor a file says; '' for nowhere."""

    @staticmethod
    def check(view: ScopeView) -> None:
        """Raises ConfigError where this kind of daemon cannot take a configuration."""
        check_times(view)

    def consider(self, proposal: Proposal) -> None:
        """Raises ConfigError where this daemon cannot take a change; asked before any part prepares, off its loop."""
        self.check(proposal.after)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What follows the configuration, in the order in which it carries a change out."""

        async def listeners(desired: Desired) -> Prepared:
            return await self.server.prepare(desired.listening.listeners)

        async def log_files(desired: Desired) -> Prepared:
            return await self._log_files.prepare(desired.held.log_files)

        return self._prepare_options, listeners, log_files

    @abc.abstractmethod
    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin what must be there before the daemon joins the cluster."""

    @abc.abstractmethod
    async def finish(self) -> None:
        """Bring to an end what must end before the daemon leaves the cluster."""

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where it listens, as configured."""
        return list(self._plan.listeners)

    def common_commands(self, known: KnownNames) -> tuple[Command, ...]:
        """The commands that every daemon has."""
        schema = self.store.schema
        return (
            *standing_commands(self.table, self.program, known, self.stop, self._log_files.reopen, schema),
            *config.commands(self.store, self.config_session),
            self.modules.command(),
        )

    def config_session(self, caller: Caller) -> ConfigSession | None:
        """What the configuration keeps of the console session of `caller`; None where he has none."""
        if caller.session is None:
            return None
        return self._config_sessions.setdefault(caller.session, ConfigSession())

    def _has_transaction(self, connection: object) -> bool:
        session = self._config_sessions.get(connection)
        return session is not None and session.transaction is not None

    def complete_config(self, caller: Caller, command: str, words: "tuple[str, ...]") -> list[str]:
        """What may come next in a `config` command."""
        root = self.store.root(self.config_session(caller) or ConfigSession())
        return completion.candidates(command, words, root, self.store.schema)

    def remarks(self) -> list[str]:
        """What an operator should know of how this daemon is configured."""
        found = list(self._plan.remarks)
        if self.store.view().scope("as_logger").written:
            found.append("as_logger: the logs of nodes are not collected yet in this release")
        found += self.modules.remarks(self.view)
        return [*found, *filter(None, (self._eviction.remark,)), *self._log_files.remarks()]

    def stop(self) -> None:
        """Begin a clean end; the answer to whoever asked still leaves."""
        self._stopping.set()

    async def run(self) -> None:
        """Run as a program until SIGTERM, SIGINT or `stop`; SIGHUP reloads. Raises EccmgrError if the start fails."""
        loop = asyncio.get_running_loop()
        for number, act in ((signal.SIGTERM, self.stop), (signal.SIGINT, self.stop), (signal.SIGHUP, self.reload)):
            loop.add_signal_handler(number, act)
        try:
            await self.serve(lambda: notify("READY=1"))
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def serve(self, ready: Callable[[], object]) -> None:
        """Run until `stop`; `ready` is called once the start is over. Raises EccmgrError where the start fails."""
        try:
            await self._serve(ready)
        except BaseExceptionGroup as group:
            # Not `except*`: what its block raises arrives in a group again on early releases of Python 3.11.
            reason = unwrapped(group)
            if reason is group:
                raise
            for other in single_errors(group):
                if other is not reason:
                    log.error("failed too", reason=str(other) or type(other).__name__)
            raise reason from reason.__cause__
        finally:
            self.store.on_change = self._refuse
            await self.modules.stop()
            await self.server.close()
            self.store.on_change = None
            await self.link.close()
            log.info("stopped")
            await asyncio.to_thread(self._log_files.close)

    def reload(self) -> None:
        """Read the files of the configuration again, and open the log files anew."""
        if self._tasks is not None:
            self.spawn(self._tasks, self._reload(), "reload")

    async def _serve(self, ready: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        self.store.on_change = self._refuse
        await follow(self.parts, Desired(self.view, self.held, self._plan))
        await self.modules.start(self.view)
        self.store.on_change = lambda proposal: self._follow_from_thread(loop, proposal)
        for remark in self.remarks():
            log.warning("remark", text=remark)
        await self._locate()
        async with asyncio.TaskGroup() as tasks:
            await self.start(tasks)
            self.spawn(tasks, self._eviction.watch(), "eviction")
            try:
                await self.session.join()
            except NameInUse:
                raise
            except EccmgrError as error:
                # It comes by itself once Redis does.
                away = isinstance(error, RedisUnreachable)
                log.warning("redis unreachable" if away else "not a member", reason=str(error))
            self.spawn(tasks, self.session.run(), "session")
            self.spawn(tasks, self._show_life(), "signs of life")
            self._tasks = tasks
            log.info("ready", endpoints=",".join(map(str, self.server.endpoints)))
            ready()
            await self._stopping.wait()
            log.info("stopping")
            notify("STOPPING=1")
            await self.finish()
            await self.session.leave()
            self._tasks = None
            for task in self._background:
                task.cancel()

    def spawn(self, tasks: asyncio.TaskGroup, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` in the background for as long as the daemon lives."""
        self._background = [task for task in self._background if not task.done()]
        self._background.append(tasks.create_task(work, name=name))

    async def _locate(self) -> None:
        """Tell the session the address that its record states: what is configured, else that of the way to Redis."""
        port = next((endpoint.port for endpoint in self.server.endpoints if endpoint.path is None), 0)
        if (host := self.held.nodeaddr) is None:
            host = await asyncio.to_thread(host_address, self.link.address)
        self.session.located_at(host_port(host, port))

    async def _prepare_options(self, desired: Desired) -> Prepared:
        def take() -> None:
            self.options.become(desired.held.timing)
            self.view, self.held, self._plan = desired.view, desired.held, desired.listening

        return Takeover(take)

    async def _prepare_modules(self, desired: Desired) -> Prepared:
        return await self.modules.prepare(desired.view)

    def _follow_from_thread(self, loop: asyncio.AbstractEventLoop, proposal: Proposal) -> None:
        self.consider(proposal)
        self.modules.check(proposal.after)
        held = daemon_options(proposal.after, self.default_endpoint(), self._listen)
        desired = Desired(proposal.after, held, plan(held.listeners), proposal.changes)
        self._stay_reachable(proposal, desired)
        # Modules come last: they alone may take long to prepare.
        followed = follow((*self.parts, self._prepare_modules), desired)
        asyncio.run_coroutine_threadsafe(followed, loop).result()
        log.info("configuration changed", changes=len(proposal.changes), user=proposal.user)

    def _stay_reachable(self, proposal: Proposal, desired: Desired) -> None:
        """Raises ConfigError where no listener is left that answers, or only one that nobody has named."""

        def is_named(view: ScopeView) -> bool:
            return bool(self._listen or view.scope("Control_Listener").scopes("Listen"))

        unnamed = is_named(proposal.before) and not is_named(proposal.after)
        if self._plan.serves and (unnamed or not desired.listening.serves):
            raise ConfigError("The last listener that answers cannot be removed: set another one before, or with it")

    def _refuse(self, _proposal: Proposal) -> None:
        raise CommandError(f"{self.program} is starting or ending: nothing was changed; try again in a moment")

    async def _reload(self) -> None:
        """What SIGHUP asks for: the files are read again, and the log files opened anew."""
        try:
            await asyncio.to_thread(self.store.reload, ConfigSession(), "SIGHUP")
            await asyncio.to_thread(self._log_files.reopen)
        except EccmgrError as error:
            log.error("configuration not changed", reason=str(error))
        else:
            log.info("configuration reloaded")

    async def _show_life(self) -> None:
        while True:
            interval_s = max((files.heartbeat_s for files in self.held.log_files), default=0.0)
            await asyncio.sleep(interval_s or _SIGN_OF_LIFE_RECHECK_S)
            if interval_s:
                log.info("alive")
