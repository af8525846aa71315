"""Sends one log of a node through its pipe, as fast as the pipe takes it."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import structlog

from eccmgr.cluster.options import ClusterOptions
from eccmgr.errors import EccmgrError
from eccmgr.logs.collection.following.follower import LogFollower
from eccmgr.logs.collection.following.sources import LogFolder
from eccmgr.logs.collection.following.succession import Turns
from eccmgr.logs.collection.following.waking import Wakers
from eccmgr.logs.collection.news import LogNews, dump_files, parse_files
from eccmgr.logs.collection.options import WatchedLog
from eccmgr.logs.collection.pipe import calls
from eccmgr.logs.collection.pipe.calls import Appended, AppendVerdict, PipeKeys, place_in
from eccmgr.logs.collection.records import Packer, Record
from eccmgr.logs.collection.safe_names import safe_name
from eccmgr.redis.backoff import Backoff
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.wire import Argument

log = structlog.get_logger()

_READ = 1 << 20
_SENT_AT_ONCE = 8
_GATHER_S = 0.25
"""After a change of the file, so much time passes before it is read, so that lines travel together."""
_CHECK_S = 2.0
"""A log without news asks so often whether a manager wants something again."""
_FULL_S, _FULL_MAX_S = 0.05, 0.5
_FULL_AGAIN = 2
"""After so many attempts at a full pipe, only its state is asked for."""
_LOOK_S = 1.0
"""While nothing can be sent, the files are looked at so often."""
_UNSENT_MAX = 1000
_RETRY_S = 1.0
_UNKNOWN = "?"
"""No pipe ends here. So Redis answers first with its end, and with what the node before this one told of the files."""


class _Packed(NamedTuple):
    """A record, and its words in the call that sends it."""

    record: Record
    words: tuple[Argument, ...]


class LogSender:
    """Follows one log and sends it. Nothing but the position in the file is kept in memory."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        options: ClusterOptions,
        node: str,
        watched: WatchedLog,
        subcluster: Callable[[], str],
        wakers: Wakers,
        pipe_max: int,
    ) -> None:
        self._link, self._options, self.watched, self._subcluster = link, options, watched, subcluster
        self._keys = PipeKeys.of(keys, node, safe_name(watched.name))
        self._wakers, self._pipe_max = wakers, pipe_max
        self._folder = LogFolder(watched.path)
        self._follower = LogFollower(self._folder)
        self._tail: str | bytes = _UNKNOWN
        """The end of the pipe, as far as this node knows."""
        self._unsent: list[_Packed] = []
        self._has_more = False
        """Whether the log had more than was read at once."""
        self._packer = Packer()
        self._full = 0
        """The number of attempts for which the pipe has had no room."""
        self._looked_s = 0.0
        self.counted: Counter[str] = Counter()
        """Since the start: the bytes read and sent, and the bytes lost before anybody read them."""
        self.fault = ""
        """The reason why the log cannot be read; "" if it can."""
        self.held = 0
        """The bytes in the pipe."""

    @property
    def news(self) -> LogNews:
        """What the node says of this log."""
        behind = self._follower.behind + sum(len(packed.record.data) for packed in self._unsent)
        watched = self.watched
        return LogNews(
            *(watched.name, watched.subscribers, self._subcluster(), self._follower.size, behind),
            *(self.counted["lost"], self.fault),
        )

    async def run(self) -> None:
        """Send until cancelled."""
        backoff = Backoff(lambda: _RETRY_S)
        try:
            while True:
                try:
                    await self._send()
                    backoff.reset()
                except EccmgrError as error:
                    log.debug("log not sent", log=self.watched.name, reason=str(error))
                    await self._look()
                    await self._link.pause(backoff.next_s())
        finally:
            self._follower.close()

    async def _send(self) -> None:
        """Read some of the log and send it, or wait for more. Raises EccmgrError."""
        if not self._unsent and self._tail != _UNKNOWN:
            self._unsent = await self._read()
        sending = self._unsent[:_SENT_AT_ONCE] if self._full < _FULL_AGAIN else []
        words = [word for packed in sending for word in packed.words]
        appended = await self._link.run(
            calls.append(
                *(self._keys, self._options),
                tail=self._tail,
                most=self._pipe_max,
                subscribers=self.watched.subscribers,
                says=dump_files(self._follower.turns.dump()),
                words=words,
            )
        )
        if appended.verdict is AppendVerdict.MOVED:
            await self._move_to(appended)
            return
        self.held = appended.held
        self._count([packed.record for packed in sending[: appended.added]])
        del self._unsent[: appended.added]
        if not self._unsent:
            self._full = 0
            if not self._has_more:
                await self._wait_for_news(bool(sending))
        elif appended.added:
            self._full = 0
            if appended.added < len(sending):
                await asyncio.sleep(_FULL_S)
        elif sending or self.held > self._pipe_max // 2:
            await self._wait_for_room()
        else:
            self._full = 0

    async def _read(self) -> list[_Packed]:
        try:
            records = await asyncio.to_thread(self._pack, lambda: self._follower.read(_READ))
        except OSError as error:
            fault = error.strerror or str(error)
            if fault != self.fault:
                log.warning("log not read", log=self.watched.name, path=self.watched.path, reason=fault)
            self.fault, self._has_more = fault, False
            return []
        self.fault, self._has_more = "", sum(len(packed.record.data) for packed in records) >= _READ
        return records

    def _pack(self, read: Callable[[], list[Record]]) -> list[_Packed]:
        return [_Packed(record, self._packer.words(record)) for record in read()]

    async def _look(self) -> None:
        """Look at the files while nothing can be sent, but not too often."""
        now = time.monotonic()
        if now - self._looked_s < _LOOK_S or len(self._unsent) >= _UNSENT_MAX:
            return
        self._looked_s = now
        # If it cannot be read, the next attempt to read says so.
        with contextlib.suppress(OSError):
            self._unsent += await asyncio.to_thread(self._pack, self._follower.look)

    def _count(self, sent: list[Record]) -> None:
        if not sent:
            return
        self._tail = sent[-1].end.dump()
        for record in sent:
            self.counted["sent"] += len(record.data)
            if record.lost:
                self.counted["lost"] += record.lost
                log.warning("log bytes lost", log=self.watched.name, path=self.watched.path, bytes=record.lost)

    async def _move_to(self, end: Appended) -> None:
        """Go on where the pipe ends now. If that is unknown, go on where this node is."""
        place, files = place_in(end.tail), parse_files(end.said)
        if place is None:
            # The node before this one may have told of files that are gone since, and died before it sent anything.
            self._follower.turns = Turns([*files, *self._follower.turns.dump()])
        else:
            try:
                await asyncio.to_thread(self._follower.go_to, place, files, end.since_ms)
            except OSError:
                turns = Turns([*files, *self._follower.turns.dump()])
                self._follower = LogFollower(self._folder, place, turns, since_ms=end.since_ms)
            self._unsent, self._full = [], 0
        self._tail = end.tail

    async def _wait_for_room(self) -> None:
        """Wait longer each time, and let the files be known meanwhile."""
        await asyncio.sleep(min(_FULL_MAX_S, _FULL_S * 2**self._full))
        self._full = min(self._full + 1, 8)
        await self._look()

    async def _wait_for_news(self, has_sent: bool) -> None:
        """Wait until the file changes, but not for long: a manager may want something again."""
        if not has_sent:
            await self._wakers.wait(tuple(self._folder.folders), _CHECK_S)
        await asyncio.sleep(_GATHER_S)
