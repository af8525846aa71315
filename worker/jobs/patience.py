"""RQ's connection: it follows the server, and repeats a refused call until Redis takes it.

A refused call was not done, so it is safe to repeat it, and so is a call that only reads. Another call without an
answer may have been done, so its caller decides.
"""

import contextlib
import mmap
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import redis
import structlog
from redis.backoff import NoBackoff
from redis.client import Pipeline, PubSub
from redis.commands.core import Script
from redis.connection import Connection, SSLConnection, parse_url
from redis.exceptions import WatchError
from redis.retry import Retry

from eccmgr.redis.library import GARBLED, LedBlockingConnection, LedBlockingTlsConnection, is_garbled
from eccmgr.redis.refusals import refusal_of
from worker.jobs.mending import NotUnderstood, mend
from worker.jobs.rq_job import UNREADABLE

log = structlog.get_logger()

T = TypeVar("T")
PATIENCE_S = 24 * 3600.0
DESERTED_S = 60.0
"""After its agent is gone, a worker process has this long to tell Redis everything."""
RETRY_S = 0.5
_BAFFLED_S = 60.0
"""For so long a worker bears replies that RQ cannot use."""
_CONNECT_S = 5.0
_READS = frozenset(
    {
        *("EXISTS", "GET", "HGET", "HGETALL", "HMGET", "INFO", "LLEN", "LRANGE", "SMEMBERS", "TTL", "TYPE"),
        *("XREVRANGE", "ZRANGE", "ZRANGEBYSCORE", "ZSCORE"),
    }
)
"""The calls of RQ's, and of ours about its data, that change nothing."""
_SHARED_BYTES = 1024
_DESERTED = struct.Struct("d")
"""The time at which the agent was found gone (monotonic, in seconds); 0 while the agent is there."""


@contextlib.contextmanager
def understood() -> Iterator[None]:
    """Turns the errors of the library for an answer that no Redis gives into NotUnderstood."""
    try:
        yield
    except (*GARBLED, redis.ResponseError) as error:
        if is_garbled(error):
            raise NotUnderstood from error
        raise


class Whereabouts:
    """Host and port of the server, as the agent last named them. Forked processes see each change."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _SHARED_BYTES)

    def move(self, url: str) -> None:
        """From now on the server is that of `url`."""
        options = parse_url(url)  # type: ignore[no-untyped-call]
        if "host" in options:
            told = f"{options['host']} {options.get('port', 6379)}".encode()
            self._shared[: len(told) + 1] = told + b"\0"

    def desert(self) -> None:
        """The agent is gone."""
        self._shared[-_DESERTED.size :] = _DESERTED.pack(time.monotonic())

    def gives_up(self, began: float) -> bool:
        """Whether a wait for Redis that began at `began` (monotonic, in seconds) has lasted too long."""
        (deserted,) = _DESERTED.unpack(self._shared[-_DESERTED.size :])
        until = deserted + DESERTED_S if deserted else began + PATIENCE_S
        return time.monotonic() > until

    @property
    def now(self) -> tuple[str, int] | None:
        """Host and port; None before the agent has named any."""
        host, _, port = self._shared[:].partition(b"\0")[0].decode().partition(" ")
        return (host, int(port)) if host else None


class FollowingConnection(LedBlockingConnection):
    """A connection that asks for the server's address whenever it connects."""

    def __init__(self, whereabouts: Whereabouts, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._whereabouts = whereabouts

    def lead(self) -> tuple[str, int] | None:
        """The address that the agent names."""
        return self._whereabouts.now


class FollowingTlsConnection(FollowingConnection, LedBlockingTlsConnection):
    """A connection with TLS that asks for the server's address whenever it connects."""


class TextScript(Script):
    """A script of RQ's that is sent as its text: the user of a node may load no script."""

    def __call__(self, keys: Any = None, args: Any = None, client: Any = None) -> Any:
        """Run the script."""
        names = tuple(keys or ())
        return (client or self.registered_client).eval(cast("str", self.script), len(names), *names, *(args or ()))


class JobRedis(redis.Redis):
    """A client for RQ. A `patient` one waits for as long as Redis refuses."""

    patient = True
    insistent = False
    """Whether a transaction is tried again until it is known to be done."""
    whereabouts: Whereabouts

    @classmethod
    def of(cls, url: str, whereabouts: Whereabouts, *, patient: bool) -> "JobRedis":
        """A client for the server at `url`, or at the address to which it has moved."""
        # The caller of a client that is not patient is waiting, so its limits are short.
        limits = {} if patient else {"socket_timeout": _CONNECT_S, "retry": Retry(NoBackoff(), 0)}
        made = cls.from_url(
            url, socket_connect_timeout=_CONNECT_S, health_check_interval=15, driver_info=None, **limits
        )
        assert isinstance(made, cls)
        pool = made.connection_pool
        kinds: dict[type, type] = {Connection: FollowingConnection, SSLConnection: FollowingTlsConnection}
        if pool.connection_class in kinds:
            pool.connection_class = kinds[pool.connection_class]
            pool.connection_kwargs["whereabouts"] = whereabouts
        made.patient, made.whereabouts = patient, whereabouts
        return made

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command as the library does, again until Redis takes it. A patient client repeats a read until it is
        answered."""

        def attempt() -> Any:
            return self.until_taken(lambda: self._execute(*args, **options))

        return patiently(attempt, self.whereabouts) if self.patient and args[0] in _READS else attempt()

    def _execute(self, *args: Any, **options: Any) -> Any:
        try:
            with understood():
                return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except redis.ResponseError as error:
            mend(self, args, error)
            raise

    def register_script(self, script: Any) -> TextScript:
        """Make a script as the library does; it is never loaded."""
        return TextScript(self, script)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> "JobPipeline":
        """Make a pipeline as the library does."""
        return JobPipeline(self, transaction, shard_hint)

    @contextlib.contextmanager
    def hurried(self) -> Iterator[None]:
        """Inside this block no call is repeated."""
        was_patient, self.patient = self.patient, False
        try:
            yield
        finally:
            self.patient = was_patient

    @contextlib.contextmanager
    def insisting(self) -> Iterator[None]:
        """Inside this block each transaction of a patient client is tried again until it is known to be done. Each must
        be harmless if done twice."""
        self.insistent = self.patient
        try:
            yield
        finally:
            self.insistent = False

    def pubsub(self, **named: Any) -> "JobPubSub":
        """Make a subscription as the library does."""
        return JobPubSub(self.connection_pool, **named)

    def until_taken(self, what: Callable[[], T]) -> T:
        """Do `what` again and again, until Redis does not refuse it."""
        began, said = time.monotonic(), ""
        while True:
            try:
                return what()
            except redis.ResponseError as error:
                kind = refusal_of(error)
                if kind is None or not self.patient or self.whereabouts.gives_up(began):
                    raise
                if kind.code != said:
                    said = kind.code
                    log.warning("redis refuses", code=kind.code, reason=kind.why, remedy=kind.remedy)
                # Another server may have taken over, so the next try connects anew.
                self.connection_pool.disconnect(inuse_connections=False)
                time.sleep(RETRY_S)


class JobPipeline(Pipeline):
    """A pipeline of a JobRedis. If Redis refuses any part of a transaction, it refuses the whole."""

    def __init__(self, client: JobRedis, transaction: bool, shard_hint: str | None) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._client = client

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command as the library does. A refusal closes the connection, so a caller that watches keys begins anew
        on another one."""
        try:
            with understood():
                return super().immediate_execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except redis.ResponseError as error:
            mend(self._client, args, error)
            if refusal_of(error) is not None and self.connection is not None:
                self.connection.disconnect()  # type: ignore[no-untyped-call]
            raise

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Execute as the library does, again until Redis takes it. If the pipeline watches keys, its maker has to make
        it anew."""
        stack, watches = list(self.command_stack), self.watching

        def attempt() -> list[Any]:
            self.command_stack = list(stack)
            try:
                with understood():
                    return list(super(JobPipeline, self).execute(raise_on_error))
            except redis.ResponseError as error:
                mend(self._client, (word for command in stack for word in command[0]), error)
                if watches and self._client.patient and refusal_of(error) is not None:
                    self.connection_pool.disconnect(inuse_connections=False)
                    time.sleep(RETRY_S)
                    raise WatchError("refused") from error
                raise

        if self._client.insistent:
            return patiently(lambda: self._client.until_taken(attempt), self._client.whereabouts)
        return self._client.until_taken(attempt)


class JobPubSub(PubSub):
    """A subscription of a JobRedis. After an answer that is not understood it goes on with another connection, because
    the library would wait on this one for ever."""

    connection: Any

    def get_message(self, *args: Any, **named: Any) -> Any:
        """Get a message as the library does."""
        try:
            with understood():
                return super().get_message(*args, **named)
        except NotUnderstood:
            if self.connection is not None:
                self.connection.disconnect()
            raise


def patiently(what: Callable[[], T], whereabouts: Whereabouts) -> T:
    """Do `what`, again and again while Redis is away, until that takes too long; answers its result. `what` must be
    harmless if done twice.

    A reply that RQ cannot use may be as passing as a missing one, so it is borne for a while too.
    """
    began, said = time.monotonic(), ""
    while True:
        try:
            return what()
        except (redis.RedisError, *UNREADABLE) as error:
            if whereabouts.gives_up(began) or not (is_away(error) or time.monotonic() - began < _BAFFLED_S):
                raise
            if not is_away(error) and str(error) != said:
                said = str(error)
                log.warning("redis not understood", reason=said)
            time.sleep(RETRY_S)


def is_away(error: BaseException) -> bool:
    """Whether an error means that Redis does not answer, or that it refuses for a reason of its own."""
    return isinstance(error, redis.ConnectionError | redis.TimeoutError) or refusal_of(error) is not None
