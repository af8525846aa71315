"""The class that every module derives from, and what it is given."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from structlog.typing import FilteringBoundLogger

from eccmgr.commands.answer import Answer
from eccmgr.commands.caller import Caller
from eccmgr.commands.table import Call, Command
from eccmgr.config.effective import ScopeView
from eccmgr.config.option_types import OptionType
from eccmgr.config.schema import Naming, OptionSpec, ScopeSpec
from eccmgr.modules.functions import commands_of
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

API = 1
"""The version of what a module may rely on; it changes where a module would have to."""

ENABLE = OptionSpec("Enable", OptionType.BOOLEAN, "true", "whether the module is loaded")


@dataclass(frozen=True)
class Context:
    """What one instance of a module is given.

    `name` is what its commands begin with (`sieve:sieve1`, `sched`), `settings` its scope of the configuration.
    `program` is `eccmgr` or `ecnode`, `member` the name of the manager or
    node. `run` carries out a command line of this very process, as its console would, and never raises.
    """

    name: str
    settings: ScopeView
    program: str
    member: str
    link: Link
    keys: Keys
    run: Callable[[str, Caller], Awaitable[Answer]]
    log: FilteringBoundLogger


class Module:
    """One instance of a module; its methods with `@command` are its commands.

    Where the configuration of an instance changes, another is made with the new settings and started, and takes the
    place of the old one, which is stopped then.
    """

    scope: ClassVar[str]
    """The scope of the configuration that it is loaded by."""
    brief: ClassVar[str]
    """One line on what it does."""
    singleton: ClassVar[bool] = False
    """Whether there is but one: its commands then begin with the scope alone."""
    built_in: ClassVar[tuple[str, ...]] = ()
    """The programs that load it without any scope; only a singleton can be."""
    options: ClassVar[tuple[OptionSpec, ...]] = ()
    """What its scope may hold. `context.settings` gives each as a Python value."""
    unknown: Callable[[Call], Awaitable[Answer]] | None = None
    """Carries out what nothing else on this node knows, where a module has that as a method."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.log = context.log

    @classmethod
    def check(cls, settings: ScopeView) -> None:
        """Raises ConfigError where a configuration of it makes no sense; touches nothing."""

    def commands(self) -> Iterable[Command]:
        """Its commands: its methods with `@command`, unless it makes others."""
        return commands_of(self, self.context.name)

    async def start(self) -> None:
        """Get ready: it has a few seconds. What it raises fails the change of the configuration."""

    async def run(self) -> None:
        """Work in the background; cancelled at the end."""

    async def stop(self) -> None:
        """Let go of what `start` took: it has a few seconds."""

    @classmethod
    def spec(cls) -> ScopeSpec:
        """Its scope, as the configuration's schema takes it."""
        naming = Naming.EITHER if cls.singleton else Naming.ALWAYS
        return ScopeSpec(cls.scope, cls.brief, naming, OptionType.NAME, (ENABLE, *cls.options))
