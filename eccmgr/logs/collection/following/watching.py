"""The part of a node that sends its logs, and follows the configuration in that."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog

from eccmgr.cluster.options import ClusterOptions
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.parts import Part, Prepared, Spawn, Takeover
from eccmgr.config.syntax.changes import Change
from eccmgr.errors import EccmgrError
from eccmgr.logs.collection.following.sender import LogSender
from eccmgr.logs.collection.following.waking import Wakers
from eccmgr.logs.collection.options import WatchedLog, watching_options
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

log = structlog.get_logger()

_SAY_S = 2.0
_SAY_AGAIN = 15
"""What has not changed is said again each so many times."""
_TTL_MS = 30 * 24 * 3600 * 1000


class WatchingPart(Part):
    """Follows the logs of one node, and sends them."""

    title = "logs of this node"

    def __init__(
        self,
        link: Link,
        keys: Keys,
        options: ClusterOptions,
        node: str,
        subcluster: Callable[[], str],
        view: ScopeView,
    ) -> None:
        """Raises ConfigError."""
        self._link, self._keys, self._options, self._node = link, keys, options, node
        self._subcluster = subcluster
        self.how = watching_options(view)
        self.senders: dict[WatchedLog, LogSender] = {}
        self._tasks: dict[WatchedLog, asyncio.Task[None]] = {}
        self._wakers = Wakers()
        self._changed = asyncio.Event()
        self._said: dict[str, str] = {}

    def check(self, view: ScopeView) -> None:
        """Raises ConfigError if the logs make no sense."""
        watching_options(view)

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> Prepared:
        """Read which logs to send. Raises ConfigError."""
        how = watching_options(view)

        def take() -> None:
            if how != self.how:
                self.how = how
                self._changed.set()

        return Takeover(take)

    async def start(self, spawn: Spawn) -> None:
        """Begin to send."""
        self._wakers.open()
        spawn(self._run(), "logs of this node")

    async def close(self) -> None:
        """Watch no more."""
        self._wakers.close()

    async def _run(self) -> None:
        try:
            rounds = 0
            while True:
                await self._fit()
                if self.senders or self._said:
                    await self._say(again=rounds % _SAY_AGAIN == 0)
                rounds += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_SAY_S if self.senders else None):
                        await self._changed.wait()
                self._changed.clear()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _fit(self) -> None:
        """Follow exactly the logs that are configured."""
        for watched in [watched for watched in self.senders if watched not in self.how.logs]:
            self._tasks[watched].cancel()
            await asyncio.gather(self._tasks.pop(watched), return_exceptions=True)
            del self.senders[watched]
        for task in self._tasks.values():
            if task.done():
                # A fault of the program. It ends the daemon with its trace, as in every other task.
                task.result()
        for watched in self.how.logs:
            if watched not in self.senders:
                sender = LogSender(
                    *(self._link, self._keys, self._options, self._node, watched, self._subcluster),
                    *(self._wakers, self.how.pipe_max),
                )
                self.senders[watched] = sender
                self._tasks[watched] = asyncio.create_task(sender.run(), name=f"log {watched.name}")

    async def _say(self, *, again: bool) -> None:
        """Tell the managers of the logs of this node."""
        news = {sender.watched.name: sender.news.dump() for sender in self.senders.values()}
        if news == self._said and not again:
            return
        key = self._keys.logs_of(self._node)
        commands: list[tuple[str | int, ...]] = []
        if gone := [name for name in self._said if name not in news]:
            commands.append(("HDEL", key, *gone))
        if news:
            commands.append(("HSET", key, *(word for item in news.items() for word in item)))
            commands += [("PEXPIRE", key, _TTL_MS), ("ZADD", self._keys.logs, 0, self._node.lower())]
        else:
            commands.append(("ZREM", self._keys.logs, self._node.lower()))
        commands.append(("PEXPIRE", self._keys.logs, _TTL_MS))
        try:
            await self._link.pipeline(*commands)
        except EccmgrError as error:
            log.debug("logs not told", reason=str(error))
        else:
            self._said = news
