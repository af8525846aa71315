"""Finds out how commands end for which nobody waits, so that the log can tell it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from eccmgr.cluster.command_log import TEXT_SHOWN, log_end, log_end_unknown
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.results import Report
from eccmgr.cluster.waiting import Published
from eccmgr.errors import EccmgrError, RedisUnreachable
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

log = structlog.get_logger()

_FOLLOWED_MAX = 1000
_LOOK_S = 1.0
# A look counts the answers of so many commands, and reads the answers of so many.
_COUNTED_AT_ONCE = 200
_READ_AT_ONCE = 10
# The last nodes may be settled this long after the command's time limits, because clocks and leases are not exact.
_PATIENCE_S = 5.0


@dataclass
class _Followed:
    """One command. It is over once `live` nodes have answered, at the latest `until` (on the monotonic clock)."""

    text: str
    live: int
    until: float
    membership: int
    """The number of changes of the membership at the last reading of its answers."""


class Endings:
    """Follows the latest commands of one manager, while `run` runs. `read` answers the report on a command, None if
    Redis keeps it no longer."""

    def __init__(
        self, link: Link, keys: Keys, options: ClusterOptions, read: Callable[[str], Awaitable[Report | None]]
    ) -> None:
        self._link, self._keys, self._options, self._read = link, keys, options, read
        self._followed: dict[str, _Followed] = {}
        self._some = asyncio.Event()
        self._membership = 0

    def __len__(self) -> int:
        return len(self._followed)

    def follow(self, published: Published) -> None:
        """Log the end of this command once it is known. If there are too many commands, the oldest is given up."""
        if len(self._followed) >= _FOLLOWED_MAX:
            oldest = next(iter(self._followed))
            text = self._followed.pop(oldest).text
            log_end_unknown(oldest, text, f"more than {_FOLLOWED_MAX} commands are under way")
        longest_s = self._options.command_ttl_s + self._options.command_timeout_s + _PATIENCE_S
        sent, until = published.sent, time.monotonic() + longest_s
        self._followed[sent.id] = _Followed(sent.text[:TEXT_SHOWN], len(published.live), until, self._membership)
        self._some.set()

    def membership_changed(self) -> None:
        """A node may be lost: look at every command that it might have answered."""
        self._membership += 1

    async def run(self) -> None:
        """Look once a second while there are commands to follow."""
        while True:
            await self._some.wait()
            await asyncio.sleep(_LOOK_S)
            try:
                await self.look()
            except EccmgrError as error:
                log.debug("ends of commands not looked at", reason=str(error))
            if not self._followed:
                self._some.clear()

    async def look(self) -> None:
        """Log the ends that are known by now. Raises EccmgrError."""
        ids = list(self._followed)[:_COUNTED_AT_ONCE]
        if not ids:
            return
        kept = await self._link.pipeline(
            *(("HMGET", self._keys.command(each), "id", "answered", "aborted") for each in ids),
            *(("LLEN", self._keys.arrived(each)) for each in ids),
        )
        due = []
        for command_id, fields, waiting in zip(ids, kept[: len(ids)], kept[len(ids) :], strict=True):
            made, answered, aborted = replies.values(fields, 3)
            # Those at which this look has come are the last ones at the next look.
            followed = self._followed.pop(command_id)
            if made is None:
                log_end_unknown(command_id, followed.text, "its results were flushed")
                continue
            self._followed[command_id] = followed
            arrived = replies.count(waiting) + (int(answered) if answered is not None and answered.isdigit() else 0)
            is_stale = followed.membership != self._membership or time.monotonic() >= followed.until
            if arrived >= followed.live or aborted is not None or is_stale:
                due.append(command_id)
        for command_id in due[:_READ_AT_ONCE]:
            await self._settle(command_id)

    async def _settle(self, command_id: str) -> None:
        """Read the answers to a command, and log its end if it is over."""
        followed, membership = self._followed[command_id], self._membership
        try:
            report = await self._read(command_id)
        except RedisUnreachable:
            raise
        except EccmgrError as error:
            del self._followed[command_id]
            log_end_unknown(command_id, followed.text, str(error))
            return
        is_over = time.monotonic() >= followed.until
        if report is None:
            del self._followed[command_id]
            log_end_unknown(command_id, followed.text, "its results were flushed")
        elif is_over or all(outcome.state.final for outcome in report.outcomes):
            del self._followed[command_id]
            log_end(report)
        else:
            followed.membership = membership
