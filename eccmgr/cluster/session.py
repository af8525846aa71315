"""A process's session in the cluster: it joins, renews by heartbeats, joins again after a lapse, and leaves.

The leader (the oldest manager, else the oldest node) also sweeps: it ends the sessions of members that fell silent.
"""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from eccmgr.cluster.calls import membership
from eccmgr.cluster.calls.membership import Joined, LastBeat, NameTaken, Renewed, Swept
from eccmgr.cluster.carrier import Carrier, CarrierState, SessionRefusal
from eccmgr.cluster.members import Identity, Role
from eccmgr.cluster.names import private_name
from eccmgr.cluster.options import ClusterOptions
from eccmgr.errors import EccmgrError, NameInUse, RedisRefuses, RedisUnreachable
from eccmgr.redis.backoff import Backoff
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

log = structlog.get_logger()

_RETRY_MAX_S = 1.0
_PROBE_HOLDER_S = 0.1


class Session:
    """One member's session, under a fresh private name after each join."""

    def __init__(self, link: Link, keys: Keys, options: ClusterOptions, identity: Identity) -> None:
        self.identity = identity
        self.private_name = ""
        self.joined_view = 0
        self.view = 0
        self.last_entry = "0-0"
        self.leader = ""
        self.joined = asyncio.Event()
        self.on_superseded: Callable[[], None] = lambda: None
        """Called when another live process turns out to have our name."""
        self.on_joined: Callable[[], None] = lambda: None
        """Called each time that a session of ours begins."""
        self.before_join: Callable[[], Awaitable[None]] | None = None
        """If set, called before each join to settle the subcluster and the record. Raises EccmgrError if that fails."""
        self.on_bus: Callable[[bytes], None] = lambda _number: None
        """Called at each heartbeat with the number of the latest change of what bus files say; b"" if there is no bus
        file."""
        self.takes_over = False
        """Whether our first join ends the session of a live holder of our name; later joins never do."""
        self.listening: asyncio.Event | None = None
        """If set, we join only while this event is set: a command sent to a member must find it listening."""
        self.channels: tuple[str, ...] = ()
        """The channels on which we listen; each heartbeat asks for the latest entry of each in the log."""
        self.on_heads: Callable[[dict[str, str]], None] = lambda _heads: None
        """Called with these entries: a member that has not heard of one by then may be deaf."""
        self.steady = identity.role is Role.MANAGER
        """Whether the configured lease is kept however many members there are: for members that hold something for
        which others wait."""
        self.carrier: Carrier | None = None
        """If set, VIPs rest on this session."""
        self._hurried = asyncio.Event()
        self._stretch = 1.0
        self._seen_view = 0
        self._link = link
        self._keys = keys
        self._options = options
        self._turn = asyncio.Lock()
        self._has_left = False
        self._leading = asyncio.Event()

    def located_at(self, address: str) -> None:
        """Set the address that the record of the next join states."""
        self.identity = replace(self.identity, address=address)

    async def move_to(self, subcluster: str) -> int | None:
        """Move to another subcluster; answers the view from which we are in it, None if the session is over.

        Raises RedisUnreachable.
        """
        moved = self.identity.of(subcluster)
        async with self._turn:
            if not self.joined.is_set():
                return None
            record = moved.member(self.private_name).dump()
            view = await self._link.run(
                membership.resettle(
                    self._keys, self._options, self.private_name, self.identity.name, subcluster, record
                )
            )
            if view is not None:
                self.identity = moved
            return view

    @property
    def leads(self) -> bool:
        """Whether this member is the leader, as of its last heartbeat."""
        return self.joined.is_set() and self.leader == self.private_name

    @property
    def heartbeat_s(self) -> float:
        """The time between two heartbeats; it grows if there are more than some thousands of members."""
        return self._options.heartbeat_s * self._stretch

    @property
    def lease_s(self) -> float:
        """The time from the last heartbeat to the end of the session; it grows in the same proportion."""
        return self._options.session_lease_s * self._stretch

    async def join(self) -> None:
        """Become a member under a new private name.

        If a holder of our name has stopped renewing, this waits until that session lapses. If we are a member already,
        or have left, nothing is done. Raises NameInUse if the holder renews, and RedisUnreachable.
        """
        left_before: int | None = None
        while True:
            if self.before_join is not None and not self.joined.is_set():
                # Only this probe finds out that Redis is back.
                await self._link.reach()
                await self.before_join()
            if self.listening is not None and not self.listening.is_set():
                raise RedisUnreachable("Redis is not reachable: it has not confirmed our subscription yet")
            async with self._turn:
                ours = self.private_name if self.carrier is not None else ""
                taken = None if self.joined.is_set() or self._has_left else await self._try_join(instead_of=ours)
            if taken is None:
                return
            if left_before is not None and taken.left_ms > left_before:
                raise NameInUse(
                    f"Node name '{self.identity.name}' is in use by {taken.holder}, which is alive; "
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
            # This looks more often than the holder renews, or a renewal might never show.
            await asyncio.sleep(min(_PROBE_HOLDER_S, self._options.heartbeat_s / 2))

    async def run(self) -> None:
        """Keep the session alive until cancelled. If our name is taken meanwhile, log that and keep trying."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew_forever(), name="heartbeats")
            tasks.create_task(self._sweep_while_leading(), name="sweeper")

    async def leave(self) -> None:
        """End the session cleanly, for good. If Redis is away, the session lapses by itself."""
        # A heartbeat that is due meanwhile must not join again.
        self._has_left = True
        async with self._turn:
            await self._leave()

    async def reset(self) -> None:
        """Leave and join again under a new private name, in one step: commands that run under the old name are not
        lost.

        Raises NameInUse if our session had ended and another process has the name now, and RedisUnreachable.
        """
        async with self._turn:
            if self.carrier is not None:
                await self.carrier.reset()
            if (taken := await self._try_join(instead_of=self.private_name)) is not None:
                raise NameInUse(f"Node name '{self.identity.name}' was taken by {taken.holder} meanwhile")

    async def _leave(self) -> None:
        if not self.joined.is_set():
            return
        self.joined.clear()
        self._leading.clear()
        try:
            await self._link.run(membership.leave(self._keys, self._options, self.private_name))
            if self.carrier is not None:
                await self.carrier.left()
        except EccmgrError as error:
            log.warning("left without telling", reason=str(error))
        else:
            log.info("left", private_name=self.private_name)

    async def _try_join(self, instead_of: str = "") -> NameTaken | None:
        """One attempt to join: None if we are a member now, else the holder of our name.

        `instead_of` is the session of ours that ends with this join.
        """
        standing = await self.carrier.begin(joins=True) if self.carrier is not None else None
        fresh = standing.private_name if standing else self.fresh_name()
        call = membership.join(
            self._keys,
            self._options,
            self.identity,
            fresh,
            rate=self._rate(standing),
            replaces=instead_of if instead_of != fresh else "",
            takes_over=self.takes_over,
            standing=standing,
        )
        answer, acked = await self._link.run_durably(call, standing.copies if standing else 1)
        if isinstance(answer, NameTaken):
            return answer
        if isinstance(answer, SessionRefusal):
            if self.carrier is not None:
                await self.carrier.refused(answer, acked)
            raise RedisUnreachable("our session was ended while we joined")
        if self.carrier is not None and answer.vips is not None:
            await self.carrier.joined(answer.vips, acked)
        self._is_in(answer, fresh)
        return None

    def _is_in(self, answer: Joined, fresh: str) -> None:
        self.takes_over = False
        self.view, self._stretch = answer.view, answer.stretch
        # The first heartbeat asks for the leader.
        self._seen_view = 0
        if self.private_name != fresh:
            self.private_name, self.joined_view, self.last_entry = fresh, answer.view, answer.last_entry
        self.joined.set()
        self.on_joined()
        log.info("joined", private_name=fresh, view=self.view)

    async def _renew_forever(self) -> None:
        said, backoff = "", Backoff(self._longest_retry_s)
        due = time.monotonic()
        while not self._has_left:
            was_member = self.joined.is_set()
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
            due = max(due + self.heartbeat_s, time.monotonic())
            if not was_member:
                # Members that join together must not renew together.
                due = time.monotonic() + self.heartbeat_s * random.random()  # noqa: S311
            if self.joined.is_set():
                due = await self._pause_until(due)

    def _longest_retry_s(self) -> float:
        """The longest time until Redis is asked again, in seconds.

        Once Redis answers one of us, the lease clock goes on for all. A session that carries VIPs has only until its
        deadline, which may be over by the next heartbeat.
        """
        beat_s = self._options.heartbeat_s / 10 if self.carrier is not None else self.heartbeat_s
        return min(_RETRY_MAX_S, beat_s)

    async def _pause_until(self, due: float) -> float:
        """Wait until `due`, or until a heartbeat is asked for; answers the time from which the next one counts."""
        if self.carrier is None:
            await asyncio.sleep(due - time.monotonic())
            return due
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(due - time.monotonic()):
                await self._hurried.wait()
        self._hurried.clear()
        return min(due, time.monotonic())

    def hurry(self) -> None:
        """Send the next heartbeat now, because its answer will bring a change."""
        self._hurried.set()

    def fresh_name(self) -> str:
        """A private name that was never used before."""
        return private_name(self.identity.role.tag, os.getpid(), self.identity.name)

    async def _renew(self) -> None:
        async with self._turn:
            if not self.joined.is_set():
                return
            standing = await self.carrier.begin(joins=False) if self.carrier is not None else None
            if standing is not None and standing.private_name != self.private_name:
                # The carrier's session is over, but we go on as a member.
                if await self._try_join(instead_of=self.private_name) is not None:
                    self.joined.clear()
                return
            channels = self.channels
            answer, acked = await self._send_heartbeat(standing)
            if isinstance(answer, SessionRefusal):
                log.warning("session ended", private_name=self.private_name, verdict=answer.verdict)
                self.joined.clear()
                self._leading.clear()
                if self.carrier is not None:
                    await self.carrier.refused(answer, acked)
                return
            self.view, self._stretch = answer.view, answer.stretch
            self._seen_view = self.view
            if self.carrier is not None and answer.vips is not None:
                await self.carrier.renewed(answer.vips, acked)
            self.on_bus(answer.bus)
            self.on_heads(dict(zip(channels, answer.heads, strict=True)))
            self.leader = answer.leader
            if self.leads:
                self._leading.set()
            else:
                self._leading.clear()
        if answer.leader_is_over:
            try:
                await self._sweep()
            except EccmgrError as error:
                # Another heartbeat may come through; this one was taken.
                log.debug("sweep failed", reason=str(error))

    async def _send_heartbeat(self, standing: CarrierState | None) -> tuple[Renewed | SessionRefusal, bool]:
        call = membership.renew(
            self._keys,
            self._options,
            self.private_name,
            self.channels,
            rate=self._rate(standing),
            last=LastBeat(self._seen_view, self.leader, self._stretch),
            standing=standing,
            record=self.identity.member(self.private_name).dump(),
        )
        return await self._link.run_durably(call, standing.copies if standing else 1)

    def _rate(self, standing: CarrierState | None) -> float:
        """The heartbeats a second that we send; 0 if our rate is steady, however many others send."""
        return 0.0 if self.steady or standing is not None else self._options.heartbeats_per_sec

    async def _sweep_while_leading(self) -> None:
        while True:
            await self._leading.wait()
            pause_s = self._options.heartbeat_s
            try:
                left_ms = (await self._sweep()).lapses_in_ms
                if left_ms is not None:
                    pause_s = max(0.01, min(pause_s, left_ms / 1000))
            except EccmgrError as error:
                log.debug("sweep failed", reason=str(error))
            await asyncio.sleep(pause_s)

    async def _sweep(self) -> Swept:
        return await self._link.run(membership.sweep(self._keys, self._options))
