"""The gate is the only way from a line to a handler, also for a command inside a command."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from eccmgr.commands.caller import Caller, Origin
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import COMMAND, Call, Carries, Command, Param, Table, prompt, refused
from eccmgr.errors import CommandError, UsageError

ROOT = Path(__file__).resolve().parents[2]
GATE = Path("eccmgr/commands/gate.py")


def source() -> Iterator[tuple[Path, ast.Module]]:
    for top in ("eccmgr", "worker", "cli"):
        for path in sorted((ROOT / top).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def test_only_the_gate_calls_handlers_and_says() -> None:
    found = {
        str(path)
        for path, tree in source()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and (node.attr == "handler" or (node.attr == "say" and _is_command(node.value)))
    }
    assert found == {str(GATE)}


def _is_command(value: ast.expr) -> bool:
    """Whether `value` has the name of a command. Other objects have a `say` too, for example the guardian's."""
    return isinstance(value, ast.Name | ast.Attribute) and (
        value.id if isinstance(value, ast.Name) else value.attr
    ) in ("command", "found", "entry")


def test_nothing_but_the_gate_makes_a_call() -> None:
    made = {
        str(path)
        for path, tree in source()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Call"
        and any(
            ast.unparse(i).endswith("import Call") or "commands.table import" in ast.unparse(i)
            for i in ast.walk(tree)
            if isinstance(i, ast.ImportFrom)
        )
    }
    assert made == {str(GATE)}


async def _carrying(call: Call) -> str:
    return call.carry(call.args[-1])


def _gate() -> Gate:
    table = Table()
    table.add(
        prompt("pid", "the process id", lambda: "7"),
        refused("authz", "authz waits"),
        Command("broadcast", "", _carrying, (COMMAND,), carries=Carries.FOR_NODES),
        Command("sched in", "", _carrying, (Param("SECONDS"), COMMAND), carries=Carries.FOR_ITSELF),
        Command("careless", "", _carrying, (COMMAND,)),
    )
    return Gate(table)


@pytest.mark.asyncio
async def test_what_is_at_hand_passes_the_gate_too() -> None:
    gate, caller = _gate(), Caller("ann", Origin.CARRIED)
    assert gate.answer_at_hand("pid", caller) == "7"
    assert gate.answer_at_hand("broadcast", caller) is None
    assert (await gate.run("PID", caller)).text == "7"
    assert gate.passed == {Origin.CARRIED: 2}


@pytest.mark.asyncio
async def test_the_command_inside_passes_the_gate_too() -> None:
    gate = _gate()
    assert (await gate.run('broadcast "no such command"', Caller("ann"))).text == "no such command"
    assert gate.passed == {Origin.CONSOLE: 2}
    assert (await gate.run("sched in 5 json pid", Caller("ann"))).text == "json pid"
    assert gate.passed == {Origin.CONSOLE: 4}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("sched in 5 nonsense", "Unknown command: 'nonsense'"),
        ("sched in 5 pid now", "Usage: pid"),
        ("sched in 5 authz id", "authz waits"),
        ('broadcast ""', "The command is empty"),
        ('broadcast say "x', "A quote is never closed"),
    ],
)
async def test_what_may_not_be_carried_is_refused(line: str, error: str) -> None:
    with pytest.raises((CommandError, UsageError), match=error):
        await _gate().run(line, Caller("ann"))


@pytest.mark.asyncio
async def test_the_table_says_what_carries_a_command() -> None:
    with pytest.raises(AssertionError, match="the table does not say that careless carries a command"):
        await _gate().run("careless pid", Caller("ann"))
