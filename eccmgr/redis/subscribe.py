"""A subscription that comes back: it reconnects for ever, with random pauses that grow, and reports when it listens
again."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from redis.exceptions import RedisError

from eccmgr.redis.backoff import Backoff
from eccmgr.redis.connect import Link
from eccmgr.redis.wire import Wire

log = structlog.get_logger()

Handler = Callable[[str, bytes], None]
_LONGEST_PAUSE_S = 0.5
_ASK_EVERY_S = 5.0


class Subscription:
    """Listens on `channels` and hands each message to `handler`, one after another, in order.

    Anybody who reaches Redis may publish anything, so a message that the handler cannot read (ValueError) is dropped.
    `listening` is set while Redis has confirmed every channel. `on_listening` is called each time that Redis has
    confirmed them: earlier messages may have been missed.
    """

    def __init__(
        self,
        link: Link,
        channels: Sequence[str],
        handler: Handler,
        longest_pause_s: Callable[[], float] = lambda: _LONGEST_PAUSE_S,
    ) -> None:
        self._link = link
        self._channels = tuple(channels)
        self._handler = handler
        self._longest_pause_s = longest_pause_s
        self.listening = asyncio.Event()
        self.on_listening: Callable[[], None] = lambda: None
        self._attempt = asyncio.timeout(None)
        self._wire: Wire | None = None

    def listen_on(self, channels: Sequence[str]) -> None:
        """Listen on these channels from now on. `listening` is clear until Redis has confirmed them."""
        if self._channels != tuple(channels):
            self._channels = tuple(channels)
            self._over()

    def restart(self) -> None:
        """Subscribe anew on another connection, because this one seems to be deaf."""
        if self.listening.is_set():
            log.warning("not listening", reason="the subscription is deaf")
            self._over()

    def _over(self) -> None:
        if self.listening.is_set():
            self.listening.clear()
            self._attempt.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Listen until cancelled."""
        said, backoff = "", Backoff(lambda: min(self._longest_pause_s(), _LONGEST_PAUSE_S))
        while True:
            try:
                async with asyncio.timeout(None) as self._attempt:
                    channels = self._channels
                    self._wire = await self._link.subscribe(channels, self._heard)
                    try:
                        if channels != self._channels:
                            continue
                        self.listening.set()
                        self.on_listening()
                        said, backoff = "", Backoff(lambda: min(self._longest_pause_s(), _LONGEST_PAUSE_S))
                        await _while_up(self._wire)
                    finally:
                        self._wire.close()
            except (RedisError, OSError) as error:
                if self._attempt.expired():
                    continue
                if self._link.refused("SUBSCRIBE", error):
                    said = ""
                elif self._link.reason(error) != said:
                    said = self._link.reason(error)
                    log.warning("not listening", reason=said)
            finally:
                self.listening.clear()
            await self._link.pause(backoff.next_s())

    def _heard(self, push: list[Any]) -> None:
        match push:
            case [b"message" | b"smessage", bytes(channel), bytes(said)]:
                name = channel.decode(errors="replace")
                try:
                    self._handler(name, said)
                except ValueError as error:
                    log.warning("message dropped", channel=name, reason=str(error))
            case [b"sunsubscribe", bytes(channel), *_] if self._wire is not None:
                # This node of a Redis Cluster has given our slot away.
                self._wire.close(f"{channel.decode(errors='replace')} is served elsewhere now")


async def _while_up(wire: Wire) -> None:
    """Wait until `wire` is lost, and raise the reason. A PING at intervals finds out that a server is gone without a
    word.

    A server that refuses the PING is still there, and publishes to us.
    """
    while True:
        try:
            await wire.call("PING")
        except RedisError:
            if wire.fault is not None:
                raise
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ASK_EVERY_S):
                await wire.lost.wait()
