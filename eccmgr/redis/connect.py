"""A process's one way to Redis: the address, the time limits, and whether Redis answers.

One connection serves all calls, with a time limit and without retries (a script that may have run is never sent again).
Each subscription has a connection of its own.
"""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from ssl import SSLCertVerificationError
from typing import Any

import structlog
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from eccmgr.errors import EccmgrError, RedisRefuses, RedisUnreachable, Unreadable
from eccmgr.redis import replies
from eccmgr.redis.address import Mode, RedisAddress
from eccmgr.redis.client import COMMAND_TIMEOUT_S, make_pool
from eccmgr.redis.kinds import is_of_another_kind, keys_among, mend, mended
from eccmgr.redis.place import NOT_HERE, NotFound, Place, Spot
from eccmgr.redis.refusals import RefusedCalls, refusal_at_connecting, refusal_of
from eccmgr.redis.scripts import ReadAs, ScriptCall, script
from eccmgr.redis.sentinel import Sentinels
from eccmgr.redis.server_seen import ServerSeen
from eccmgr.redis.slot import SlotOwner
from eccmgr.redis.trips import RoundTrips
from eccmgr.redis.wire import Argument, OnPush, Wire, not_understood

log = structlog.get_logger()

_SHOWN_MAX = 500


def make_place(address: RedisAddress, tag: str) -> Place | None:
    """Finds the server if it may change; None for one server at a fixed address."""
    match address.mode:
        case Mode.STANDALONE:
            return None
        case Mode.SENTINEL:
            return Place(Sentinels(address))
        case Mode.CLUSTER:
            return Place(SlotOwner(address, tag))


class Link:
    """A process's connection to Redis.

    While Redis does not answer, or refuses everything, every call fails at once with RedisUnreachable. Only a `probe`
    really tries, and its first success lets calls through again. If Redis refuses a single call, only that call fails.
    The link logs each fault once, until it has passed. In a Redis Cluster, `tag` names the slot of our keys.
    """

    def __init__(self, url: str, *, tag: str = "") -> None:
        self.address = RedisAddress.parse(url)
        self._connections = make_pool(self.address, COMMAND_TIMEOUT_S)
        self._wire: Wire | None = None
        self._waiting: Wire | None = None
        """The connection for calls that wait on the server: they would hold up all other calls."""
        self._opening = asyncio.Lock()
        self._sharded = self.address.mode is Mode.CLUSTER
        self.fault: str | None = None
        """The reason why Redis does not answer; None while it answers."""
        self.on_move: list[Callable[[], None]] = []
        """Called when another server has taken over. That server may lack our latest writes."""
        self._recovered = asyncio.Event()
        self._refused = RefusedCalls()
        self.trips = RoundTrips()
        self._place = make_place(self.address, tag)
        if self._place is not None:
            self._place.on_move = self._moved
            self._place.hold(self._connections)

    async def run(self, call: ScriptCall[ReadAs], *, probe: bool = False) -> ReadAs:
        """Call a Lua script; answers its reply.

        Raises RedisUnreachable or its kind RedisRefuses, Unreadable for a reply that cannot be read, and EccmgrError
        for a fault in the script.
        """
        name, keys, args, _ = call
        lua = script(name, sharded=self._sharded)
        reply = await self._ask(name, lambda wire: lua(wire.call, keys, args), probe, words=keys)
        return await self._read(call, reply)

    def send(self, call: ScriptCall[Any]) -> "asyncio.Future[Any] | None":
        """Send a call before this returns. `call.answer` reads the reply. None if only `run` can send the call.

        A failure is an exception of the library, and the link takes no note of it. Then call `run`, which does.
        """
        (name, keys, args, _), wire = call, self._wire
        if self.fault is not None or wire is None or wire.fault is not None or not wire.writable:
            return None
        return wire.send("EVALSHA", script(name, sharded=self._sharded).sha, len(keys), *keys, *args)

    async def run_durably(self, call: ScriptCall[ReadAs], copies: int, wait_s: float = 0.2) -> tuple[ReadAs, bool]:
        """Do as `run` with `probe` does; also answers whether a majority of Redis's `copies`, the master among them,
        has the call.

        With `copies` 0, the sentinels know the number; without sentinels it is one. This waits for the copies for
        `wait_s`, on a connection that no other call needs.
        """
        if copies == 1 or not (copies or self.address.mode is Mode.SENTINEL):
            return await self.run(call, probe=True), True
        name, keys, args, _ = call
        lua = script(name, sharded=self._sharded)

        async def ask(wire: Wire) -> tuple[Any, bool]:
            # This connection was made by asking the sentinels, so their number of copies is fresh.
            others = (copies or self._copies) // 2
            if not others:
                return await lua(wire.call, keys, args), True
            what, wait = (len(keys), *keys, *args), ("WAIT", others, round(wait_s * 1000))
            try:
                answer, have = await wire.call_together(("EVALSHA", lua.sha, *what), wait)
            except NoScriptError:
                answer, have = await wire.call_together(("EVAL", lua.source, *what), wait)
            return answer, isinstance(have, int) and have >= others

        reply, acked = await self._ask(name, ask, probe=True, waits=True, words=keys)
        return await self._read(call, reply), acked

    async def _read(self, call: ScriptCall[ReadAs], reply: Any) -> ReadAs:
        """Read the reply to a call. Raises Unreadable.

        A reply that cannot be read may be the one to another call. Then all later ones would be, so the connection is
        asked for its order, and ended if it has lost it.
        """
        try:
            return call.answer(reply)
        except Unreadable:
            for wire in (self._wire, self._waiting):
                if wire is not None and wire.fault is None:
                    await _check_order(wire)
            raise

    async def look_again(self) -> None:
        """Look for the server anew, though this one answers: it may not know yet that another one has taken over."""
        if self._place is not None:
            with contextlib.suppress(RedisError, OSError):
                await self._place.look()

    async def reach(self) -> None:
        """If Redis did not answer before, find out whether it answers again. Raises RedisUnreachable."""
        if self.fault is not None:
            try:
                await self._ask("PING", lambda wire: wire.call("PING"), probe=True)
            except RedisRefuses as refusal:
                if refusal.whole:
                    raise
                self._open_the_way()

    async def call(self, *words: Argument) -> Any:
        """The answer to one plain command. Raises the errors of `run`."""
        return await self._ask(str(words[0]), lambda wire: wire.call(*words), words=words)

    async def publish(self, channel: str, message: Argument) -> int:
        """Send a message; answers how many hear it."""
        return replies.count(await self.call("SPUBLISH" if self._sharded else "PUBLISH", channel, message))

    async def pipeline(self, *commands: Sequence[Argument]) -> list[Any]:
        """Run plain commands together, in one transaction if Redis has memory for that. Raises the errors of `run`."""
        words = [word for command in commands for word in command]
        return list(await self._ask(str(commands[0][0]), lambda wire: _together(wire, commands), words=words))

    async def describe(self) -> str:
        """The server in one line. Raises RedisUnreachable."""
        return str(await self.look())

    async def look(self) -> ServerSeen:
        """Look at the server. Raises RedisUnreachable."""
        info: dict[str, str] = {}

        async def look(wire: Wire) -> float:
            started = time.monotonic()
            await wire.call("PING")
            took_ms = (time.monotonic() - started) * 1000
            with contextlib.suppress(RedisError):
                info.update(ServerSeen.fields(await wire.call("INFO", "server")))
            return took_ms

        round_trip_ms = await self._ask("PING", look)
        said = info.get("redis_mode") or info.get("server_mode") if self._place is None else None
        return ServerSeen.of(info, said or str(self.address.mode), str(self._where), round_trip_ms)

    async def subscribe(self, channels: Sequence[str], on_push: OnPush) -> Wire:
        """Make a connection that subscribes to `channels`.

        When this returns, Redis has confirmed each channel. Raises the library's errors and OSError.
        """
        left = len(channels)

        def hear(push: list[Any]) -> None:
            nonlocal left
            if push[:1] in ([b"subscribe"], [b"ssubscribe"]):
                left -= 1
            else:
                on_push(push)

        wire = await self._open(hear)
        try:
            wire.tell("SSUBSCRIBE" if self._sharded else "SUBSCRIBE", *channels)
            try:
                # A refusal comes as the answer to this PING. But a server may refuse the PING itself and still send us
                # messages.
                await wire.call("PING")
            except RedisError:
                if left or wire.fault is not None:
                    raise
        except BaseException:
            wire.close()
            raise
        wire.on_push = on_push
        self._refused.taken("SUBSCRIBE")
        return wire

    async def pause(self, longest_s: float) -> None:
        """Wait `longest_s`, or until Redis answers again after an outage."""
        recovered = self._recovered
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await recovered.wait()

    async def close(self) -> None:
        """Close every connection but those of subscriptions: these belong to their makers."""
        for wire in filter(None, (self._wire, self._waiting)):
            wire.close()
        if self._place is not None:
            await self._place.aclose()

    def reason(self, error: BaseException) -> str:
        """The fault of Redis that `error` means, in a few words."""
        return _reason(error, self.address, self._where)

    def refused(self, what: str, error: BaseException) -> bool:
        """Whether Redis refused `what` by this error; `what` is not a script. Logs a new refusal."""
        if (kind := refusal_at_connecting(error)) is None:
            return False
        self._refused.note(what, kind, self._where)
        return True

    @property
    def refusals(self) -> tuple[str, ...]:
        """The recent refusals of Redis that still hold, with their remedies."""
        return self._refused.lately

    async def _ask(
        self,
        what: str,
        ask: Callable[[Wire], Awaitable[Any]],
        probe: bool = False,
        *,
        waits: bool = False,
        words: Sequence[Argument] = (),
    ) -> Any:
        if self.fault is not None and not probe:
            raise self._unreachable()
        moves, asked = self._moves, False
        try:
            wire = self._waiting if waits else self._wire
            if wire is None or wire.fault is not None:
                wire = await self._connected(waits)
            asked, asked_s = True, time.monotonic()
            answer = await ask(wire)
            self.trips.times.observe(time.monotonic() - asked_s)
        except (RedisError, OSError) as error:
            if is_of_another_kind(error) and (kinds := keys_among(words)):
                raise mended(kinds, await self.run(mend(kinds))) from error
            raise await self._failed(what, error, asked) from error
        self._refused.taken(what)
        self._answered(moves, probe)
        return answer

    async def _connected(self, waits: bool) -> Wire:
        """The connection for calls, or the one for calls that wait on the server; made anew if it was lost."""
        async with self._opening:
            wire = self._waiting if waits else self._wire
            if wire is None or wire.fault is not None:
                again = wire is not None
                wire = await self._open()
                self.trips.reconnects += again
                if waits:
                    self._waiting = wire
                else:
                    self._wire = wire
            return wire

    async def _open(self, on_push: OnPush | None = None) -> Wire:
        connection = self._connections.make_connection()  # type: ignore[no-untyped-call]
        return await Wire.open(connection, COMMAND_TIMEOUT_S, on_push)

    @property
    def server(self) -> RedisAddress:
        """The present server: under Sentinel the master, in a Redis Cluster the owner of our slot."""
        spot = self._place.spot if self._place is not None else None
        return self.address if spot is None else self.address.node(spot.host, spot.port)

    @property
    def _copies(self) -> int:
        spot = self._place.spot if self._place is not None else None
        return 1 if spot is None else spot.copies

    @property
    def _where(self) -> str:
        return str((self._place and self._place.spot) or self.address)

    @property
    def _moves(self) -> int:
        return self._place.moves if self._place is not None else 0

    def _moved(self, spot: Spot) -> None:
        self.fault = f"it has just moved ({spot})"
        log.warning("redis moved", to=str(spot))
        for call in self.on_move:
            call()

    def _answered(self, moves: int, probe: bool) -> None:
        if self._moves != moves and not probe:
            # The call was based on answers of the previous server.
            raise self._unreachable(asked=True)
        self._open_the_way()

    def _open_the_way(self) -> None:
        if self.fault is not None:
            self.fault = None
            self._recovered.set()
            self._recovered = asyncio.Event()

    async def _failed(self, what: str, error: Exception, asked: bool) -> EccmgrError:
        kind = refusal_of(error) if asked else refusal_at_connecting(error)
        if kind is None:
            if asked and isinstance(error, ResponseError):
                return EccmgrError(f"Redis refused: {' '.join(str(error).split())[:_SHOWN_MAX]}")
            self.fault = self.reason(error)
            return self._unreachable(asked=asked)
        if self._place is not None and isinstance(error, NOT_HERE):
            await self._place.leave()
            kind = replace(kind, why="another server has taken over", remedy="wait until it is found", whole=True)
        self._refused.note(what, kind, self._where)
        if kind.whole:
            self.fault = kind.told(self._where)
        elif self._place is None:
            # Redis answers, so let calls through: it may take others than this one.
            self._open_the_way()
        begun = "Redis is not reachable" if kind.whole else "Redis refused"
        text = f"{begun}: {kind.told(self._where)}"
        return RedisRefuses(text, code=kind.code, soon=kind.soon, whole=kind.whole, asked=asked and kind.partly)

    def _unreachable(self, *, asked: bool = False) -> RedisUnreachable:
        why = self.fault or f"it has just moved ({self._where})"
        return RedisUnreachable(f"Redis is not reachable: {why}", asked=asked)


async def _check_order(wire: Wire) -> None:
    """End a connection that does not answer what it is asked."""
    word = secrets.token_hex(8)
    with contextlib.suppress(RedisError):
        if await wire.call("PING", word) != word.encode():
            wire.close("its answers are out of order")


async def _together(wire: Wire, commands: Sequence[Sequence[Argument]]) -> list[Any]:
    """The answers to plain commands in one transaction. Raises the first refusal."""
    if len(commands) == 1:
        return [await wire.call(*commands[0])]
    try:
        replies = (await wire.call_together(("MULTI",), *commands, ("EXEC",)))[-1]
    except OutOfMemoryError:
        # Redis now queues no command, not even one that only reads.
        return await wire.call_together(*commands)
    if not isinstance(replies, list) or len(replies) != len(commands):
        raise not_understood()
    for answer in replies:
        if isinstance(answer, BaseException):
            raise answer
    return replies


def _reason(error: BaseException, address: RedisAddress, where: str) -> str:
    """The fault in a few words. The library's own text may hold the URL."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, NotFound):
            return f"{cause} ({address})"
        if (kind := refusal_of(cause)) is not None:
            return kind.told(where)
        if isinstance(cause, SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message.rstrip('.')} ({where})"
        if isinstance(cause, OSError) and cause.strerror:
            # The text of asyncio repeats the address and leaves out the fault.
            said = cause.strerror.startswith("Connect call failed") and cause.errno
            return f"{os.strerror(said) if said else cause.strerror} ({where})"
        if isinstance(cause, (TimeoutError, asyncio.TimeoutError, RedisTimeoutError)):
            return f"no answer in {COMMAND_TIMEOUT_S:g} s ({where})"
        cause = cause.__cause__ or cause.__context__
    return f"{str(error).rstrip('.') or type(error).__name__} ({where})"
