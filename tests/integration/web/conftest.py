"""A manager that serves pages, and what a client of it sees."""

import asyncio
import gzip
import http.client
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from eccmgr.manager import Manager
from tests.integration.fleet import Fleet

PAGES = ("/", "/nodes", "/vips", "/commands", "/jobs", "/schedules", "/audit", "/config")


def secret(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file of secrets."""
    path.write_text(text)
    path.chmod(mode)


@dataclass(frozen=True)
class Got:
    """What a request got."""

    code: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


async def fetch(
    url: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    context: Any = None,
    *,
    packed: bool = False,
) -> Got:
    """Make a request to the listener at `url`; `packed`: its answer is compressed."""

    def ask() -> Got:
        place = urlsplit(url)
        made: http.client.HTTPConnection
        if place.scheme == "https":
            trusting = context or ssl._create_unverified_context()
            made = http.client.HTTPSConnection(place.netloc, timeout=60, context=trusting)
        else:
            made = http.client.HTTPConnection(place.netloc, timeout=60)
        try:
            made.request(method, path, headers=dict(headers or {}))
            answer = made.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            text = answer.read()
            return Got(answer.status, found, (gzip.decompress(text) if packed else text).decode())
        finally:
            made.close()

    return await asyncio.to_thread(ask)


async def lines_of(url: str, path: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """The lines of a stream that is not over, without those of its frames."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    said = "".join(f"{name}: {value}\r\n" for name, value in {"Host": place.netloc, **(headers or {})}.items())
    writer.write(f"GET {path} HTTP/1.1\r\n{said}\r\n".encode())
    try:
        while line := await reader.readline():
            yield line.decode().strip()
    finally:
        writer.close()


async def serving(fleet: Fleet, options: str = "", listen: str = "127.0.0.1:0", **more: object) -> Manager:
    """A manager with an `Http_Listener`."""
    return await fleet.manager(configuration=f'Http_Listener {{ Listen = "{listen}"\n {options} }}\n', **more)


@pytest.fixture(autouse=True)
def _nothing_left(nothing_left: None, no_tasks_left: None) -> None: ...
