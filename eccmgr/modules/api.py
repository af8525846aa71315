"""The base class of every module, and the context of its instances."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from structlog.typing import FilteringBoundLogger

from eccmgr.access.authority import Authority
from eccmgr.commands.answer import Answer
from eccmgr.commands.caller import Caller
from eccmgr.commands.table import Call, Command
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.schema.spec import Naming, OptionSpec, ScopeSpec
from eccmgr.config.schema.types import OptionType
from eccmgr.modules.functions import commands_of
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.series.counting import Series

API = 1
"""The version of the interface for modules; it changes if modules must change."""

ENABLE = OptionSpec("Enable", OptionType.BOOLEAN, "true", "whether the module is loaded")


@dataclass(frozen=True)
class Context:
    """The context of one instance of a module.

    The commands of the instance begin with `name` (`sieve:sieve1`, `sched`); `settings` is its scope of the
    configuration. `program` is `eccmgr` or `ecnode`, `member` the name of the manager or node. `run` runs a command
    line in this process, as its console would, and never raises. `authority` has the keys with which the daemon signs.
    """

    name: str
    settings: ScopeView
    program: str
    member: str
    link: Link
    keys: Keys
    run: Callable[[str, Caller], Awaitable[Answer]]
    log: FilteringBoundLogger
    authority: Authority
    series: Callable[[str], Series]
    """The audit series of a name, in which the module counts: `context.series("spam").add("10.0.0.103")`."""


class Module:
    """One instance of a module. Its methods with `@command` are its commands.

    If the configuration of an instance changes, a new instance with the new settings is made and started; it replaces
    the old one, which is then stopped.
    """

    scope: ClassVar[str]
    """The name of the module's scope in the configuration."""
    brief: ClassVar[str]
    """One line that describes the module."""
    singleton: ClassVar[bool] = False
    """Whether there is only one instance, whose commands begin with the scope alone."""
    built_in: ClassVar[tuple[str, ...]] = ()
    """The programs that load the module without a scope in the configuration; only for a singleton."""
    options: ClassVar[tuple[OptionSpec, ...]] = ()
    """The options of its scope. `context.settings` gives each as a Python value."""
    locked: ClassVar[bool] = False
    """Whether its scope, with everything in it, changes only in files. `OptionSpec(locked=True)` locks one option."""
    unknown: Callable[[Call], Awaitable[Answer]] | None = None
    """Runs commands that this node does not know, if a module defines this as a method."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.log = context.log

    @classmethod
    def check(cls, settings: ScopeView) -> None:
        """Raises ConfigError if the module cannot take these settings; changes nothing."""

    def commands(self) -> Iterable[Command]:
        """The commands of the instance: by default its methods with `@command`."""
        return commands_of(self, self.context.name)

    async def start(self) -> None:
        """Prepare within a few seconds. If it raises, the change of the configuration fails."""

    async def run(self) -> None:
        """Work in the background, until cancelled."""

    async def stop(self) -> None:
        """Release the resources that `start` took, within a few seconds."""

    @classmethod
    def spec(cls) -> ScopeSpec:
        """The module's scope, for the configuration's schema."""
        naming = Naming.EITHER if cls.singleton else Naming.ALWAYS
        return ScopeSpec(cls.scope, cls.brief, naming, OptionType.NAME, (ENABLE, *cls.options), locked=cls.locked)
