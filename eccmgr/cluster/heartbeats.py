"""The heartbeats of a member: they keep its session alive, and begin another one after a lapse."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable

import structlog

from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.session import Session
from eccmgr.cluster.sweeping import Sweeper
from eccmgr.errors import EccmgrError, NameInUse, RedisRefuses, RedisUnreachable
from eccmgr.redis.backoff import Backoff
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

log = structlog.get_logger()

_RETRY_MAX_S = 1.0
_PROBE_HOLDER_S = 0.1


class Heartbeats:
    """Keeps `session` alive: joins, renews at each interval, and joins again. While its member leads, it sweeps too."""

    def __init__(self, link: Link, keys: Keys, options: ClusterOptions, session: Session) -> None:
        self.session = session
        self.channels: tuple[str, ...] = ()
        """The channels on which we listen; each heartbeat asks for the latest entry of each in the log."""
        self.on_heads: Callable[[dict[str, str]], None] = lambda _heads: None
        """Called with these entries: a member that has not heard of one of them may be deaf."""
        self.on_bus: Callable[[bytes], None] = lambda _number: None
        """Called at each heartbeat with the number of the latest change of the bus files; b"" without a bus file."""
        self.on_leader: Callable[[str], None] = lambda _leader: None
        """Called at each heartbeat with the private name of the leader; "" without a leader."""
        self.on_superseded: Callable[[], None] = lambda: None
        """Called when it turns out that another live process has our name."""
        self.before_join: Callable[[], Awaitable[None]] | None = None
        """If set, called before each join to settle the subcluster and the record. Raises EccmgrError if that fails."""
        self.listening: asyncio.Event | None = None
        """If there is such an event, we join only while it is set: a member must listen before commands are sent to
        it."""
        self._link = link
        self._options = options
        self._sweeper = Sweeper(link, keys, options, session)
        self._hurried = asyncio.Event()

    async def run(self) -> None:
        """Keep the session alive until cancelled. If our name is taken meanwhile, log that and keep trying."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew_forever(), name="heartbeats")
            tasks.create_task(self._sweeper.run(), name="sweeper")

    def hurry(self) -> None:
        """Send the next heartbeat at once, because its answer will bring a change."""
        self._hurried.set()

    async def join(self) -> None:
        """Become a member under a new private name.

        If a holder of our name has stopped renewing, this waits until that session lapses. If we are a member already,
        or have left, nothing is done. Raises NameInUse if the holder renews, and RedisUnreachable.
        """
        left_before: int | None = None
        while True:
            await self._make_ready()
            taken = await self.session.try_join()
            if taken is None:
                return
            if left_before is not None and taken.left_ms > left_before:
                raise NameInUse(
                    f"Node name '{self.session.identity.name}' is in use by {taken.holder}, which is alive; "
                    "stop it, choose another --name, or take over with --replace"
                )
            if left_before is None:
                log.info(
                    "waiting",
                    reason="an earlier session of this name is not over",
                    holder=taken.holder,
                    left_ms=taken.left_ms,
                )
            left_before = taken.left_ms
            # This looks more often than the holder renews. Otherwise it might never see a renewal.
            await asyncio.sleep(min(_PROBE_HOLDER_S, self._options.heartbeat_s / 2))

    async def _make_ready(self) -> None:
        """Do everything that comes before a join. Raises EccmgrError if we cannot join yet."""
        if self.before_join is not None and not self.session.joined.is_set():
            # Without this probe nothing would notice that Redis is back.
            await self._link.reach()
            await self.before_join()
        if self.listening is not None and not self.listening.is_set():
            raise RedisUnreachable("Redis is not reachable: it has not confirmed our subscription yet")

    async def _renew_forever(self) -> None:
        said, backoff = "", Backoff(self._longest_retry_s)
        due = time.monotonic()
        while not self.session.has_left:
            was_member = self.session.joined.is_set()
            try:
                if was_member:
                    await self._renew()
                else:
                    await self.join()
                said = ""
                backoff.reset()
            except EccmgrError as error:
                # The link has logged what Redis refuses.
                if str(error) != said and not isinstance(error, RedisRefuses):
                    away = isinstance(error, RedisUnreachable)
                    log.warning("redis unreachable" if away else "not a member", reason=str(error))
                said = str(error)
                if isinstance(error, NameInUse):
                    self.on_superseded()
                    await asyncio.sleep(self._options.session_lease_s)
                else:
                    await asyncio.sleep(backoff.next_s())
                    due = time.monotonic()
                    continue
            interval_s = self.session.lease.heartbeat_s
            due = max(due + interval_s, time.monotonic())
            if not was_member:
                # Members that joined at the same time must not renew at the same time.
                due = time.monotonic() + interval_s * random.random()  # noqa: S311
            if self.session.joined.is_set():
                due = await self._pause_until(due)

    async def _renew(self) -> None:
        """Send one heartbeat, and pass on the news of its answer."""
        channels = self.channels
        answer = await self.session.renew(channels)
        if answer is None:
            return
        self.on_bus(answer.bus)
        self.on_leader(answer.leader)
        entries = zip(channels, answer.heads, strict=True)
        # While the heartbeat was under way, this member may have left a channel.
        self.on_heads({channel: entry for channel, entry in entries if channel in self.channels})
        self._sweeper.notice()
        if answer.leader_is_over:
            await self._sweeper.sweep()

    def _longest_retry_s(self) -> float:
        """The longest pause until Redis is asked again, in seconds.

        Once Redis answers one member, the lease clock goes on for all. A session that carries VIPs must renew before
        its deadline, which may pass before the next regular heartbeat.
        """
        carries = self.session.carrier is not None
        return min(_RETRY_MAX_S, self._options.heartbeat_s / 10 if carries else self.session.lease.heartbeat_s)

    async def _pause_until(self, due: float) -> float:
        """Wait until `due`, or until a heartbeat is asked for; answers the time from which the next interval counts."""
        if self.session.carrier is None:
            await asyncio.sleep(due - time.monotonic())
            return due
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(due - time.monotonic()):
                await self._hurried.wait()
        self._hurried.clear()
        return min(due, time.monotonic())
