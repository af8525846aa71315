"""Moves a node that states no subcluster to the subcluster in its bus file, at the start and whenever the file changes.

The node moves within its session: it listens for both subclusters, tells Redis, and then leaves the earlier one.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass

import structlog

from eccmgr.cluster.heartbeats import Heartbeats
from eccmgr.cluster.named import subcluster_given
from eccmgr.cluster.options import ClusterOptions
from eccmgr.errors import EccmgrError
from eccmgr.node.follower import Follower
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.subscribe import Subscription

log = structlog.get_logger()

_RETRY_S = 0.5
_LISTEN_WAIT_S = 2.0


@dataclass(frozen=True)
class SubclusterMove:
    """A move that some senders may not know of yet: the earlier channel, the view of the move, and the time after which
    it no longer matters."""

    channel: str
    view: int
    until: float


class Belonging:
    """Follows the statements of bus files on one node: `before_join` at the start, and `run` until cancelled."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        options: ClusterOptions,
        heartbeats: Heartbeats,
        subscription: Subscription,
        follower: Follower,
    ) -> None:
        self._link = link
        self._keys = keys
        self._options = options
        self._heartbeats = heartbeats
        self._session = heartbeats.session
        self._subscription = subscription
        self._follower = follower
        self._number: bytes | None = None
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._move: SubclusterMove | None = None
        self._moving_after: str | None = None
        """The last entry of the log that was heard before the present move began."""

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels on which the node listens."""
        return channels_of(self._keys, self._session.identity.name, self._session.identity.subcluster)

    def heard(self, number: bytes) -> None:
        """A heartbeat brought the number of the latest change of the bus files."""
        if number != self._number:
            self._number = number
            self._changed.set()

    def meant(self, channel: str, view: int) -> bool:
        """Whether a command on `channel` to the nodes of `view` is for this node: the node was in the subcluster in
        that view.

        During a move nobody knows this for a subcluster's channel. Its commands are read in the log after the move.
        """
        # Every message that is heard comes here, so the names are not made anew.
        everyone, subcluster, node = self._heartbeats.channels
        if channel in (everyone, node):
            return True
        if self._moving_after is not None:
            return False
        move = self._move
        if move is not None and channel == move.channel:
            return view < move.view
        return channel == subcluster and (move is None or view >= move.view or time.monotonic() > move.until)

    async def before_join(self) -> None:
        """Set the subcluster that the node joins. Raises EccmgrError if Redis does not say which one."""
        async with self._turn:
            given = await subcluster_given(self._link, self._keys, self._session.identity.name)
            if given is not None:
                self._session.identity = self._session.identity.of(given)
            self._move = self._moving_after = None
            self._follower.follow(self.channels)
            self._heartbeats.channels = self.channels
            await self._listen_on(self.channels)

    async def run(self) -> None:
        """Move whenever a bus file says so, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._follow()
            except EccmgrError as error:
                log.warning("subcluster not known", reason=str(error))
                self._changed.set()
                await asyncio.sleep(_RETRY_S)

    async def _follow(self) -> None:
        async with self._turn:
            session = self._session
            subcluster, channels_before = session.identity.subcluster, self.channels
            given = await subcluster_given(self._link, self._keys, session.identity.name)
            is_moving = self._moving_after is not None
            if given is None or (given.lower() == subcluster.lower() and not is_moving) or not session.joined.is_set():
                return
            # Listen for commands of both subclusters.
            await self._listen_on((*channels_before, self._keys.subcluster(given)))
            self._moving_after = self._moving_after or self._follower.here
            view = await session.move_to(given)
            after, self._moving_after = self._moving_after, None
            channels, left = self.channels, self._keys.subcluster(subcluster)
            if view is not None:
                self._move = SubclusterMove(left, view, time.monotonic() + 2 * self._options.command_ttl_s)
                self._heartbeats.channels = channels
                log.info("moved", subcluster=given, before=subcluster, reason="its bus file says so", view=view)
            # Commands that were sent to the earlier subcluster before the move are still for this node.
            self._follower.follow((*channels, left) if left not in channels else channels, after)
            await self._listen_on(channels)

    async def _listen_on(self, channels: tuple[str, ...]) -> None:
        self._subscription.listen_on(channels)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LISTEN_WAIT_S):
                await self._subscription.listening.wait()


def channels_of(keys: Keys, node: str, subcluster: str) -> tuple[str, str, str]:
    """The channels of a node: that of all nodes, that of its subcluster, and its own."""
    return keys.everyone, keys.subcluster(subcluster), keys.node(node)
