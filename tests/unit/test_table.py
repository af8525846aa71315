"""The table of commands: a line finds its command, or an answer that says why there is no such command."""

import pytest

from eccmgr.commands.answer import Answer
from eccmgr.commands.caller import Caller
from eccmgr.commands.danger import Danger
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import COMMAND, Call, Command, Param, Table, help_command, overview, refused
from eccmgr.errors import CommandError, NotAvailable, UsageError

pytestmark = pytest.mark.asyncio

CALLER = Caller("root")


async def shown(call: Call) -> str:
    return " | ".join(call.args)


@pytest.fixture
def table() -> Table:
    made = Table()
    made.add(
        help_command(made),
        Command("info", "the cluster", shown),
        Command("broadcast", "to all", shown, (COMMAND,)),
        Command("subcluster broadcast", "to some", shown, (Param("NAME"), COMMAND)),
        Command("subcluster retrieve", "from some", shown, (Param("NAME"), COMMAND)),
        Command("show cluster membership", "members", shown, about="In XML."),
        Command("history", "the latest", shown, (Param("N", optional=True),)),
        Command("version", "the banner", shown),
        refused("preview"),
        refused("cluster", "not here"),
    )
    return made


async def run(table: Table, line: str) -> str:
    return (await Gate(table).run(line, CALLER)).text


@pytest.mark.parametrize(
    ("line", "args"),
    [
        ("broadcast pid", "pid"),
        ("BroadCast pid", "pid"),
        ("  broadcast   pid  ", "pid"),
        ("broadcast config  set  a \"b  c\"  'd'", "config  set  a \"b  c\"  'd'"),
        ("broadcast it\\'s fine", "it\\'s fine"),
        ("subcluster  BROADCAST  East  pid  x", "East | pid  x"),
        ('subcluster broadcast "East" "pid"', 'East | "pid"'),
        ("subcluster broadcast East\\ 1 pid", "East 1 | pid"),
        ("history", ""),
        ("history 5", "5"),
    ],
)
async def test_command_is_found_and_gets_its_arguments(table: Table, line: str, args: str) -> None:
    assert await run(table, line) == args


@pytest.mark.parametrize(
    ("line", "usage"),
    [
        ("broadcast", "broadcast COMMAND"),
        ("broadcast   ", "broadcast COMMAND"),
        ("subcluster broadcast", "subcluster broadcast NAME COMMAND"),
        ("subcluster broadcast east", "subcluster broadcast NAME COMMAND"),
        ("info now", "info"),
        ("history 5 6", "history [N]"),
    ],
)
async def test_missing_and_extra_words_answer_the_usage(table: Table, line: str, usage: str) -> None:
    with pytest.raises(UsageError, match=f"^Usage: {usage.replace('[', '.').replace(']', '.')}$"):
        await run(table, line)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("infos", "Unknown command: 'infos'. Did you mean 'info'? Type help for a list."),
        ("Infos x y", "Unknown command: 'Infos'. Did you mean 'info'? Type help for a list."),
        ("qqq", "Unknown command: 'qqq'. Type help for a list."),
        ("broad pid", "Unknown command: 'broad'. Did you mean 'broadcast'? Type help for a list."),
        ("subcluster", "Usage: subcluster broadcast | retrieve"),
        (
            "subcluster x y",
            "Unknown command: 'subcluster x'. subcluster has: broadcast, retrieve. Type help for a list.",
        ),
        ("show", "Usage: show cluster membership"),
        ("show cluster", "Usage: show cluster membership"),
        (
            "subcluster retreive x",
            "Unknown command: 'subcluster retreive'. Did you mean 'subcluster retrieve'? Type help for a list.",
        ),
        ("", "No command was given. Type help for a list."),
        ('"info', "A quote is never closed: close it, or write a backslash before it"),
    ],
)
async def test_an_unknown_command_is_answered_with_a_hint(table: Table, line: str, said: str) -> None:
    with pytest.raises(CommandError) as raised:
        await run(table, line)
    assert str(raised.value) == said


@pytest.mark.parametrize("line", ["shutdwn", "show", "flsh", "cluster rest", "cluster abrt x"])
async def test_a_dangerous_command_is_never_suggested(line: str) -> None:
    made = Table()
    for name in ("shutdown", "flush control cache", "cluster reset", "cluster abort"):
        made.add(Command(name, "", shown, danger=Danger.ASKS))
    made.add(Command("cluster info", "", shown))
    with pytest.raises(CommandError, match=r"^Unknown command") as raised:
        await run(made, line)
    assert "Did you mean" not in str(raised.value)


async def test_help_may_follow_a_family(table: Table) -> None:
    assert await run(table, "subcluster Help") == await run(table, "help subcluster")
    with pytest.raises(CommandError, match="Unknown command: 'nothing'"):
        await run(table, "nothing help")


async def test_a_prefix_of_a_name_is_not_accepted(table: Table) -> None:
    with pytest.raises(CommandError, match="Unknown command"):
        await run(table, "vers")


async def test_long_unknown_command_is_not_repeated(table: Table) -> None:
    with pytest.raises(CommandError) as raised:
        await run(table, "v" * 64 * 1024)
    assert str(raised.value) == f"Unknown command: '{'v' * 80}…'. Type help for a list."


async def test_a_handler_may_answer_text_or_more(table: Table) -> None:
    async def partly(_call: Call) -> Answer:
        return Answer("some", tail="rest")

    table.add(Command("partly", "", partly))
    assert (await Gate(table).run("partly", CALLER)).tail == "rest"


async def test_two_commands_of_one_name_are_a_fault(table: Table) -> None:
    with pytest.raises(ValueError, match="two commands are named Info"):
        table.add(Command("Info", "", shown))


async def test_help_lists_exactly_the_working_commands(table: Table) -> None:
    listed = [line.split("  ")[0] for line in (await run(table, "help")).splitlines()]
    assert listed == sorted(command.usage for command in table.commands.values() if not command.refusal)
    assert not [line for line in listed if line.startswith(("preview", "cluster"))]


async def test_help_of_a_command_is_usage_and_description(table: Table) -> None:
    assert await run(table, "help SHOW  cluster membership") == "Usage: show cluster membership\n  members\n\nIn XML."


async def test_help_of_a_family_is_that_of_each(table: Table) -> None:
    text = await run(table, "help subcluster")
    assert text.count("Usage: subcluster ") == 2


async def test_help_of_what_a_command_line_begins_with(table: Table) -> None:
    assert (await run(table, "help broadcast pid")).startswith("Usage: broadcast COMMAND")


async def test_help_of_what_is_refused_says_why(table: Table) -> None:
    with pytest.raises(NotAvailable, match=r"^not here$"):
        await run(table, "help cluster")


async def test_help_of_nothing_known_suggests(table: Table) -> None:
    with pytest.raises(CommandError, match=r"Did you mean 'version'\?"):
        await run(table, "help verzion")


@pytest.mark.parametrize("line", ["preview", "preview @all", "cluster membership"])
async def test_a_refused_command_says_so_whatever_follows(table: Table, line: str) -> None:
    with pytest.raises(NotAvailable):
        await run(table, line)


async def test_the_overview_is_aligned(table: Table) -> None:
    briefs = {command.usage: command.brief for command in table.listed()}
    columns = {
        line.index(briefs[line.split("  ")[0]], len(line.split("  ")[0])) for line in overview(table).splitlines()
    }
    assert len(columns) == 1
