"""The one way to Redis: its address, its time limits, whether it answers.

Two clients: one for commands with a short time limit and no silent retries (a script that may have run is never
sent again by the library), one for subscriptions, which wait for as long as it takes.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from ssl import SSLCertVerificationError
from typing import Any

import redis.asyncio
import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from eccmgr.errors import EccmgrError, RedisUnreachable
from eccmgr.redis.address import Mode, RedisAddress
from eccmgr.redis.client import COMMAND_TIMEOUT_S, make_client
from eccmgr.redis.place import NOT_HERE, NOT_NOW, NotFound, Place, Spot
from eccmgr.redis.scripts import Argument, script
from eccmgr.redis.sentinel import Sentinels
from eccmgr.redis.slot import SlotOwner

log = structlog.get_logger()

_CONNECTIONS = 16
_SUBSCRIPTIONS = 4


def make_place(address: RedisAddress, tag: str) -> Place | None:
    """Where the server is, if that may change."""
    match address.mode:
        case Mode.STANDALONE:
            return None
        case Mode.SENTINEL:
            return Place(Sentinels(address))
        case Mode.CLUSTER:
            return Place(SlotOwner(address, tag))


class Link:
    """A process's connection to Redis.

    While Redis does not answer, every call fails at once with RedisUnreachable; only `probe` really tries, and
    the first success opens the way again. In a Redis Cluster `tag` says which slot our keys lie in.
    """

    def __init__(
        self,
        url: str,
        commands: "redis.asyncio.Redis | None" = None,
        subscriptions: "redis.asyncio.Redis | None" = None,
        *,
        tag: str = "",
    ) -> None:
        self.address = RedisAddress.parse(url)
        self.commands = commands or make_client(self.address, COMMAND_TIMEOUT_S, _CONNECTIONS)
        self.subscriptions = subscriptions or make_client(self.address, None, _SUBSCRIPTIONS)
        self._sharded = self.address.mode is Mode.CLUSTER
        self.fault: str | None = None
        """Why Redis does not answer; None while it does."""
        self.on_move: list[Callable[[], None]] = []
        """Called when another server has taken over, which may not know the last of what we knew."""
        self._recovered = asyncio.Event()
        self._place = make_place(self.address, tag)
        if self._place is not None:
            self._place.on_move = self._moved
            for client in (self.commands, self.subscriptions):
                self._place.hold(client.connection_pool)

    async def run(self, name: str, keys: Sequence[str], args: Sequence[Argument], *, probe: bool = False) -> Any:
        """Call the Lua script `name`. Raises RedisUnreachable; any other refusal of the server as EccmgrError."""
        self._check(probe)
        moves = self._moves
        try:
            with _cancellable():
                answer = await script(name, sharded=self._sharded)(self.commands, keys, args)
        except (RedisError, OSError) as error:
            raise await self._failed(error) from error
        self._answered(moves, probe)
        return answer

    async def run_durably(
        self, name: str, keys: Sequence[str], args: Sequence[Argument], copies: int, wait_s: float = 0.2
    ) -> tuple[Any, bool]:
        """As `run` with `probe`; and whether a majority of Redis's `copies`, the master among them, has it then.

        The copies are waited for on the same connection for `wait_s`.
        """
        if copies <= 1:
            return await self.run(name, keys, args, probe=True), True
        moves, called = self._moves, script(name, sharded=self._sharded)
        try:
            with _cancellable():
                async with self.commands.pipeline(transaction=False) as pipe:
                    pipe.execute_command("EVAL", called.source, len(keys), *keys, *args)
                    pipe.execute_command("WAIT", copies // 2, round(wait_s * 1000))
                    answer, have = await pipe.execute()
        except (RedisError, OSError) as error:
            raise await self._failed(error) from error
        self._answered(moves, probe=True)
        return answer, int(have) >= copies // 2

    async def pipeline(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Run plain commands together in one transaction. Raises as `run` does."""
        self._check(probe=False)
        moves = self._moves
        try:
            with _cancellable():
                async with self.commands.pipeline(transaction=True) as pipe:
                    for command in commands:
                        pipe.execute_command(*command)
                    answers: list[Any] = await pipe.execute()
        except (RedisError, OSError) as error:
            raise await self._failed(error) from error
        self._answered(moves, probe=False)
        return answers

    async def describe(self) -> str:
        """The server in one line: version, mode, address, round trip."""
        self._check(probe=False)
        started = time.monotonic()
        found: dict[str, Any] = {}
        try:
            with _cancellable():
                await self.commands.ping()
                round_trip_ms = (time.monotonic() - started) * 1000
                with contextlib.suppress(ResponseError):
                    found = await self.commands.info("server")
        except (RedisError, OSError) as error:
            raise await self._failed(error) from error
        version = found.get("valkey_version") or found.get("redis_version", "unknown version")
        name = "Valkey " if "valkey_version" in found else ""
        mode: str = self.address.mode
        if self._place is None:
            mode = found.get("redis_mode") or found.get("server_mode") or mode
        return f"{name}{version} {mode} {self._where}, round trip {round_trip_ms:.2f} ms"

    async def pause(self, longest_s: float) -> None:
        """Wait `longest_s`, or until Redis answers again after it did not."""
        recovered = self._recovered
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await recovered.wait()

    async def subscribe(self, pubsub: PubSub, channels: Sequence[str]) -> None:
        """Have `pubsub`, which is one of `subscriptions`, hear `channels`."""
        await (pubsub.ssubscribe if self._sharded else pubsub.subscribe)(*channels)

    async def close(self) -> None:
        """Close every connection."""
        await self.commands.aclose()
        await self.subscriptions.aclose()
        if self._place is not None:
            await self._place.aclose()

    def lost(self, error: BaseException) -> None:
        """Note that a subscription found Redis gone; the next heartbeat finds out how things stand."""
        self.fault = self.reason(error)

    def reason(self, error: BaseException) -> str:
        """What `error` says about Redis in a few words."""
        return _reason(error, self.address, self._where)

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

    def _check(self, probe: bool) -> None:
        if self.fault is not None and not probe:
            raise self._unreachable()

    def _answered(self, moves: int, probe: bool) -> None:
        if self._moves != moves and not probe:
            # What was asked rested on what the server before this one had said.
            raise self._unreachable()
        if self.fault is not None:
            self.fault = None
            self._recovered.set()
            self._recovered = asyncio.Event()

    async def _failed(self, error: Exception) -> EccmgrError:
        unreachable = (RedisConnectionError, RedisTimeoutError, OSError, AuthenticationError)
        if self._place is not None and isinstance(error, NOT_HERE):
            await self._place.leave()
        elif not isinstance(error, unreachable) and not _not_now(error):
            return EccmgrError(f"Redis refused: {error}")
        self.fault = self.reason(error)
        return self._unreachable()

    def _unreachable(self) -> RedisUnreachable:
        return RedisUnreachable(f"Redis is not reachable: {self.fault or f'it has just moved ({self._where})'}")


@contextlib.contextmanager
def _cancellable() -> Iterator[None]:
    """The library sends by asyncio.wait_for, which before Python 3.12 swallows a cancellation that comes as it ends."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError


def _reason(error: BaseException, address: RedisAddress, where: str) -> str:
    """What went wrong in a few words; the library's own text may name the URL."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, NotFound):
            return f"{cause} ({address})"
        if isinstance(cause, NOT_HERE):
            return f"another server has taken over ({where})"
        if _not_now(cause):
            return f"the cluster is being changed, or is down ({where})"
        if isinstance(cause, SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message.rstrip('.')} ({where})"
        if isinstance(cause, OSError) and cause.strerror:
            return f"{cause.strerror} ({where})"
        if isinstance(cause, (TimeoutError, asyncio.TimeoutError, RedisTimeoutError)):
            return f"no answer in {COMMAND_TIMEOUT_S:g} s ({where})"
        if isinstance(cause, AuthenticationError):
            return f"it refused our user or password ({where})"
        cause = cause.__cause__ or cause.__context__
    return f"{str(error).rstrip('.') or type(error).__name__} ({where})"


def _not_now(error: BaseException) -> bool:
    """Whether a node of a Redis Cluster cannot serve us while our slot is on its way."""
    return isinstance(error, NOT_NOW) or (isinstance(error, ResponseError) and "a non local key" in str(error))
