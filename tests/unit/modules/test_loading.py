"""Modules are found by entry points, loaded by scope, and follow changes. No module harms another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import pytest

from eccmgr.commands.caller import Caller
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import Call, Command, Table
from eccmgr.config.files.load import load
from eccmgr.config.live.effective import ScopeView
from eccmgr.errors import CommandError, ConfigError
from eccmgr.modules import Answer, Module, OptionSpec, OptionType, command
from eccmgr.modules import loaded as modules_loaded
from eccmgr.modules.catalogue import Catalogue
from eccmgr.modules.loaded import Modules
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from tests.logged import LogOf
from tests.unit.config.memory import MemoryFiles


class Counter(Module):
    """Counts from the number in its configuration."""

    scope = "counter"
    brief = "counts"
    options = (OptionSpec("first", OptionType.INTEGER, "0", "the first number", 0, 100),)
    stopped: ClassVar[list[str]] = []

    @classmethod
    def check(cls, settings: ScopeView) -> None:
        if settings.integer("first") == 13:
            raise ConfigError("13 brings bad luck")

    async def start(self) -> None:
        self.number = self.context.settings.integer("first")
        if self.number == 99:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._break())

    async def _break(self) -> None:
        raise ValueError("99 is broken")

    async def stop(self) -> None:
        self.stopped.append(self.context.name)

    @command("next", "the next number")
    async def next(self) -> str:
        self.number += 1
        return str(self.number)

    @command("break", "raises")
    async def raises(self) -> str:
        raise ZeroDivisionError


class Only(Module):
    """A module with a single instance."""

    scope = "only"
    brief = "takes all that is unknown"
    singleton = True
    built_in = ("eccmgr",)

    async def unknown(self, call: Call) -> Answer:
        return Answer(f"only got: {call.args[0]}")


ENTRIES = tuple(EntryPoint(kind.scope, f"{__name__}:{kind.__name__}", "eccmgr.modules") for kind in (Counter, Only))
BROKEN = EntryPoint("broken", "tests.no_such_folder:Thing", "eccmgr.modules")


def catalogue(*more: EntryPoint) -> Catalogue:
    faults = {entry.name: "ModuleNotFoundError: No module named 'tests.no_such_folder'" for entry in more}
    kinds: Mapping[str, type[Module]] = {"counter": Counter, "only": Only}
    return Catalogue(kinds, faults)


def view(text: str, schema: Catalogue) -> ScopeView:
    loaded = load("/a", MemoryFiles({"/a": text.encode()}), schema=schema.schema)
    loaded.check()
    return ScopeView(loaded.root, (), None, schema.schema)


class Loaded:
    """Modules with a table of their own; they follow the given texts of a configuration."""

    def __init__(self, program: str = "ecnode", *more: EntryPoint) -> None:
        self.catalogue = catalogue(*more)
        self.table = Table()
        link = Link("redis://127.0.0.1:1/0")
        self.modules = Modules(self.catalogue, program, "east1", Gate(self.table), link, Keys("c"))
        self.table.add(self.modules.command())

    async def follow(self, text: str) -> None:
        after = view(text, self.catalogue)
        self.modules.check(after)
        await (await self.modules.prepare(after)).carry_out()

    async def ask(self, line: str) -> str:
        return (await Gate(self.table).run(line, Caller("ann"))).text


@asynccontextmanager
async def loaded(text: str, program: str = "ecnode", *more: EntryPoint) -> AsyncIterator[Loaded]:
    Counter.stopped.clear()
    made = Loaded(program, *more)
    await made.modules.start(view(text, made.catalogue))
    try:
        yield made
    finally:
        await made.modules.stop()


@pytest.mark.asyncio
async def test_each_scope_is_an_instance_with_own_commands() -> None:
    async with loaded('counter "a" { first = 5 }\ncounter "b" { }') as made:
        assert await made.ask("counter:a next") == "6"
        assert await made.ask("COUNTER:B next") == "1"


@pytest.mark.asyncio
async def test_unloaded_module_is_named_with_loaded_ones() -> None:
    async with loaded('counter "a" { }') as made:
        with pytest.raises(CommandError, match=r"^No module 'counter:z'; loaded: counter:a$"):
            await made.ask("counter:z next")
        with pytest.raises(CommandError, match=r"^No module 'only'; loaded: counter:a$"):
            await made.ask("only x")


@pytest.mark.asyncio
async def test_the_list_says_what_each_is() -> None:
    async with loaded('counter "a" { }\ncounter "b" { Enable = off }') as made:
        lines = (await made.ask("module list")).splitlines()
        assert lines[:8] == [
            "Module: counter:a",
            "  Scope_Name: counter",
            "  Instance_Name: a",
            "  Enabled: enabled",
            "  API: Generic",
            "  Name: tests.unit.modules.test_loading.Counter",
            "  Description: counts",
            "Module: counter:b",
        ]
        assert lines[10] == "  Enabled: disabled"
    async with loaded("", "eccmgr") as made:
        singleton = (await made.ask("module list")).splitlines()
        assert singleton[:2] == ["Module: only", "  Scope_Name: only"]
        assert singleton[3] == "  API: Singleton"
    async with loaded("") as made:
        assert await made.ask("module list") == "No modules are loaded"


@pytest.mark.asyncio
async def test_help_of_a_module_covers_its_commands() -> None:
    async with loaded('counter "a" { }\nonly { }') as made:
        assert (
            await made.ask("counter:a help")
        ) == "Usage: counter:a break\n  raises\n\nUsage: counter:a next\n  the next number"
        assert (await made.ask("module HELP")).startswith("Usage: module list")
        assert (await made.ask("counter:b help")) == "only got: counter:b help"


@pytest.mark.asyncio
async def test_manager_says_how_to_reach_nodes_modules() -> None:
    async with loaded("", "eccmgr") as made:
        made.table.fallback = None
        with pytest.raises(
            CommandError, match=r"^No module 'counter:z'; loaded: only; on nodes: broadcast counter:z …$"
        ):
            await made.ask("counter:z next")


@pytest.mark.asyncio
async def test_failing_module_affects_no_other_and_says_why() -> None:
    async with loaded('counter "a" { first = 99 }\ncounter "b" { }') as made:
        assert await made.ask("counter:b next") == "1"
        with pytest.raises(CommandError, match=r"Module counter:a is not loaded: .*ValueError: 99 is broken"):
            await made.ask("counter:a next")
        assert "Enabled: failed: /a:1:1: counter:a: ValueError: 99 is broken" in await made.ask("module list")


@pytest.mark.asyncio
async def test_a_distribution_that_cannot_be_imported_is_named() -> None:
    assert Catalogue.of([*ENTRIES, BROKEN]).faults["broken"].startswith("ModuleNotFoundError")
    async with loaded("", "ecnode", BROKEN) as made:
        with pytest.raises(CommandError, match=r"Module broken cannot be loaded: ModuleNotFoundError"):
            await made.ask("broken:x y")


def test_module_that_exits_when_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_script.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    script = EntryPoint("script", "a_script:Thing", "eccmgr.modules")
    assert Catalogue.of([*ENTRIES, script]).faults == {"script": "SystemExit: 3"}


@pytest.mark.asyncio
async def test_timeout_of_a_module_is_its_own() -> None:
    class Waiting(Module):
        scope = "waiting"
        brief = "waits for a program"

        async def start(self) -> None:
            raise TimeoutError("the program says nothing")

    made = Loaded()
    made.modules.catalogue = Catalogue({"waiting": Waiting}, {})
    await made.modules.start(view('waiting "x" { }', made.modules.catalogue))
    assert "waiting:x: TimeoutError: the program says nothing" in await made.ask("module list")


@pytest.mark.asyncio
async def test_module_that_starts_too_long_is_told(monkeypatch: pytest.MonkeyPatch, log_of: LogOf) -> None:
    class Slow(Module):
        scope = "slow"
        brief = "never starts"

        async def start(self) -> None:
            await asyncio.Event().wait()

    said, made = log_of("eccmgr.modules.loaded"), Loaded()
    monkeypatch.setattr(modules_loaded, "START_TIMEOUT_S", 0.01)
    made.modules.catalogue = Catalogue({"slow": Slow}, {})
    await made.modules.start(view('slow "x" { }', made.modules.catalogue))
    assert [event["reason"] for event in said] == ["its start takes more than 0.01 s"]
    assert "slow:x: its start takes more than 0.01 s" in await made.ask("module list")


@pytest.mark.asyncio
async def test_module_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch, log_of: LogOf) -> None:
    release, begun = asyncio.Event(), asyncio.Event()

    class Stubborn(Module):
        scope = "stubborn"
        brief = "does not end"

        async def run(self) -> None:
            while not release.is_set():
                begun.set()
                with contextlib.suppress(asyncio.CancelledError):
                    await release.wait()

    said, made = log_of("eccmgr.modules.loaded"), Loaded()
    monkeypatch.setattr(modules_loaded, "_STOP_TIMEOUT_S", 0.01)
    made.modules.catalogue = Catalogue({"stubborn": Stubborn}, {})
    await made.modules.start(view('stubborn "x" { }', made.modules.catalogue))
    await begun.wait()
    await made.modules.stop()
    release.set()
    assert [(event["event"], event["module"]) for event in said] == [("module does not end", "stubborn:x")]


@pytest.mark.asyncio
async def test_only_what_has_changed_is_made_anew() -> None:
    async with loaded('counter "a" { }\ncounter "b" { }') as made:
        await made.ask("counter:a next")
        await made.ask("counter:b next")
        await made.follow('counter "b" { first = 7 }\ncounter "a" { }')
        assert await made.ask("counter:a next") == "2"
        assert await made.ask("counter:b next") == "8"
        assert Counter.stopped == ["counter:b"]
        await made.follow("")
        assert sorted(Counter.stopped) == ["counter:a", "counter:b", "counter:b"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('counter "b" { first = 13 }', "/a:1:1: counter:b: 13 brings bad luck"),
        ('counter "b" { }\ncounter "c" { first = 99 }', "/a:2:1: counter:c: ValueError: 99 is broken"),
        ('only { }\nonly "x" { }', "there can be but one only"),
    ],
)
async def test_change_that_a_module_refuses_changes_nothing(text: str, said: str) -> None:
    async with loaded('counter "a" { }') as made:
        await made.ask("counter:a next")
        with pytest.raises(ConfigError, match=said):
            await made.follow(text)
        assert await made.ask("counter:a next") == "2"
        assert "counter:b" not in await made.ask("module list")
        assert "counter:a" not in Counter.stopped


@pytest.mark.asyncio
async def test_built_in_singleton_needs_no_scope() -> None:
    async with loaded("") as made:
        with pytest.raises(CommandError, match="Unknown command"):
            await made.ask("what is this")
    async with loaded("", "eccmgr") as made:
        assert await made.ask("what is 'this'") == "only got: what is 'this'"
        with pytest.raises(CommandError, match="quote is never closed"):
            await made.ask("'odd")


@pytest.mark.asyncio
async def test_a_command_of_the_daemon_is_never_replaced() -> None:
    async def own(_call: Call) -> str:
        return "own"

    async with loaded("") as made:
        made.table.add(Command("counter:a next", "", own))
        with pytest.raises(ConfigError, match="another command is named 'counter:a next'"):
            await made.follow('counter "a" { }')
        assert await made.ask("counter:a next") == "own"


@pytest.mark.asyncio
async def test_background_work_of_a_module_ends_with_it() -> None:
    worked: list[str] = []

    class Busy(Module):
        scope = "busy"
        brief = "works"

        async def run(self) -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                worked.append("ended")

    made = Loaded()
    made.modules.catalogue = Catalogue({"busy": Busy}, {})
    await made.modules.start(view('busy "x" { }', made.modules.catalogue))
    await asyncio.sleep(0)
    await made.modules.stop()
    assert worked == ["ended"]
