"""Keeps the feed looking while somebody scrapes, so that a scrape itself asks Redis for nothing."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from eccmgr.config.live.parts import Part, Spawn
from eccmgr.errors import EccmgrError
from eccmgr.feed.picture import FeedChange
from eccmgr.feed.source import Source
from eccmgr.feed.topics import FeedTopic
from eccmgr.metrics.agreement import AgreementWatch

_FINAL = ("ok", "failed", "aborted", "lost")
TOPICS = (FeedTopic.CLUSTER, FeedTopic.VIPS, FeedTopic.JOBS)
_KEPT_S = 120.0
"""A feed that nobody has scraped for this long is left alone."""
_FIRST_S = 3.0
_AGREEMENT_EACH_S = 10.0
_ENDED_MAX = 10_000


@dataclass(frozen=True)
class Scraped:
    """The items of the topics at a scrape."""

    items: Mapping[FeedTopic, Collection[Mapping[str, Any]]]
    finished: Mapping[str, int] = field(default_factory=dict)
    """The jobs whose ends the feed has told, by state."""
    disagreeing: Mapping[str, int] = field(default_factory=dict)
    """The addresses on which nodes disagree, by what that means."""

    @property
    def cluster(self) -> dict[str, Any]:
        """The cluster as a whole; empty if it was not read yet."""
        return dict(next(iter(self.items[FeedTopic.CLUSTER]), {}))


class ScrapeWatch(Part):
    """Reads the feed from the first scrape on, until nobody has scraped for a while."""

    title = "metrics"

    def __init__(self, source: Source, agreement: AgreementWatch) -> None:
        self._source, self._agreement = source, agreement
        self._finished: Counter[str] = Counter(dict.fromkeys(_FINAL, 0))
        self._ended: set[str] = set()
        """The ended jobs that the feed shows: each is counted once."""
        self._has_seen_jobs = False
        self._wanted, self._seen = asyncio.Event(), asyncio.Event()
        self._scraped_s = 0.0

    async def start(self, spawn: Spawn) -> None:
        """Begin to wait for scrapes."""
        spawn(self._watch_for_ever(), "metrics")
        spawn(self._watch_agreement(), "agreement on VIPs")

    async def now(self) -> Scraped:
        """What the feed shows. The first scrape waits until the feed has looked, but not for ever."""
        self._scraped_s = time.monotonic()
        self._wanted.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_S):
                await self._seen.wait()
        disagreeing = {kind.value: number for kind, number in self._agreement.disagreeing.items()}
        items = {topic: tuple(self._source.items(topic)) for topic in TOPICS}
        return Scraped(items, dict(self._finished), disagreeing)

    async def _watch_for_ever(self) -> None:
        while True:
            await self._wanted.wait()
            unseen = set(TOPICS)
            async with self._source.reader(TOPICS) as changes:
                async for change in changes:
                    unseen.discard(change.topic)
                    if isinstance(change, FeedChange) and change.topic is FeedTopic.JOBS:
                        self._count(change)
                    if not unseen:
                        self._seen.set()
                    if time.monotonic() - self._scraped_s > _KEPT_S:
                        break
            self._wanted.clear()
            self._seen.clear()
            if self._source.ended:
                return

    def _count(self, change: FeedChange) -> None:
        """Count the jobs that have ended since the change before. The first one shows what had ended earlier."""
        ended = {str(job["id"]): str(job["state"]) for job in change.items if job["ended"] is not None}
        if self._has_seen_jobs:
            self._finished.update(state for job, state in ended.items() if job not in self._ended)
        self._has_seen_jobs = True
        self._ended = (self._ended - set(change.gone)) | ended.keys()
        if change.full and len(self._ended) > _ENDED_MAX:
            self._ended = set(ended)

    async def _watch_agreement(self) -> None:
        while True:
            await self._wanted.wait()
            # What was seen last stays until Redis answers again; `eccmgr_redis_up` says that it does not.
            with contextlib.suppress(EccmgrError):
                await self._agreement.look()
            await asyncio.sleep(_AGREEMENT_EACH_S)
