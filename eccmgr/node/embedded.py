"""A node inside another asyncio program. The functions of the program are its commands.

It carries no VIPs and starts no processes. To commands that only `ecnode` has, it answers that they do not concern it.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

import structlog

from eccmgr.channels import without_channel
from eccmgr.cluster.names import check_name
from eccmgr.commands.answer import NOT_CONCERNED
from eccmgr.commands.carried import ON_NODES
from eccmgr.commands.danger import Danger
from eccmgr.commands.table import Call, Command, Param
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.options import overrides
from eccmgr.config.live.store import Store
from eccmgr.control.endpoint import Endpoint
from eccmgr.modules.catalogue import installed
from eccmgr.modules.functions import as_command, command
from eccmgr.node.daemon import NodeDaemon
from eccmgr.redis.scripts import load_all
from eccmgr.series.counting import Series
from eccmgr.settings import NodeSettings, load

F = TypeVar("F", bound=Callable[..., Any])
_WORDS = Param("WORDS", optional=True, rest=True)


class Node:
    """A node of the cluster, while `run` runs, or between `start` and `stop`, or inside `async with`.

    It leaves the program alone: it handles no signal, logs only to the logger `eccmgr` (unless structlog is
    configured), and has a control listener only if `listen` or the file `config` names one. While Redis is away it
    waits, and joins once Redis answers.
    """

    def __init__(
        self,
        name: str,
        *,
        redis: str | None = None,
        cluster: str | None = None,
        subcluster: str | None = None,
        tags: Mapping[str, str] | None = None,
        listen: str | tuple[str, ...] | None = None,
        config: str | None = None,
        replace: bool = False,
        trusted_managers: tuple[str, ...] | None = None,
    ) -> None:
        """Missing arguments come from the environment (`ECCMGR_REDIS` and so on), or else from the defaults of
        `ecnode`.

        `tags` are those by which targets find the node: `{"role": "mta"}` is found by `@role:mta`.
        `trusted_managers` are lines of public keys. If there are any, this node runs only commands that one of these
        managers has signed. With `replace` the node takes its name over from a live holder. Raises SettingsError and
        ConfigError for values that make no sense.
        """
        given = {
            "name": name,
            "redis": redis,
            "cluster": cluster,
            "subcluster": subcluster,
            "tag": tuple(f"{tag}={value}" for tag, value in tags.items()) if tags else None,
            "listen": (listen,) if isinstance(listen, str) else listen,
            "config": config,
            "replace": replace or None,
            "trusted_manager": trusted_managers,
        }
        settings = load(NodeSettings, given)
        named = {"name": settings.name, "cluster": settings.cluster, "subcluster": settings.subcluster}
        for kind, value in named.items():
            if value is not None:
                check_name(value, kind.capitalize())
        for text in settings.listen:
            Endpoint.parse(text)
        if not structlog.is_configured():
            _log_by_the_standard_library()
        given_here = {**named, "tag": settings.tag or None}
        store = Store.open(settings.config, overrides=overrides(given_here, {}), schema=installed().schema)
        self._daemon = _Daemon(settings, store)
        self._task: asyncio.Task[None] | None = None

    def command(
        self,
        name: str,
        brief: str,
        *,
        about: str = "",
        idempotent: bool = False,
        serial: bool = False,
        danger: bool | Danger = Danger.NONE,
        reads: bool = False,
    ) -> Callable[[F], F]:
        """Make a function a command of this node, as `eccmgr.modules.command` does for methods.

        Raises ValueError if the node already has a command of this name, and TypeError if a parameter cannot be a word.
        """
        declare = command(name, brief, about=about, idempotent=idempotent, serial=serial, danger=danger, reads=reads)

        def add(function: F) -> F:
            self._daemon.table.add(as_command(declare(function)))
            return function

        return add

    def series(self, name: str) -> Series:
        """The audit series of this name, whose counts are added up over the cluster: see docs/embedding.md.

        Raises ValueError for a name that is not allowed, and for more than 100 names.
        """
        return self._daemon.counter.series(name)

    async def start(self) -> None:
        """Join the cluster. Raises an EccmgrError, such as NameInUse or ListenError, if that is not possible."""
        await asyncio.to_thread(load_all)
        ready = asyncio.Event()
        task = asyncio.create_task(self._daemon.serve(ready.set), name=f"node {self._daemon.name}")
        waiting = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if task.done():
            await task
        self._task = task

    async def stop(self) -> None:
        """Let running commands end, leave the cluster, and release everything."""
        if self._task is not None:
            self._daemon.stop()
            await asyncio.shield(self._task)
            self._task = None

    async def run(self) -> None:
        """Be a node until cancelled, or until somebody sends `shutdown`."""
        async with self:
            assert self._task is not None
            await asyncio.shield(self._task)

    async def __aenter__(self) -> "Node":
        await self.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.stop()


class _Daemon(NodeDaemon):
    def __init__(self, settings: NodeSettings, store: Store) -> None:
        super().__init__(settings, store)
        self.table.add(*(_not_concerned(name) for name in ON_NODES if name not in self.table.commands))

    def default_endpoint(self) -> str:
        """The endpoint that the program named, if any."""
        return ""

    def remarks(self) -> list[str]:
        """The remarks of every node, and one more if the configuration asks for VIPs, because this node carries
        none."""
        unmet = ["DuraVIP: an embedded node carries no VIPs; its configuration asks for some"]
        return [*super().remarks(), *(unmet if _asks_for_vips(self.view) else ())]


def _not_concerned(name: str) -> Command:
    """Answer a command that only `ecnode` has. A broadcast of it reaches this node too, so the answer is no failure."""

    async def answer(_call: Call) -> str:
        return NOT_CONCERNED

    return Command(name, f"of ecnode alone; here: {NOT_CONCERNED}", answer, (_WORDS,), idempotent=True)


def _asks_for_vips(view: ScopeView) -> bool:
    listens = (listen for above in view.scopes("ESMTP_Listener") for listen in above.scopes("Listen"))
    stanzas = itertools.chain(view.scopes("Binding"), listens)
    return any(stanza.boolean("Enable_Duravip") or stanza.text("Duravip_Follow") is not None for stanza in stanzas)


def _log_by_the_standard_library() -> None:
    structlog.configure(
        processors=[
            without_channel,
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        logger_factory=lambda *_names: logging.getLogger("eccmgr"),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
