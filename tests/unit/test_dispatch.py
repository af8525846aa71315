"""From a line to an answer: white space, forms, and errors made into text."""

import asyncio
import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.commands.answer import Format, Status, split_form
from eccmgr.commands.caller import Caller
from eccmgr.commands.completion import Known
from eccmgr.commands.dispatch import reply
from eccmgr.commands.gate import Gate
from eccmgr.commands.standing import standing_commands
from eccmgr.commands.table import COMMAND, Call, Command, Param, Table, refused
from eccmgr.errors import CommandError, RedisUnreachable

CALLER = Caller("root")


async def echo(call: Call) -> str:
    return call.args[0]


async def fails(_call: Call) -> str:
    raise CommandError("it cannot be done")


async def away(_call: Call) -> str:
    raise RedisUnreachable("Redis is not reachable: gone")


async def fails_in_a_task(call: Call) -> str:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crashes(call) if call.args else fails(call))
    return "it was done"


async def crashes(_call: Call) -> str:
    raise ZeroDivisionError("secret detail")


async def nothing_known(_caller: Caller) -> Known:
    return Known()


def build() -> Table:
    table = Table()
    table.add(
        *standing_commands(table, "eccmgr", nothing_known, lambda: None, lambda: 0),
        Command("echo", "", echo, (COMMAND,)),
        Command("fails", "", fails),
        Command("together", "", fails_in_a_task, (Param("HOW", optional=True, rest=True),)),
        Command("away", "", away),
        Command("crashes", "", crashes),
        refused("preview"),
    )
    return table


TABLE = build()


async def body(line: str, form: Format = Format.TEXT) -> str:
    return (await reply(Gate(TABLE), line, CALLER, form)).body


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "line",
    [
        "echo a  b",
        "\necho a  b",
        "\r\n\r\necho a  b",
        "echo a  b\n",
        "echo a  b\r\n",
        "echo a  b\0",
        "echo a  b\n\0",
        "echo a  b  \0\0 \t\n",
        "\0echo a  b",
        "\v\fecho a  b",
    ],
)
async def test_space_and_nul_around_a_command_are_dropped(line: str) -> None:
    assert await body(line) == "a  b"


@pytest.mark.asyncio
@pytest.mark.parametrize("line", ["", " ", "\n", "\0", " \t\r\n\0", "\u00a0", "\u3000\n"])
async def test_an_empty_command_gets_an_empty_answer(line: str) -> None:
    assert await body(line) == ""


@pytest.mark.asyncio
@pytest.mark.parametrize("line", ["echo a\nb", "echo a\rb", "a\r\nb", "json\nversion", "json echo a\nb"])
async def test_a_newline_inside_is_refused(line: str) -> None:
    answered = await reply(Gate(TABLE), line, CALLER)
    assert answered.answer.text == "A command is one line"
    assert answered.answer.status is Status.ERROR


@pytest.mark.asyncio
@pytest.mark.parametrize("line", ["json", "json ", "JSON \t\n", " json\0"])
async def test_bare_json_answers_its_usage_as_json(line: str) -> None:
    assert json.loads(await body(line)) == {
        "command": line.strip(" \t\n\0"),
        "status": "error",
        "body": "Usage: json COMMAND",
    }


@pytest.mark.asyncio
@pytest.mark.parametrize("line", ["xml", "xml ", "Xml  \n", "xml\0"])
async def test_bare_xml_answers_its_usage_as_xml(line: str) -> None:
    element = ET.fromstring(await body(line))
    assert (element.attrib["Status"], element.text) == ("error", "Usage: xml COMMAND")


@pytest.mark.asyncio
async def test_word_before_a_command_asks_for_a_form() -> None:
    assert json.loads(await body('json  echo "a  b"')) == {"command": 'echo "a  b"', "status": "ok", "body": '"a  b"'}
    assert ET.fromstring(await body("xml echo <a>")).text == "<a>"


@pytest.mark.asyncio
async def test_form_in_the_line_wins_over_the_request() -> None:
    assert json.loads(await body("json echo a", Format.XML))["body"] == "a"
    assert json.loads(await body("echo a", Format.JSON))["body"] == "a"


@pytest.mark.asyncio
@pytest.mark.parametrize("line", ["xml json version", "json xml version", "json JSON version"])
async def test_a_form_of_a_form_answers_the_usage(line: str) -> None:
    answered = await reply(Gate(TABLE), line, CALLER)
    assert answered.answer.usage
    assert answered.answer.text.startswith(f"Usage: {line.split()[1].lower()} COMMAND")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("fails", "it cannot be done"),
        ("together", "it cannot be done"),
        ("together at last", "Internal error: ZeroDivisionError (see the log)"),
        ("away", "Redis is not reachable: gone"),
        ("preview x", "preview is not available yet in this release"),
        ("echo", "Usage: echo COMMAND"),
        ("ecko", "Unknown command: 'ecko'. Did you mean 'echo'? Type help for a list."),
        ("crashes", "Internal error: ZeroDivisionError (see the log)"),
    ],
)
async def test_error_is_an_answer_in_every_form(line: str, said: str) -> None:
    assert await body(line) == said
    assert json.loads(await body(f"json {line}"))["body"] == said
    assert json.loads(await body(f"json {line}"))["status"] == "error"
    assert ET.fromstring(await body(f"xml {line}")).text == said


@pytest.mark.asyncio
async def test_json_and_xml_are_in_help() -> None:
    listed = await body("help")
    assert "\njson COMMAND " in listed
    assert "\nxml COMMAND " in listed
    assert (await body("help json")).startswith("Usage: json COMMAND\n")


@given(st.text(max_size=60) | st.text(alphabet="xmljson \t\n\0\"'\\", max_size=30))
def test_any_line_at_all_gets_an_answer(line: str) -> None:
    coroutine = reply(Gate(TABLE), line, CALLER)
    # No command of this table waits, so it ends at its first step, and StopIteration carries the answer.
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    assert "Internal error" not in ended.value.value.body


@pytest.mark.parametrize(
    ("line", "form", "command"),
    [
        ("version", Format.TEXT, "version"),
        ("xmlversion", Format.TEXT, "xmlversion"),
        ("xml version", Format.XML, "version"),
        ("  JSON\tversion  ", Format.JSON, "version"),
        ("json", Format.JSON, ""),
        ("", Format.TEXT, ""),
        ("text version", Format.TEXT, "text version"),
    ],
)
def test_the_first_word_may_name_a_form(line: str, form: Format, command: str) -> None:
    assert split_form(line) == (form, command)
