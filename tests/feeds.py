"""Reads the feed of a manager as a console does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from eccmgr.control import frames
from tests.integration.fleet import Fleet
from tests.listeners import Client


class Reading:
    """What a client has made of the chunks that it has got."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.shown: dict[str, dict[str, dict[str, Any]]] = {}
        self.serials: dict[str, list[int]] = {}
        self.chunks: list[dict[str, Any]] = []

    async def read(self) -> None:
        """Take chunks until cancelled."""
        while True:
            self.take(await self.client.fields(frames.CHUNK))

    def take(self, chunk: dict[str, Any]) -> None:
        self.chunks.append(chunk)
        if chunk["event"] == "resync":
            return
        topic = self.shown.setdefault(chunk["topic"], {})
        if chunk["full"]:
            topic.clear()
        for name in chunk["gone"]:
            del topic[name]
        for item in chunk["items"]:
            topic[item.get("name") or item.get("id") or item.get("address") or item["cluster"]] = item
        self.serials.setdefault(chunk["topic"], []).append(chunk["serial"])


@asynccontextmanager
async def reading(fleet: Fleet, topics: str) -> AsyncIterator[Reading]:
    """Read `topics` of the first manager during the block."""
    async with await Client.open(str(fleet.managers[0].endpoints[0].path)) as client:
        client.request(f"feed {topics}", id=7, stream=True)
        made = Reading(client)
        task = asyncio.create_task(made.read())
        try:
            yield made
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
