"""A subscription that comes back: it reconnects for ever, with jittered back-off, and says when it listens again."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import structlog
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from eccmgr.redis.connect import Link

log = structlog.get_logger()

Handler = Callable[[str, bytes], Awaitable[None]]
_BACKOFF_MAX_S = 1.0


class MovedAway(RedisConnectionError):
    """Raised when a node of a Redis Cluster ends our subscription: it has given the slot away."""


class Subscription:
    """Listens on `channels` and hands each message to `handler`, one after another, in order.

    Whoever reaches Redis may publish anything: a message that the handler cannot read (ValueError) is dropped.
    `listening` is set while Redis has confirmed every channel; `on_listening` is called each time that it has, since
    what was published before was not heard.
    """

    def __init__(self, link: Link, channels: Sequence[str], handler: Handler) -> None:
        self._link = link
        self._channels = tuple(channels)
        self._handler = handler
        self.listening = asyncio.Event()
        self.on_listening: Callable[[], None] = lambda: None
        self._attempt = asyncio.timeout(None)

    def restart(self) -> None:
        """Subscribe anew on another connection: this one seems to be deaf."""
        if self.listening.is_set():
            self._attempt.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Listen until cancelled."""
        backoff_s, said = 0.05, ""
        while True:
            try:
                async with asyncio.timeout(None) as self._attempt, self._link.subscriptions.pubsub() as pubsub:
                    await self._link.subscribe(pubsub, self._channels)
                    missing = set(self._channels)
                    async for message in pubsub.listen():
                        if message["type"] == "sunsubscribe":
                            raise MovedAway(f"{message['channel'].decode()} is served elsewhere now")
                        if message["type"] in ("subscribe", "ssubscribe"):
                            missing.discard(message["channel"].decode())
                            if not missing:
                                self.listening.set()
                                self.on_listening()
                                backoff_s, said = 0.05, ""
                        elif message["type"] in ("message", "smessage"):
                            await self._hand_over(message["channel"].decode(), message["data"])
            except (RedisError, OSError) as error:
                if self._attempt.expired():
                    log.warning("not listening", reason="the subscription is deaf")
                    continue
                if self.listening.is_set():
                    self._link.lost(error)
                if self._link.reason(error) != said:
                    said = self._link.reason(error)
                    log.warning("not listening", reason=said)
            finally:
                self.listening.clear()
            await self._link.pause(backoff_s * random.uniform(0.5, 1.5))  # noqa: S311
            backoff_s = min(backoff_s * 2, _BACKOFF_MAX_S)

    async def _hand_over(self, channel: str, data: bytes) -> None:
        try:
            await self._handler(channel, data)
        except ValueError as error:
            log.warning("message dropped", channel=channel, reason=str(error))
