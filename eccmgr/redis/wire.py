"""One connection to Redis that many calls share. Each call is sent at once, and the answers come in order.

The library makes the connection (addresses, TLS, users, the master). After that, this module writes the commands and
reads the answers, because the library's own work around a call takes many times as long as the call: a PING over a Unix
socket costs this process 12 µs here, and 50 µs in the library.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from eccmgr.redis.library import GARBLED, drop, error_of, transport_of

_NOTHING = object()

Argument = str | bytes | int
OnPush = Callable[[list[Any]], None]


class Wire(asyncio.Protocol):
    """An open connection. Once it is lost, it stays lost.

    `on_push` is called with each message of a subscription, on the event loop. Without it, a message ends the
    connection: it may stand in the place of an answer, and each call would get the answer to the one before it. A call
    without an answer for `timeout_s` ends the connection too, because all later answers would wait behind it.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        transport: asyncio.WriteTransport,
        timeout_s: float,
        on_push: OnPush | None,
    ) -> None:
        # This reference keeps the library's object alive, because `Place` closes connections by these objects.
        self._connection = connection
        self._transport = transport
        self._timeout_s = timeout_s
        self.on_push = on_push
        self._loop = asyncio.get_running_loop()
        self._parser = hiredis.Reader(protocolError=InvalidResponse, replyError=error_of, notEnoughData=_NOTHING)
        self._unanswered: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.fault: RedisError | None = None
        """The reason why the connection was lost; None while it is open."""
        self.lost = asyncio.Event()

    @classmethod
    async def open(cls, connection: AbstractConnection, timeout_s: float, on_push: OnPush | None = None) -> "Wire":
        """Connect `connection`, which must be unused. Raises the library's errors and OSError."""
        with _cancellable():
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
            except BaseException as error:
                await connection.disconnect(nowait=True)
                if isinstance(error, GARBLED):
                    raise not_understood(error) from error
                raise
        transport = transport_of(connection)
        wire = cls(connection, transport, timeout_s, on_push)
        transport.set_protocol(wire)
        return wire

    @property
    def writable(self) -> bool:
        """Whether there is room for more to send."""
        return self._writable.is_set()

    async def call(self, *words: Argument) -> Any:
        """The answer to one command. Raises the server's refusal, or the library's ConnectionError or TimeoutError."""
        if not self._writable.is_set():
            await self._writable.wait()
        return await self.send(*words)

    async def call_together(self, *commands: Sequence[Argument]) -> list[Any]:
        """The answers to commands that are sent together, with no other call between them. Raises the first refusal."""
        if not self._writable.is_set():
            await self._writable.wait()
        calls = [self.send(*words) for words in commands]
        answers: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers

    def send(self, *words: Argument) -> "asyncio.Future[Any]":
        """Send a command before this returns, so that another one can follow directly; for the rest as `call`."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        if self.fault is not None:
            answer.set_exception(_again(self.fault))
            return answer
        self._unanswered.append((answer, self._loop.time()))
        self.tell(*words)
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout_s, self._look)
        return answer

    def tell(self, *words: Argument) -> None:
        """Send a command whose only answers are pushed messages, such as SUBSCRIBE."""
        self._transport.write(hiredis.pack_command(words))  # type: ignore[arg-type]

    def close(self, reason: str = "Connection closed") -> None:
        """End the connection; unanswered calls fail."""
        self._end(RedisConnectionError(reason))

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        parser = self._parser
        parser.feed(data)
        while True:
            try:
                reply = parser.gets()
            except GARBLED as error:
                return self._end(not_understood(error))
            if reply is _NOTHING:
                return None
            if isinstance(reply, hiredis.PushNotification) and self.on_push is not None:
                self.on_push(reply)
                continue
            if not self._unanswered or isinstance(reply, hiredis.PushNotification):
                return self._end(not_understood())
            answer, _ = self._unanswered.popleft()
            if answer.done():
                continue
            if isinstance(reply, RedisError):
                answer.set_exception(reply)
            else:
                answer.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        fault = RedisConnectionError("Connection closed by server")
        fault.__cause__ = error
        self._end(fault)

    def pause_writing(self) -> None:
        """Called by the event loop."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Called by the event loop."""
        self._writable.set()

    def _look(self) -> None:
        self._watch = None
        if not self._unanswered:
            return
        left_s = self._unanswered[0][1] + self._timeout_s - self._loop.time()
        if left_s > 0:
            self._watch = self._loop.call_later(left_s, self._look)
        else:
            self._end(RedisTimeoutError("no answer"))

    def _end(self, fault: RedisError) -> None:
        if self.fault is None:
            self.fault = fault
            self.lost.set()
            self._writable.set()
            self._transport.abort()
            drop(self._connection)
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        while self._unanswered:
            answer, _ = self._unanswered.popleft()
            if not answer.done():
                answer.set_exception(_again(self.fault))


def not_understood(error: Exception | None = None) -> RedisError:
    """The fault of a connection if its server gives an answer that no Redis gives."""
    fault = RedisConnectionError("its answer is not understood; check that Redis answers at the URL of Redis")
    fault.__cause__ = error
    return fault


def _again(fault: RedisError) -> RedisError:
    """A copy of `fault` for another call to raise, because each raise adds a trace to an exception."""
    made = type(fault)(*fault.args)
    made.__cause__ = fault.__cause__
    return made


@contextlib.contextmanager
def _cancellable() -> Iterator[None]:
    """Let a cancellation through: the library connects by asyncio.wait_for, which may swallow it before Python 3.12."""
    task = asyncio.current_task()
    cancelling = task.cancelling() if task is not None else 0
    try:
        yield
    finally:
        if task is not None and task.cancelling() > cancelling:
            raise asyncio.CancelledError
