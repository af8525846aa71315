"""The one source of a manager's feed: it looks at each topic that somebody reads, and tells every reader the same."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from eccmgr.config.live.parts import Part, Spawn
from eccmgr.errors import EccmgrError
from eccmgr.feed.picture import FeedChange, Item, Picture
from eccmgr.feed.topics import FeedTopic

log = structlog.get_logger()

LOOK_EVERY_S = 0.5
"""The time between two looks: a topic changes at most twice a second."""
_NEEDS = {
    FeedTopic.CLUSTER: (FeedTopic.MEMBERS, FeedTopic.VIPS),
    FeedTopic.MEMBERS: (FeedTopic.VIPS,),
}
"""The topics out of which another one is made."""
_IN_ORDER = (FeedTopic.VIPS, FeedTopic.MEMBERS, *(set(FeedTopic) - {FeedTopic.VIPS, FeedTopic.MEMBERS}))


@dataclass(frozen=True, slots=True)
class Resync:
    """Tells a reader that it fell behind; a snapshot of `topic` follows."""

    topic: FeedTopic


class Watcher(Protocol):
    """Looks at one topic."""

    async def look(self, picture: Picture, at_ms: int) -> None:
        """Bring `picture` up to date. Raises EccmgrError."""

    def forget(self) -> None:
        """Nobody reads the topic any more: forget what was seen of it."""


class Source(Part):
    """Looks at the topics while somebody reads them. A topic without readers costs nothing."""

    title = "feeds"

    def __init__(
        self, watchers: Mapping[FeedTopic, Watcher], wall_ms: Callable[[], int], every_s: float = LOOK_EVERY_S
    ) -> None:
        self._watchers, self._wall_ms, self._every_s = watchers, wall_ms, every_s
        self._pictures: dict[FeedTopic, Picture] = {}
        self._readers: Counter[FeedTopic] = Counter()
        self._awake: set[asyncio.Event] = set()
        self._wanted = asyncio.Event()
        self.ended = False
        self._looked_s: float | None = None

    @property
    def age_s(self) -> float | None:
        """How long ago every topic with a reader was last looked at; None if that has not happened yet."""
        return None if self._looked_s is None else time.monotonic() - self._looked_s

    def serial(self, topic: FeedTopic) -> int | None:
        """The number of the latest change of a topic; None if nobody reads it, or if it was not looked at yet."""
        picture = self._pictures.get(topic)
        return None if picture is None else picture.serial or None

    @property
    def readers(self) -> int:
        """The number of readers."""
        return len(self._awake)

    def items(self, topic: FeedTopic) -> Collection[Item]:
        """The items of a topic as they were seen last; none if nobody reads it, or if it was not looked at yet."""
        picture = self._pictures.get(topic)
        return () if picture is None else picture.items.values()

    async def start(self, spawn: Spawn) -> None:
        """Begin to look."""
        spawn(self._look_for_ever(), "feed")

    async def finish(self) -> None:
        """End every reader."""
        self.ended = True
        self._wake()

    @contextlib.asynccontextmanager
    async def reader(self, topics: Sequence[FeedTopic]) -> AsyncIterator[AsyncIterator[FeedChange | Resync]]:
        """Read `topics` within the block: `async with source.reader(topics) as changes: async for change in changes`.

        The changes end when the manager does. A reader may take its time for each: the changes that it misses meanwhile
        come as one.
        """
        awake = asyncio.Event()
        looked_at = [*topics, *(needed for topic in topics for needed in _NEEDS.get(topic, ()))]
        self._awake.add(awake)
        self._readers.update(looked_at)
        for topic in looked_at:
            self._pictures.setdefault(topic, Picture(topic))
        self._wanted.set()
        changes = self._changes(topics, awake)
        try:
            yield changes
        finally:
            await changes.aclose()
            self._awake.remove(awake)
            self._readers.subtract(looked_at)

    async def _changes(
        self, topics: Sequence[FeedTopic], awake: asyncio.Event
    ) -> "AsyncGenerator[FeedChange | Resync]":
        seen = dict.fromkeys(topics, 0)
        while not self.ended:
            awake.clear()
            for topic in topics:
                for change in self._news(topic, seen[topic]):
                    if isinstance(change, FeedChange):
                        seen[topic] = change.serial
                    yield change
            await awake.wait()

    def _news(self, topic: FeedTopic, seen: int) -> "Iterator[FeedChange | Resync]":
        """What a reader lacks that has `seen` the change with this number; 0 stands for no change at all."""
        picture = self._pictures[topic]
        if picture.serial == seen:
            return
        change = picture.since(seen) if seen else picture.whole()
        if change is None:
            yield Resync(topic)
            change = picture.whole()
        yield from change.parts()

    def _wake(self) -> None:
        for awake in self._awake:
            awake.set()

    async def _look_for_ever(self) -> None:
        said: dict[FeedTopic, str] = {}
        while True:
            await self._wanted.wait()
            self._forget_unread()
            if not self._pictures:
                self._wanted.clear()
                self._looked_s = None
                continue
            started_s = time.monotonic()
            if all([await self._look(topic, said) for topic in _IN_ORDER if topic in self._pictures]):
                self._looked_s = started_s
            self._wake()
            await asyncio.sleep(self._every_s)

    def _forget_unread(self) -> None:
        for topic in [topic for topic in self._pictures if not self._readers[topic]]:
            del self._pictures[topic]
            self._watchers[topic].forget()

    async def _look(self, topic: FeedTopic, said: dict[FeedTopic, str]) -> bool:
        """Look at a topic; answers whether that was possible."""
        try:
            await self._watchers[topic].look(self._pictures[topic], self._wall_ms())
        except EccmgrError as error:
            # What was seen last stays until Redis answers again.
            if said.get(topic) != str(error):
                log.warning("feed not read", topic=topic.value, reason=str(error))
            said[topic] = str(error)
            return False
        said.pop(topic, None)
        return True
