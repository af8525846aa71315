"""REQUEST, CHUNK and RESULT: commands with options, and the answers to malformed requests."""

import json
from pathlib import Path

import pytest

from eccmgr.control import frames
from tests.listeners import Client, listening

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]


@pytest.mark.parametrize("named", [7, 0, "a", "é", None, -1, 10**30])
async def test_the_id_comes_back(folder: Path, named: object) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.request("echo a", id=named)
        expected = {"id": named, "status": "ok", "exit": 0, "body": "a"}
        assert await client.fields(frames.RESULT) == expected


@pytest.mark.parametrize(
    ("command", "status", "code"),
    [
        ("echo a", "ok", 0),
        ("crash", "error", 1),
        ("nonsense", "error", 1),
        ("echo", "error", 2),
        ("json", "error", 2),
    ],
)
async def test_the_exit_code_is_that_of_the_console(folder: Path, command: str, status: str, code: int) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.request(command)
        fields = await client.fields(frames.RESULT)
        assert (fields["status"], fields["exit"]) == (status, code)


async def test_the_format_is_that_of_the_body(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.request("echo <é>", format="json")
        assert json.loads((await client.fields(frames.RESULT))["body"])["body"] == "<é>"
        client.request("echo <é>", format="xml")
        assert (await client.fields(frames.RESULT))["body"].endswith(">&lt;é&gt;</Answer>")
        client.request("echo <é>")
        assert (await client.fields(frames.RESULT))["body"] == "<é>"


async def test_without_stream_there_are_no_chunks(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        listener.release.set()
        client.request("wait")
        assert (await client.fields(frames.RESULT))["body"] == "waited"


async def test_plain_commands_and_requests_mix_in_order(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.send("echo 1")
        client.request("echo 2", id=2)
        client.send("echo 3")
        assert await client.answer() == "1"
        assert (await client.fields(frames.RESULT))["id"] == 2
        assert await client.answer() == "3"


@pytest.mark.parametrize(
    ("payload", "named", "said"),
    [
        (b"", None, "the payload is not JSON"),
        (b"{", None, "the payload is not JSON"),
        (b"\xff", None, "the payload is not JSON"),
        (b"[" * 100_000, None, "the payload is not JSON"),
        (b"9" * 10_000, None, "the payload is not JSON"),
        (b"[]", None, "an object is expected"),
        (b"null", None, "an object is expected"),
        (b'{"id": [7], "command": "version"}', None, "id is a number or a string"),
        (b'{"id": NaN, "command": "version"}', None, "id is a number or a string"),
        (b'{"id": 7}', 7, "command is a string of valid Unicode"),
        (b'{"id": 7, "command": 1}', 7, "command is a string of valid Unicode"),
        (b'{"id": 7, "command": "echo \\ud800"}', 7, "command is a string of valid Unicode"),
        (b'{"id": 7, "command": "version", "format": "yaml"}', 7, "format is one of text, json, xml"),
        (b'{"id": 7, "command": "version", "format": []}', 7, "format is one of text, json, xml"),
        (b'{"id": 7, "command": "version", "width": 0}', 7, "width is a number of columns"),
        (b'{"id": 7, "command": "version", "width": "wide"}', 7, "width is a number of columns"),
    ],
)
async def test_malformed_request_is_answered_and_the_session_continues(
    folder: Path, payload: bytes, named: int | None, said: str
) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.send_raw(frames.encode(frames.REQUEST, payload))
        expected = {"id": named, "status": "error", "exit": 2, "body": f"Not a request: {said}"}
        assert await client.fields(frames.RESULT) == expected
        assert await client.ask("echo on") == "on"


async def test_authentication_is_refused_where_none_is_asked_for(folder: Path) -> None:
    async with listening(folder) as listener, await Client.open(listener.path) as client:
        client.send_raw(frames.encode(frames.AUTH, b"{}"))
        fields = await client.fields(frames.AUTH)
        assert fields == {"ok": False, "error": "This listener does not ask for authentication"}
        assert await client.ask("echo on") == "on"
