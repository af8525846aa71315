"""The answers that a node owes. Redis gets each answer at once; if it does not take it, the answer is kept and offered
again.

Redis may be away, refuse everything, or refuse a single answer; a refused answer does not hold up the others. If Redis
has no memory for an answer, a short failed answer stands in for it, because even a full server takes a short one. It
stands in until there is memory, or for ever if there can never be enough.
"""

import asyncio
import functools
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from eccmgr.access.seals import AnswerSealer, SealedAnswer
from eccmgr.channels import Channel
from eccmgr.cluster.calls import answers
from eccmgr.cluster.calls.answers import RespondVerdict
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.results import SEALED, STANDS_IN, State
from eccmgr.errors import EccmgrError, RedisRefuses, RedisUnreachable, Unreadable
from eccmgr.node.messages import Response
from eccmgr.redis import replies
from eccmgr.redis.backoff import Backoff
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import whole
from eccmgr.redis.scripts import ScriptCall

log = structlog.get_logger()

_MOST = 1000
_SHORT = 512
"""The maximum size of an answer that a full server takes, in bytes (respond.lua)."""
_PATIENCE_S = 5.0
"""An answer waits this long for memory before a short one stands in for it."""
_BLIND_S = 5.0
"""The pause after which an answer is offered even if there seems to be no room: Redis may count its memory in another
way."""
_ALONE = ("OOM", "PROTOCOL")
"""Refusals that concern one answer and not the next."""
_LONG = 1 << 20
"""The longest argument for which no server ends a connection."""
_LOSSES = 5
"""After this many lost connections, an answer counts as longer than Redis allows."""


@dataclass
class _Owed:
    """An answer that Redis has not taken since `since`. Since `full_since`, Redis has had no memory for it."""

    response: Response
    since: float
    full_since: float | None = None
    offered_at: float = 0.0
    stands_in: bool = False
    """Whether Redis has a short answer in its place."""
    losses: int = 0
    """The number of times that the connection was lost while Redis was given the answer."""


@dataclass(frozen=True)
class _Room:
    """The memory of the server in bytes: the limit, the present use, and the use of an empty server."""

    limit: int
    used: int
    empty: int

    def never_holds(self, size: int) -> bool:
        """Whether even an empty server has no room for `size` bytes."""
        return self.empty + size > self.limit

    def holds(self, size: int) -> bool:
        """Whether there may be room for `size` bytes now. The server holds an argument twice while it reads it."""
        return self.used + 2 * size <= self.limit


class Outbox:
    """The answers of `node` that Redis has not taken yet: at most 1,000, and at most as many bytes as the 16 longest
    possible."""

    def __init__(
        self, link: Link, keys: Keys, options: ClusterOptions, node: str, sealer: AnswerSealer | None = None
    ) -> None:
        self._link = link
        self._keys = keys
        self._options = options
        self._node_key = node.lower()
        self._sealer = sealer
        self._owed: deque[_Owed] = deque()
        self._bytes = 0
        self._in_hand = 0
        self._wanted = asyncio.Event()

    def __len__(self) -> int:
        """The number of owed answers, with those that are on their way to Redis."""
        return len(self._owed) + self._in_hand

    async def deliver(self, response: Response) -> None:
        """Give Redis an answer, now or later."""
        try:
            await self._give(response)
        except RedisUnreachable:
            self.keep(response)

    def send(self, response: Response, on_reply: Callable[[], None]) -> bool:
        """Send an answer at once, and call `on_reply` when Redis has replied. Answers False if nothing can be sent now.

        If Redis does not take the answer, it is kept.
        """
        call = self._writing(response)
        sent = self._link.send(call)
        if sent is None:
            return False
        sent.add_done_callback(functools.partial(self._replied, response, call, on_reply))
        return True

    def _replied(
        self,
        response: Response,
        call: ScriptCall[RespondVerdict],
        on_reply: Callable[[], None],
        reply: "asyncio.Future[bytes]",
    ) -> None:
        try:
            _say_if_not_kept(response, call.answer(reply.result()))
        except (RedisError, Unreadable, asyncio.CancelledError):
            self.keep(response)
        on_reply()

    def keep(self, response: Response) -> None:
        """Give Redis an answer later. If too many are owed, this drops the oldest ones."""
        self._put(_Owed(response, time.monotonic()))
        self._wanted.set()

    async def run(self) -> None:
        """Offer the owed answers to Redis again and again, until cancelled."""
        backoff = Backoff(lambda: self._options.heartbeat_s)
        while True:
            await self._wanted.wait()
            if await self._offer_all():
                backoff.reset()
            if self._owed:
                await self._link.pause(backoff.next_s())
            else:
                self._wanted.clear()

    async def _offer_all(self) -> bool:
        """Offer each answer once, but stop if Redis takes nothing at all. Answers whether Redis took any."""
        taken = False
        for _ in range(len(self._owed)):
            owed = self._owed.popleft()
            if time.monotonic() - owed.since > self._options.results_ttl_s:
                self._drop(owed, "its command is kept no longer")
                continue
            self._bytes -= len(owed.response.body)
            self._in_hand = 1
            try:
                await self._offer(owed)
                taken = True
            except RedisUnreachable as error:
                self._put(owed)
                if not isinstance(error, RedisRefuses) or error.code not in _ALONE:
                    break
            finally:
                self._in_hand = 0
        return taken

    def _put(self, owed: _Owed) -> None:
        self._owed.append(owed)
        self._bytes += len(owed.response.body)
        while len(self._owed) > _MOST or self._bytes > 16 * self._options.max_response_bytes:
            self._drop(self._owed.popleft(), "too many wait for Redis")

    def _drop(self, owed: _Owed, reason: str) -> None:
        self._bytes -= len(owed.response.body)
        log.error("response dropped", id=owed.response.id, reason=reason)

    async def _offer(self, owed: _Owed) -> None:
        """Offer an answer again. Raises RedisUnreachable if Redis still does not take it."""
        size, now = len(owed.response.body), time.monotonic()
        if owed.full_since is not None and size > _SHORT:
            room = await self._room()
            if room is not None and room.never_holds(size):
                return await self._give(_short(owed.response, _full(room)))
            if now - owed.full_since > _PATIENCE_S and not owed.stands_in:
                await self._give(_short(owed.response, _full(room), STANDS_IN))
                owed.stands_in = True
            if room is not None and not room.holds(size) and now - owed.offered_at < _BLIND_S:
                raise RedisRefuses("Redis refused: its memory is full", code="OOM", soon=True)
        if owed.losses and size > _LONG:
            longest = await self._longest()
            if owed.losses >= _LOSSES if longest is None else size > longest:
                return await self._give(_short(owed.response, "Redis takes no answer this long (proto-max-bulk-len)"))
        try:
            owed.offered_at = now
            await self._give(owed.response)
        except RedisUnreachable as error:
            owed.losses += int(error.asked)
            if isinstance(error, RedisRefuses) and error.code == "OOM":
                owed.full_since = owed.full_since or now
            elif isinstance(error, RedisRefuses) and error.code == "PROTOCOL":
                owed.losses = _LOSSES
            raise

    async def _give(self, response: Response) -> None:
        """Give Redis an answer. Raises RedisUnreachable if Redis did not take it."""
        try:
            verdict = await self._link.run(self._writing(response))
        except RedisUnreachable:
            raise
        except Unreadable as error:
            # Redis may have taken it. To give it again does no harm.
            raise RedisUnreachable(str(error), asked=True) from error
        except EccmgrError as error:
            log.error("response refused", channel=Channel.REJECT, id=response.id, reason=str(error))
        else:
            _say_if_not_kept(response, verdict)

    def _writing(self, response: Response) -> ScriptCall[RespondVerdict]:
        """The call that writes an answer."""
        life = response.life
        flags, body = self._sealed(response)
        return answers.respond(
            self._keys,
            self._options,
            response.id,
            life.private_name,
            self._node_key,
            life.joined_view,
            state=response.state,
            took_ms=response.took_ms,
            flags=flags,
            body=body,
            claimed=response.claimed,
        )

    def _sealed(self, response: Response) -> tuple[str, bytes]:
        """The flags and the body of an answer, with its seals if answers are sealed."""
        if self._sealer is None:
            return response.flags, response.body
        flags, state = response.flags + SEALED, response.state.value
        answer = SealedAnswer(
            *(response.id, response.of, response.life.private_name, state, response.took_ms, flags, response.body)
        )
        if not (seals := self._sealer.seals(answer)):
            return response.flags, response.body
        return flags, seals + b"\n" + response.body

    async def _longest(self) -> int | None:
        """The longest argument that the server takes, in bytes; None if the server does not tell."""
        try:
            pairs = replies.fields(await self._link.call("CONFIG", "GET", "proto-max-bulk-len"))
            return whole(next(iter(pairs.values())))
        except (StopIteration, ValueError):
            return None
        except EccmgrError as error:
            _pass_over(error)
            return None

    async def _room(self) -> _Room | None:
        """The server's memory; None if the server has no limit, or does not tell."""
        memory: dict[str, str] = {}
        try:
            text = replies.text(await self._link.call("INFO", "memory"))
            memory = dict(line.split(":", 1) for line in text.decode(errors="replace").split() if ":" in line)
        except EccmgrError as error:
            _pass_over(error)
        try:
            limit, used, empty = (whole(memory[name]) for name in ("maxmemory", "used_memory", "used_memory_startup"))
        except (KeyError, ValueError):
            return None
        return _Room(limit, used, empty) if limit else None


def _pass_over(error: EccmgrError) -> None:
    """Raise `error` if Redis is away. If not, the caller does without the answer."""
    if isinstance(error, RedisUnreachable) and not isinstance(error, RedisRefuses):
        raise error


def _say_if_not_kept(response: Response, verdict: RespondVerdict) -> None:
    if verdict is not RespondVerdict.KEPT:
        log.warning("response not kept", id=response.id, verdict=verdict.value)


def _full(room: _Room | None) -> str:
    limit = f" (maxmemory is {_size(room.limit)})" if room is not None else ""
    return f"the memory of Redis is full{limit}: raise maxmemory or free memory"


def _short(response: Response, why: str, flags: str = "") -> Response:
    """The short answer that stands in for one that Redis does not take."""
    size = _size(len(response.body))
    log.error("response too long for redis", id=response.id, size=size, reason=why)
    not_kept = "is not kept yet" if flags else "cannot be kept"
    text = f"it ran and ended as {response.state.value}, but its answer of {size} {not_kept}: {why}"
    return response._replace(state=State.FAILED, flags=flags, body=text.encode())


def _size(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB" if size >= 1 << 20 else f"{size / 1024:.1f} KiB"
