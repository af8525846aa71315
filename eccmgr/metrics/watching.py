"""Keeps the feed looking while somebody scrapes, so that a scrape itself asks Redis for nothing."""

import asyncio
import contextlib
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from eccmgr.config.live.parts import Part, Spawn
from eccmgr.feed.source import Source
from eccmgr.feed.topics import FeedTopic

TOPICS = (FeedTopic.CLUSTER, FeedTopic.VIPS, FeedTopic.JOBS)
_KEPT_S = 120.0
"""A feed that nobody has scraped for this long is left alone."""
_FIRST_S = 3.0


@dataclass(frozen=True)
class Scraped:
    """The items of the topics at a scrape."""

    items: Mapping[FeedTopic, Collection[Mapping[str, Any]]]

    @property
    def cluster(self) -> dict[str, Any]:
        """The cluster as a whole; empty if it was not read yet."""
        return dict(next(iter(self.items[FeedTopic.CLUSTER]), {}))


class ScrapeWatch(Part):
    """Reads the feed from the first scrape on, until nobody has scraped for a while."""

    title = "metrics"

    def __init__(self, source: Source) -> None:
        self._source = source
        self._wanted, self._seen = asyncio.Event(), asyncio.Event()
        self._scraped_s = 0.0

    async def start(self, spawn: Spawn) -> None:
        """Begin to wait for scrapes."""
        spawn(self._watch_for_ever(), "metrics")

    async def now(self) -> Scraped:
        """What the feed shows. The first scrape waits until the feed has looked, but not for ever."""
        self._scraped_s = time.monotonic()
        self._wanted.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_S):
                await self._seen.wait()
        return Scraped({topic: tuple(self._source.items(topic)) for topic in TOPICS})

    async def _watch_for_ever(self) -> None:
        while True:
            await self._wanted.wait()
            unseen = set(TOPICS)
            async with self._source.reader(TOPICS) as changes:
                async for change in changes:
                    unseen.discard(change.topic)
                    if not unseen:
                        self._seen.set()
                    if time.monotonic() - self._scraped_s > _KEPT_S:
                        break
            self._wanted.clear()
            self._seen.clear()
            if self._source.ended:
                return
