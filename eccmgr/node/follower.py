"""Follows the log of commands: notices that an entry was not heard, and reads it in the log.

Pub/sub may lose a message: it never arrives if the node is just reconnecting, or if its connection has gone deaf. So
each message names the entry before it on its channel, and each heartbeat brings the latest entry of every channel. If a
node has not heard such an entry, it reads the log from there.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from eccmgr.cluster.calls import commands
from eccmgr.cluster.members import Life
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.session import Session
from eccmgr.errors import EccmgrError, RedisRefuses
from eccmgr.redis.backoff import Backoff
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import is_entry

log = structlog.get_logger()

_PAGE = 200
# A heartbeat's answer may overtake a message, because the message comes on the other connection.
_GRACE_S = 0.2
_NOWHERE = "0-0"

Hear = Callable[[bytes], None]


class Follower:
    """Follows `channels` in the log. It passes each message that it reads to `hear`, as if the node had heard it."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        options: ClusterOptions,
        session: Session,
        channels: tuple[str, ...],
        hear: Hear,
        on_deaf: Callable[[], None] = lambda: None,
    ) -> None:
        self._link = link
        self._keys = keys
        self._options = options
        self._session = session
        self._channels = channels
        self._hear = hear
        self._on_deaf = on_deaf
        self._node = session.identity.name.lower()
        self._life: Life | None = None
        self._heard: dict[str, str] = {}
        # The latest entry of each channel for which the log was already read; heartbeats bring these entries.
        self._sought: dict[str, str] = {}
        self._behind = asyncio.Event()

    @property
    def here(self) -> str:
        """The last entry of the log up to which every channel was heard."""
        return min((self._position(channel) for channel in self._channels), key=_order)

    def follow(self, channels: tuple[str, ...], after: str = "") -> None:
        """Follow these channels from now on. With `after`, the log is read again from after that entry."""
        position = after or self.here
        self._channels = channels
        self._heard |= {channel: min(position, self._heard.get(channel, position), key=_order) for channel in channels}
        self.catch_up()

    def heard(self, channel: str, entry: str, before: str) -> None:
        """A message has come. `before` is the entry before it on its channel."""
        position = self._position(channel)
        if before == position:
            self._heard[channel] = entry
        elif _order(before) > _order(position):
            self.catch_up()
        elif _order(entry) > _order(position):
            self._heard[channel] = entry

    def heads(self, heads: Mapping[str, str]) -> None:
        """Take the latest entries from a heartbeat. An entry that cannot be read is ignored."""
        readable = {channel: head for channel, head in heads.items() if is_entry(head)}
        for channel in heads.keys() - readable.keys():
            if self._sought.get(channel) != heads[channel]:
                log.warning(
                    "latest entry dropped",
                    channel=channel,
                    reason=f"{heads[channel][:100]!r} is not the id of an entry",
                )
                self._sought[channel] = heads[channel]
        if self._missing(readable):
            asyncio.get_running_loop().call_later(_GRACE_S, self._look_again, readable)

    def catch_up(self) -> None:
        """Read the log soon, because a message may have been missed."""
        self._behind.set()

    async def run(self) -> None:
        """Read the log whenever that is asked for, until cancelled."""
        said = ""
        backoff = Backoff(lambda: self._options.heartbeat_s)
        while True:
            await self._behind.wait()
            self._behind.clear()
            try:
                await self._session.joined.wait()
                await self._catch_up()
                said = ""
                backoff.reset()
            except EccmgrError as error:
                # The link has logged what Redis refuses.
                if str(error) != said and not isinstance(error, RedisRefuses):
                    log.warning("not caught up", reason=str(error))
                said = str(error)
                self._behind.set()
                await asyncio.sleep(backoff.next_s())

    def _position(self, channel: str) -> str:
        """The latest entry that was heard on `channel` in this life. A new life begins at the log's latest entry when
        it joined."""
        if self._life is not self._session.life:
            self._life = self._session.life
            # If that entry cannot be read, begin with the whole log: commands from before our join are not for us.
            joined = self._session.last_entry if is_entry(self._session.last_entry) else _NOWHERE
            self._heard = dict.fromkeys(self._channels, joined)
        return self._heard.get(channel, _NOWHERE)

    def _missing(self, heads: Mapping[str, str]) -> list[str]:
        """The channels whose latest entry was not heard, and for which the log was not read yet. The log may lack that
        entry, because it is trimmed."""
        return [
            channel
            for channel, head in heads.items()
            if _order(head) > _order(self._position(channel)) and self._sought.get(channel) != head
        ]

    def _look_again(self, heads: Mapping[str, str]) -> None:
        if missing := self._missing(heads):
            self._sought.update({channel: heads[channel] for channel in missing})
            self._on_deaf()
            self.catch_up()

    async def _catch_up(self) -> None:
        after = self.here
        life, more, number = self._life, True, 0
        while more and life is self._session.life:
            after, more, messages = await self._link.run(
                commands.catch_up(self._keys, self._options, after, _PAGE, self._node, self._channels)
            )
            for message in messages:
                try:
                    self._hear(message)
                except ValueError as error:
                    # Anybody who reaches Redis may have written anything, as with published messages.
                    log.warning("message dropped", reason=str(error))
            number += len(messages)
            for channel in self._channels:
                if _order(after) > _order(self._position(channel)):
                    self._heard[channel] = after
        if number:
            log.info("caught up", commands=number, entry=after)


def check_entries(*texts: str) -> None:
    """Raises ValueError if one of `texts` is not the id of a log's entry."""
    for text in texts:
        if not is_entry(text):
            raise ValueError(f"{text[:100]!r} is not an entry of a log")


def _order(entry: str) -> tuple[int, int]:
    """A sort key for the ids of a stream: the milliseconds, and the number within one millisecond."""
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number or 0)
