"""The modules of a daemon: loads them for the scopes of its configuration, and follows its changes.

A module's fault is logged in full, answered in one line, and affects nothing else.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import structlog

from eccmgr.access.authority import Authority
from eccmgr.access.signer import Signer
from eccmgr.access.trusted_keys import TrustedKeys
from eccmgr.cluster.publishing import wall_clock_ms
from eccmgr.commands.answer import Answer
from eccmgr.commands.caller import Caller
from eccmgr.commands.dispatch import reply
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import Call, Command, Param
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.syntax.tree import Scope
from eccmgr.errors import CommandError, ConfigError, EccmgrError, unwrapped
from eccmgr.modules.api import ENABLE, Context, Module
from eccmgr.modules.catalogue import Catalogue
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.series.counting import Series

M = TypeVar("M", bound=Module)
START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0


log = structlog.get_logger()


@dataclass(frozen=True)
class WantedModule:
    """An instance of a module that a configuration asks for."""

    kind: type[Module]
    settings: ScopeView

    @property
    def written(self) -> Scope | None:
        """Its scope, if it is written; else None."""
        return self.settings.root.find(self.settings.path)

    @property
    def name(self) -> str:
        """The word that its commands begin with."""
        # The commands of a singleton begin with its scope alone, whatever the name of its scope.
        instance = "" if self.kind.singleton else self.settings.name
        return f"{self.kind.scope}:{instance}" if instance else self.kind.scope


@dataclass
class Instance:
    """A loaded instance of a module; one with a `fault` does not work."""

    wanted: WantedModule
    module: Module | None = None
    commands: tuple[Command, ...] = ()
    unknown: Command | None = None
    task: asyncio.Task[None] | None = None
    fault: str = ""

    def facts(self) -> dict[str, str]:
        """The fields of `module list`; a singleton has no `Instance_Name`."""
        kind = self.wanted.kind
        instance = {} if kind.singleton else {"Instance_Name": self.wanted.settings.name}
        return {
            "Module": self.wanted.name,
            "Scope_Name": kind.scope,
            **instance,
            "Enabled": f"failed: {self.fault}" if self.fault else "enabled" if self.module else "disabled",
            "API": "Singleton" if kind.singleton else "Generic",
            "Name": f"{kind.__module__}.{kind.__qualname__}",
            "Description": kind.brief,
        }


@dataclass
class ModulesChange:
    """New instances that have started and will replace old ones: see `Modules.prepare`."""

    modules: "Modules"
    new: dict[str, Instance] = field(default_factory=dict)

    async def carry_out(self) -> None:
        """Bring the new instances into force, and stop those that they replace."""
        await self.modules.become(self.new)

    async def undo(self) -> None:
        """Stop the new instances."""
        await self.modules.drop(self.new)


class Modules:
    """The loaded instances, by their names in lower case."""

    def __init__(
        self,
        catalogue: Catalogue,
        program: str,
        member: str,
        gate: Gate,
        link: Link,
        keys: Keys,
        authority: Authority | None = None,
        series: Callable[[str], Series] | None = None,
    ) -> None:
        self.catalogue = catalogue
        self._series = series or _no_series
        self._program = program
        self._member = member
        self._gate = gate
        self._table = gate.table
        self._link = link
        self._keys = keys
        self._authority = authority or Authority(Signer(None, keys.cluster, wall_clock_ms), TrustedKeys)
        self._loaded: dict[str, Instance] = {}
        self.adapted: Callable[[Command], Command] = lambda command: command
        """Turns a module's command into the one that enters the table."""
        self.on_change: Callable[[], None] = lambda: None
        """Called after the loaded modules have changed."""
        self._table.no_module = self._no_module

    def check(self, view: ScopeView) -> None:
        """Raises ConfigError if the modules that `view` asks for cannot be loaded."""
        check(self.catalogue, self._program, view)

    def remarks(self, view: ScopeView) -> list[str]:
        """A line for each scope in `view` whose module cannot be loaded."""
        faults = self.catalogue.faults
        return [f"{scope}: its module cannot be loaded: {faults[scope]}" for scope in faults if view.scopes(scope)]

    async def start(self, view: ScopeView) -> None:
        """Load the modules that `view` asks for. `module list` shows those that failed."""
        change = ModulesChange(self)
        for wanted in wanted_by(self.catalogue, self._program, view):
            instance = Instance(wanted)
            try:
                await self._bring_up(instance)
            except ConfigError as error:
                instance.fault = str(error)
            change.new[wanted.name.lower()] = instance
        await change.carry_out()

    async def prepare(self, view: ScopeView) -> ModulesChange:
        """Start the new or changed modules of `view`. Raises ConfigError, having changed nothing, if one fails."""
        change = ModulesChange(self)
        async with contextlib.AsyncExitStack() as undoing:
            undoing.push_async_callback(change.undo)
            for wanted in wanted_by(self.catalogue, self._program, view):
                old = self._loaded.get(wanted.name.lower())
                if old is not None and not old.fault and _same(old.wanted, wanted):
                    change.new[wanted.name.lower()] = old
                    continue
                instance = change.new[wanted.name.lower()] = Instance(wanted)
                await self._bring_up(instance)
            undoing.pop_all()
        return change

    async def become(self, new: dict[str, Instance]) -> None:
        """Replace the commands of the loaded modules in the table by those of `new`, and stop the instances that are
        not in `new`."""
        old, self._loaded = self._loaded, new
        for instance in old.values():
            self._table.remove(*instance.commands)
        for instance in new.values():
            self._table.add(*instance.commands)
            if instance.module is not None and instance.task is None:
                background = self._background(instance, instance.module)
                instance.task = asyncio.create_task(background, name=f"module {instance.wanted.name}")
        self._table.fallback = next((each.unknown for each in new.values() if each.unknown is not None), None)
        self.on_change()
        await self._stop(old, new)

    @property
    def long(self) -> bool:
        """Whether a loaded module has a long command."""
        return any(command.long for instance in self._loaded.values() for command in instance.commands)

    def of(self, kind: type[M]) -> M | None:
        """The loaded module of this class; the first one if there are several."""
        found = (each.module for each in self._loaded.values())
        return next((module for module in found if isinstance(module, kind)), None)

    async def drop(self, new: Mapping[str, Instance]) -> None:
        """Stop the instances of `new` that are not in force."""
        await self._stop(new, self._loaded)

    async def stop(self) -> None:
        """Stop every module."""
        await self.become({})

    def command(self) -> Command:
        """The command `module list`."""

        async def listed(_call: Call) -> Answer:
            facts = [self._loaded[name].facts() for name in sorted(self._loaded)]
            lines = ("\n  ".join(f"{key}: {value}" for key, value in each.items()) for each in facts)
            return Answer("\n".join(lines) or "No modules are loaded", facts={"modules": facts})

        return Command("module list", "the modules that are loaded", listed, idempotent=True)

    async def _bring_up(self, instance: Instance) -> None:
        """Make the module and start it. Raises ConfigError if that fails."""
        wanted = instance.wanted
        if not wanted.settings.boolean(ENABLE.name):
            return
        settings, logger = wanted.settings, log.bind(module=wanted.name)
        context = Context(
            wanted.name,
            settings,
            self._program,
            self._member,
            self._link,
            self._keys,
            self._run,
            logger,
            self._authority,
            self._series,
        )
        limit = asyncio.timeout(START_TIMEOUT_S)
        try:
            module = wanted.kind(context)
            commands = self._commands(module, wanted.name)
            async with limit:
                await module.start()
        except Exception as error:  # a module's code
            if isinstance(error, TimeoutError) and limit.expired():
                error = ConfigError(f"its start takes more than {START_TIMEOUT_S:g} s")
            reason = unwrapped(error)
            if isinstance(reason, EccmgrError):
                log.error("module not loaded", module=wanted.name, reason=str(reason))
                raise ConfigError(f"{_place(wanted)}{reason}") from error
            log.exception("module not loaded", module=wanted.name)
            raise ConfigError(f"{_place(wanted)}{type(reason).__name__}: {reason} (see the log)") from error
        instance.module, instance.commands = module, commands
        if module.unknown is not None:
            rest = Param("COMMAND", rest=True)
            instance.unknown = Command(wanted.name, wanted.kind.brief, module.unknown, (rest,))

    def _commands(self, module: Module, name: str) -> tuple[Command, ...]:
        """The commands of `module`. Raises ConfigError if a name is taken."""
        commands = tuple(map(self.adapted, module.commands()))
        old = self._loaded.get(name.lower())
        own = {command.name.lower() for command in old.commands} if old is not None else set()
        for command in commands:
            if (key := command.name.lower()) in self._table.commands and key not in own:
                raise ConfigError(f"another command is named '{command.name}'")
        return commands

    async def _background(self, instance: Instance, module: Module) -> None:
        try:
            await module.run()
        except Exception as error:  # a module's code
            reason = unwrapped(error)
            instance.fault = f"{type(reason).__name__}: {reason} (see the log)"
            log.exception("module failed", module=instance.wanted.name)

    async def _stop(self, old: Mapping[str, Instance], but: Mapping[str, Instance]) -> None:
        for name, instance in old.items():
            if but.get(name) is instance or instance.module is None:
                continue
            if instance.task is not None:
                instance.task.cancel()
                _, still = await asyncio.wait((instance.task,), timeout=_STOP_TIMEOUT_S)
                if still:
                    log.error("module does not end", module=instance.wanted.name)
            try:
                async with asyncio.timeout(_STOP_TIMEOUT_S):
                    await instance.module.stop()
            except Exception:  # a module's code
                log.exception("module not stopped cleanly", module=instance.wanted.name)

    async def _run(self, line: str, caller: Caller) -> Answer:
        return (await reply(self._gate, line, caller)).answer

    def _no_module(self, first: str) -> CommandError | None:
        scope, colon, _ = first.lower().partition(":")
        instance = self._loaded.get(first.lower())
        if instance is not None and instance.fault:
            return CommandError(f"Module {instance.wanted.name} is not loaded: {instance.fault}")
        if (fault := self.catalogue.faults.get(scope)) is not None:
            return CommandError(f"Module {scope} cannot be loaded: {fault}")
        if not colon and scope not in self.catalogue.kinds:
            return None
        loaded = ", ".join(each.wanted.name for each in self._loaded.values() if each.module is not None)
        # A manager has few modules. Most module commands that are typed there are meant for nodes.
        on_nodes = f"; on nodes: broadcast {first[:80]} …" if self._program == "eccmgr" else ""
        return CommandError(f"No module '{first[:80]}'; loaded: {loaded or 'none'}{on_nodes}")


def wanted_by(catalogue: Catalogue, program: str, view: ScopeView) -> Iterator[WantedModule]:
    """The instances that a configuration asks for, in the order of the kinds. Raises ConfigError."""
    view = replace(view, schema=catalogue.schema)
    for kind in catalogue.kinds.values():
        scopes = view.scopes(kind.scope)
        if kind.singleton and len(scopes) > 1:
            raise ConfigError(f"{scopes[1].place()}: there can be but one {kind.scope}")
        if not scopes and program in kind.built_in:
            scopes = [view.scope(kind.scope)]
        for settings in scopes:
            yield WantedModule(kind, settings)


def check(catalogue: Catalogue, program: str, view: ScopeView) -> None:
    """Raises ConfigError if the modules that `view` asks for cannot be loaded."""
    for wanted in wanted_by(catalogue, program, view):
        if not wanted.settings.boolean(ENABLE.name):
            continue
        try:
            wanted.kind.check(wanted.settings)
        except ConfigError as error:
            raise ConfigError(f"{_place(wanted)}{error}") from None


def _no_series(name: str) -> Series:
    raise ValueError(f"this process counts nothing, so it has no series {name[:80]}")


def _same(old: WantedModule, new: WantedModule) -> bool:
    """Whether the module would see no difference between `old` and `new`."""
    return old.kind is new.kind and _values(old.settings) == _values(new.settings)


def _values(settings: ScopeView) -> dict[str, Any]:
    spec = settings.schema.find([step.kind for step in settings.path])
    options = spec.options if spec else ()
    effectives = ((option.name, settings.effective(option.name)) for option in options)
    return {name: effective.value for name, effective in effectives if effective is not None}


def _place(wanted: WantedModule) -> str:
    place = wanted.settings.place()
    return f"{place}: {wanted.name}: " if place else f"{wanted.name}: "
