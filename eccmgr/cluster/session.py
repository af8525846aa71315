"""A process's session in the cluster: the member's identity, and its present private name.

Each change is one call to Redis, and only one change is under way at a time: join, renew, move, reset, leave. The
heartbeats (heartbeats.py) decide when.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace

import structlog

from eccmgr.cluster.calls import membership
from eccmgr.cluster.calls.membership import Joined, NameTaken, Renewed
from eccmgr.cluster.carrier import Carrier, CarrierState, SessionRefusal
from eccmgr.cluster.lease import Lease
from eccmgr.cluster.members import Identity, Life, Role
from eccmgr.cluster.names import private_name
from eccmgr.cluster.options import ClusterOptions
from eccmgr.errors import EccmgrError, NameInUse, RedisUnreachable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.text.tags import Tags

log = structlog.get_logger()


class Session:
    """One member's session. Each join gives it a fresh private name."""

    def __init__(self, link: Link, keys: Keys, options: ClusterOptions, identity: Identity) -> None:
        self.identity = identity
        self.life = Life("", 0)
        """The member's present life, or else its last one."""
        self.last_entry = "0-0"
        """The entry of the log that was the latest when that life began."""
        self.joined = asyncio.Event()
        self.has_left = False
        """Whether this member has left for good."""
        self.lease = Lease(options, steady=identity.role is Role.MANAGER)
        self.on_joined: Callable[[], None] = lambda: None
        """Called whenever a session of ours begins."""
        self.takes_over = False
        """Whether our first join ends the session of a live holder of our name. Later joins never do that."""
        self.carrier: Carrier | None = None
        """If set, VIPs rest on this session."""
        self._link = link
        self._keys = keys
        self._options = options
        self._turn = asyncio.Lock()

    @property
    def private_name(self) -> str:
        """The private name of the present session, or else of the last one; "" before the first session."""
        return self.life.private_name

    @property
    def joined_view(self) -> int:
        """The view in which that session began."""
        return self.life.joined_view

    @property
    def view(self) -> int:
        """The latest view that this member knows of."""
        return self.lease.view

    @property
    def leads(self) -> bool:
        """Whether this member is the leader, as of its last heartbeat."""
        return self.joined.is_set() and self.lease.leader == self.private_name

    def located_at(self, address: str) -> None:
        """Set the address in the record of the next join."""
        self.identity = replace(self.identity, address=address)

    def tag(self, tags: Tags) -> None:
        """Give the node other tags, with its facts. The next heartbeat, or join, announces them."""
        self.identity = replace(self.identity, tags=tags)

    def fresh_name(self) -> str:
        """A private name that was never used before."""
        return private_name(self.identity.role.tag, os.getpid(), self.identity.name)

    async def try_join(self) -> NameTaken | None:
        """Make one attempt to become a member; answers the holder of our name if another session has it.

        If we are a member already, or have left, nothing is done. Raises RedisUnreachable.
        """
        async with self._turn:
            if self.joined.is_set() or self.has_left:
                return None
            return await self._try_join(instead_of=self.private_name if self.carrier is not None else "")

    async def renew(self, channels: tuple[str, ...]) -> Renewed | None:
        """Send a heartbeat. It asks for the latest entry of each of `channels` in the log.

        Answers None if this renewed no session: the session is over, or another one has taken its place. Raises
        RedisUnreachable.
        """
        async with self._turn:
            if not self.joined.is_set():
                return None
            standing = await self.carrier.begin(joins=False) if self.carrier is not None else None
            if standing is not None and standing.private_name != self.private_name:
                # The carrier's session is over, but we remain a member.
                if await self._try_join(instead_of=self.private_name) is not None:
                    self.joined.clear()
                return None
            answer, acked = await self._send_heartbeat(channels, standing)
            if isinstance(answer, SessionRefusal):
                log.warning("session ended", private_name=self.private_name, verdict=answer.verdict)
                self.joined.clear()
                if self.carrier is not None:
                    await self.carrier.refused(answer, acked)
                return None
            self.lease.renewed(answer)
            if self.carrier is not None and answer.vips is not None:
                await self.carrier.renewed(answer.vips, acked)
            return answer

    async def move_to(self, subcluster: str) -> int | None:
        """Move to another subcluster; answers the first view in which we are in it, or None if the session is over.

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
                # The tags may have changed meanwhile.
                self.identity = self.identity.of(subcluster)
            return view

    async def reset(self) -> None:
        """Leave and join again under a new private name, in one step. The commands that run under the old name are not
        lost.

        Raises NameInUse if our session had ended and another process has the name now. Raises RedisUnreachable.
        """
        async with self._turn:
            if self.carrier is not None:
                await self.carrier.reset()
            if (taken := await self._try_join(instead_of=self.private_name)) is not None:
                raise NameInUse(f"Node name '{self.identity.name}' was taken by {taken.holder} meanwhile")

    async def leave(self) -> None:
        """End the session cleanly, for good. If Redis is away, the session lapses by itself."""
        # A heartbeat that comes due in the meantime must not join again.
        self.has_left = True
        async with self._turn:
            if self.joined.is_set():
                self.joined.clear()
                await self._leave()

    async def _leave(self) -> None:
        try:
            await self._link.run(membership.leave(self._keys, self._options, self.private_name))
            if self.carrier is not None:
                await self.carrier.left()
        except EccmgrError as error:
            log.warning("left without telling", reason=str(error))
        else:
            log.info("left", private_name=self.private_name)

    async def _try_join(self, instead_of: str = "") -> NameTaken | None:
        """Make one attempt to join; answers None if we are a member now, else the holder of our name.

        `instead_of` is the session of ours that ends with this join.
        """
        standing = await self.carrier.begin(joins=True) if self.carrier is not None else None
        fresh = standing.private_name if standing else self.fresh_name()
        call = membership.join(
            self._keys,
            self._options,
            self.identity,
            fresh,
            rate=self.lease.rate(carries=standing is not None),
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
        self.lease.joined(answer)
        if self.private_name != fresh:
            self.life, self.last_entry = Life(fresh, answer.view), answer.last_entry
        self.joined.set()
        self.on_joined()
        log.info("joined", private_name=fresh, view=answer.view)

    async def _send_heartbeat(
        self, channels: tuple[str, ...], standing: CarrierState | None
    ) -> tuple[Renewed | SessionRefusal, bool]:
        call = membership.renew(
            self._keys,
            self._options,
            self.private_name,
            channels,
            rate=self.lease.rate(carries=standing is not None),
            last=self.lease.last,
            standing=standing,
            record=self.identity.member(self.private_name).dump(),
        )
        return await self._link.run_durably(call, standing.copies if standing else 1)
