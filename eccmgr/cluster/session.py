"""A process's session in the cluster: it joins, renews by heartbeats, joins again when it lapsed, and leaves.

Whoever leads (the oldest manager, else the oldest node) also sweeps: ends the sessions of those who fell silent.
"""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import structlog

from eccmgr.cluster.carrier import Carrier, Standing
from eccmgr.cluster.members import Identity, Role
from eccmgr.cluster.names import private_name
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.errors import EccmgrError, NameInUse, RedisRefuses, RedisUnreachable
from eccmgr.redis.backoff import Backoff
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

log = structlog.get_logger()

_RETRY_MAX_S = 1.0
_PROBE_HOLDER_S = 0.1


class Session:
    """One member's session, under a fresh private name each time it joins."""

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
        """Where given, it sees to what this member is to join as. Raises EccmgrError where it cannot."""
        self.on_bus: Callable[[bytes], None] = lambda _number: None
        """Told with each heartbeat of the number of the latest change of what bus files say, b"" where none has one."""
        self.takes_over = False
        """Whether our first join ends the session of a live holder of our name; later ones never do."""
        self.listening: asyncio.Event | None = None
        """Where given, we join only while it is set: what is sent to a member must find it listening."""
        self.channels: tuple[str, ...] = ()
        """What we listen on; each heartbeat asks for the latest entry of each in the log …"""
        self.on_heads: Callable[[dict[str, str]], None] = lambda _heads: None
        """… and this is told of them: whoever has not heard of one by then may be deaf."""
        self.steady = identity.role is Role.MANAGER
        """Whether it keeps to the lease of the configuration however many members there are: for who holds what
        others wait for."""
        self.carrier: Carrier | None = None
        """Where given, VIPs rest on this session."""
        self._hurried = asyncio.Event()
        self._stretch = 1.0
        self._seen_view = 0
        self._link = link
        self._keys = keys
        self._options = options
        self._membership_keys = (
            keys.state,
            keys.sessions,
            keys.members,
            keys.roster,
            keys.absent,
            keys.absent_since,
            keys.seniority,
            keys.subclusters,
            keys.events,
        )
        self._vip_keys = (keys.vips, keys.vip_changes, keys.late)
        self._turn = asyncio.Lock()
        self._has_left = False
        self._leading = asyncio.Event()

    def located_at(self, address: str) -> None:
        """The address that the record of the next join states."""
        self.identity = replace(self.identity, address=address)

    async def move_to(self, subcluster: str) -> int | None:
        """Go on in another subcluster; the view from which on we are there, None where the session is over.

        Raises RedisUnreachable.
        """
        own, moved = self._keys, self.identity.of(subcluster)
        async with self._turn:
            if not self.joined.is_set():
                return None
            record = moved.member(self.private_name).dump()
            answer = await self._link.run(
                "resettle",
                (own.state, own.sessions, own.members, own.roster, own.subclusters, own.events),
                (to_ms(self._options.max_step_s), self.private_name, self.identity.name.lower(), subcluster, record),
            )
            if answer[0] != b"moved":
                return None
            self.identity = moved
            return int(answer[1])

    @property
    def leads(self) -> bool:
        """Whether this member is the leader, as of its last heartbeat."""
        return self.joined.is_set() and self.leader == self.private_name

    @property
    def heartbeat_s(self) -> float:
        """The time between two heartbeats; the more members there are beyond some thousands, the longer."""
        return self._options.heartbeat_s * self._stretch

    @property
    def lease_s(self) -> float:
        """How long after its last heartbeat the session ends, in the same proportion."""
        return self._options.session_lease_s * self._stretch

    async def join(self) -> None:
        """Become a member under a new private name.

        A holder of our name that has stopped renewing is waited for until its session lapses; where we are a member
        already, or have left, nothing is done. Raises NameInUse where it renews, RedisUnreachable where Redis does
        not answer.
        """
        left_before: int | None = None
        while True:
            if self.before_join is not None and not self.joined.is_set():
                # Nobody else finds out that Redis is back.
                await self._link.reach()
                await self.before_join()
            if self.listening is not None and not self.listening.is_set():
                raise RedisUnreachable("Redis is not reachable: it has not confirmed our subscription yet")
            async with self._turn:
                ours = self.private_name if self.carrier is not None else ""
                taken = None if self.joined.is_set() or self._has_left else await self._try_join(instead_of=ours)
            if taken is None:
                return
            holder, left_ms = taken
            if left_before is not None and left_ms > left_before:
                raise NameInUse(
                    f"Node name '{self.identity.name}' is in use by {holder}, which is alive; "
                    "stop it, choose another --name, or take over with --replace"
                )
            if left_before is None:
                log.info(
                    "waiting",
                    reason="an earlier session of this name is not over",
                    holder=holder,
                    left_ms=left_ms,
                )
            left_before = left_ms
            # More often than it renews, or a renewal might never show.
            await asyncio.sleep(min(_PROBE_HOLDER_S, self._options.heartbeat_s / 2))

    async def run(self) -> None:
        """Keep the session alive until cancelled; where our name is taken meanwhile, say so and keep trying."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew_forever(), name="heartbeats")
            tasks.create_task(self._sweep_while_leading(), name="sweeper")

    async def leave(self) -> None:
        """End the session cleanly, for good; where Redis is away it lapses by itself."""
        # A heartbeat that is due meanwhile must not join again.
        self._has_left = True
        async with self._turn:
            await self._leave()

    async def reset(self) -> None:
        """Leave and join again under a new private name, in one step: what runs under the old one is not lost.

        Raises NameInUse where our session had ended and another has the name now, RedisUnreachable.
        """
        async with self._turn:
            if self.carrier is not None:
                await self.carrier.reset()
            if (taken := await self._try_join(instead_of=self.private_name)) is not None:
                raise NameInUse(f"Node name '{self.identity.name}' was taken by {taken[0]} meanwhile")

    async def _leave(self) -> None:
        if not self.joined.is_set():
            return
        self.joined.clear()
        self._leading.clear()
        try:
            await self._link.run("leave", self._membership_keys, (to_ms(self._options.max_step_s), self.private_name))
            if self.carrier is not None:
                await self.carrier.left()
        except EccmgrError as error:
            log.warning("left without telling", reason=str(error))
        else:
            log.info("left", private_name=self.private_name)

    async def _try_join(self, instead_of: str = "") -> tuple[str, int] | None:
        """One attempt: None where we are in, else who holds our name and for how many ms yet.

        `instead_of` is the session of ours that ends with it.
        """
        identity, options = self.identity, self._options
        standing = await self.carrier.begin(joins=True) if self.carrier is not None else None
        fresh = standing.private_name if standing else self.fresh_name()
        name = identity.name if identity.role is Role.NODE else ""
        answer, acked = await self._link.run_durably(
            "join",
            (*self._membership_keys, *self._vip_keys),
            (
                to_ms(options.max_step_s),
                to_ms(options.session_lease_s),
                fresh,
                name,
                identity.subcluster,
                identity.member(fresh).dump(),
                identity.role.value.lower(),
                instead_of if instead_of != fresh else "",
                int(self.takes_over),
                *((1, standing.era) if standing else ("", 0)),
                *(self._late_after_ms, self._keys.ended_prefix, *self._rates(standing)),
            ),
            standing.copies if standing else 1,
        )
        if answer[0] == b"taken":
            return answer[1].decode(), int(answer[2])
        if self.carrier is not None:
            if answer[0] == b"ended":
                await self.carrier.refused(answer, acked)
                raise RedisUnreachable("our session was ended while we joined")
            await self.carrier.joined(answer[4], acked)
        self.takes_over = False
        self.view, self._stretch = int(answer[1]), float(answer[5])
        # The first heartbeat asks who leads.
        self._seen_view = 0
        if self.private_name != fresh:
            self.private_name, self.joined_view = fresh, self.view
            self.last_entry = answer[3].decode(errors="replace")
        self.joined.set()
        self.on_joined()
        log.info("joined", private_name=fresh, view=self.view)
        return None

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
                # What Redis refuses the link has said.
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
                # Those who join together are not to renew together.
                due = time.monotonic() + self.heartbeat_s * random.random()  # noqa: S311
            if self.joined.is_set():
                due = await self._pause_until(due)

    def _longest_retry_s(self) -> float:
        """After how long Redis is asked again at the latest, in s.

        Once it answers one of us the lease clock goes on for all. Who carries VIPs has but a deadline's time: at the
        next heartbeat it may be over.
        """
        beat_s = self._options.heartbeat_s / 10 if self.carrier is not None else self.heartbeat_s
        return min(_RETRY_MAX_S, beat_s)

    async def _pause_until(self, due: float) -> float:
        """Wait, but not if there is a hurry; when the heartbeat is that follows."""
        if self.carrier is None:
            await asyncio.sleep(due - time.monotonic())
            return due
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(due - time.monotonic()):
                await self._hurried.wait()
        self._hurried.clear()
        return min(due, time.monotonic())

    def hurry(self) -> None:
        """Send the next heartbeat now: something has changed that its answer tells."""
        self._hurried.set()

    def fresh_name(self) -> str:
        """A private name that nobody ever had."""
        return private_name(self.identity.role.tag, os.getpid(), self.identity.name)

    @property
    def _late_after_ms(self) -> int:
        """A session that has not renewed for so long is watched."""
        return to_ms(1.2 * self._options.heartbeat_s)

    async def _renew(self) -> None:
        async with self._turn:
            if not self.joined.is_set():
                return
            standing = await self.carrier.begin(joins=False) if self.carrier is not None else None
            if standing is not None and standing.private_name != self.private_name:
                # What we carried by is over; as a member we go on.
                if await self._try_join(instead_of=self.private_name) is not None:
                    self.joined.clear()
                return
            channels = self.channels
            answer, acked = await self._send_heartbeat(standing)
            if answer[0] != b"renewed":
                log.warning("session ended", private_name=self.private_name, verdict=answer[0].decode())
                self.joined.clear()
                self._leading.clear()
                if self.carrier is not None:
                    await self.carrier.refused(answer, acked)
                return
            self.view, self._stretch = int(answer[1]), float(answer[6])
            self._seen_view = self.view
            if self.carrier is not None:
                await self.carrier.renewed(answer[7], acked)
            self.on_bus(answer[8])
            heads = [head.decode(errors="replace") for head in answer[3]]
            self.on_heads(dict(zip(channels, heads, strict=True)))
            self.leader = answer[4].decode(errors="replace")
            if self.leads:
                self._leading.set()
            else:
                self._leading.clear()
        if int(answer[5]):
            try:
                await self._sweep()
            except EccmgrError as error:
                # Another one may; our heartbeat has been taken.
                log.debug("sweep failed", reason=str(error))

    async def _send_heartbeat(self, standing: Standing | None) -> tuple[Any, bool]:
        own, options = self._keys, self._options
        keys = (own.state, own.sessions, own.seniority, own.heads, own.roster, *self._vip_keys)
        args = (
            *(to_ms(options.max_step_s), to_ms(options.session_lease_s), self.private_name),
            *self._rates(standing),
            *(self._seen_view, self.leader, f"{self._stretch}"),
            *((1, standing.era, standing.memory) if standing else ("", 0, "")),
            *(self._late_after_ms, own.ended_prefix, *self.channels),
        )
        return await self._link.run_durably("renew", keys, args, standing.copies if standing else 1)

    def _rates(self, standing: Standing | None) -> tuple[str, str]:
        """The heartbeats a second that we send, 0 where we keep to that however many others send, and all may send."""
        steady = self.steady or standing is not None
        return f"{0.0 if steady else self._options.heartbeats_per_sec}", f"{self._options.heartbeats_borne_per_sec}"

    async def _sweep_while_leading(self) -> None:
        while True:
            await self._leading.wait()
            pause_s = self._options.heartbeat_s
            try:
                left_ms = await self._sweep()
                if left_ms >= 0:
                    pause_s = max(0.01, min(pause_s, left_ms / 1000))
            except EccmgrError as error:
                log.debug("sweep failed", reason=str(error))
            await asyncio.sleep(pause_s)

    async def _sweep(self) -> int:
        """One round of the leader; ms until the next session lapses, -1 where there is none."""
        options = self._options
        keys = (
            *self._membership_keys,
            self._keys.log,
            self._keys.latest,
            self._keys.audit,
            self._keys.heads,
            *self._vip_keys,
        )
        args = (
            to_ms(options.max_step_s),
            to_ms(options.absent_ttl_s),
            to_ms(options.results_ttl_s),
            options.log_cap,
            self._keys.command_prefix,
        )
        answer = await self._link.run("sweep", keys, args)
        return int(answer[2])
