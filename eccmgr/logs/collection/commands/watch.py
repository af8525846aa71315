"""A node's commands about its own logs: `cluster show logs`, and `cluster logs watch`, on which `logs tail` rests."""

import asyncio
import functools
import json
import time

import structlog

from eccmgr.commands.answer import Answer
from eccmgr.commands.table import Call, Command, Param
from eccmgr.errors import CommandError, EccmgrError, UsageError
from eccmgr.logs.collection.commands.last_lines import LineReader, last_lines, unquoted
from eccmgr.logs.collection.commands.showing import log_row, shown
from eccmgr.logs.collection.following.sender import LogSender
from eccmgr.logs.collection.following.sources import LogFolder
from eccmgr.logs.collection.following.watching import WatchingPart
from eccmgr.logs.collection.gathering.catalogue import read_states
from eccmgr.logs.collection.gathering.stand import Unit
from eccmgr.logs.collection.safe_names import safe_name
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.text.naming import is_plain_name
from eccmgr.text.patterns import Pattern, PatternError

log = structlog.get_logger()

LINES_MAX = 1000
_WATCH_S = 150.0
"""A manager asks again before this time is over."""
_LOOK_S = 0.3
_WATCHES_MAX = 8


class NodeLogCommands:
    """The commands of one node about its logs."""

    def __init__(self, link: Link, keys: Keys, node: str, part: WatchingPart) -> None:
        self._link, self._keys, self._node, self._part = link, keys, node, part
        self._watches: dict[tuple[str, str, str], float] = {}
        """Until when each watch runs, on the monotonic clock: by channel, log and pattern."""
        self._tasks: set[asyncio.Task[None]] = set()

    def commands(self) -> tuple[Command, ...]:
        """The entries in the table of commands."""
        log_name = Param("LOG", choices=lambda: [watched.name for watched in self._part.how.logs])
        return (
            Command("cluster show logs", "the logs of this node, and who has how much of them", self._show, reads=True),
            Command(
                "cluster logs watch",
                "the last lines of a log, and for a while those that arrive; logs tail asks this",
                self._watch,
                (log_name, Param("LINES"), Param("PROCESS"), Param("REGEX", optional=True, rest=True)),
                about="PROCESS is the manager process that shows the lines that arrive; - for none.",
                reads=True,
            ),
        )

    async def _show(self, _call: Call) -> Answer:
        senders = {safe_name(sender.watched.name): sender for sender in self._part.senders.values()}
        units = [
            Unit(subscriber, self._node.lower(), name)
            for name, sender in senders.items()
            for subscriber in sender.watched.subscribers
        ]
        states, now_ms = await read_states(self._link, self._keys, units), int(time.time() * 1000)
        rows = [
            log_row(unit, senders[unit.log].news, state, _name_in(state.holder), "", now_ms)
            for unit, state in states.items()
        ]
        return shown(sorted(rows, key=lambda row: (row.log, row.subscriber)), of_node=True)

    async def _watch(self, call: Call) -> Answer:
        name, lines, process, *more = call.args
        sender = self._sender(name)
        if not lines.isdigit() or int(lines) > LINES_MAX or len(lines) > 4:
            raise UsageError(f"LINES is a number up to {LINES_MAX}, not '{lines[:80]}'")
        wanted = unquoted(more[0]) if more else ""
        pattern = _pattern(wanted)
        read = functools.partial(last_lines, LogFolder(sender.watched.path), int(lines), pattern)
        try:
            found, reader = await asyncio.to_thread(read)
        except OSError as error:
            raise CommandError(f"{name} cannot be read: {error.strerror or error}") from None
        key = (process, name.lower(), wanted)
        if process == "-":
            reader.close()
        elif key in self._watches:
            reader.close()
            self._watches[key] = time.monotonic() + _WATCH_S
        else:
            self._begin(key, reader)
        return Answer("\n".join(found), facts={"lines": found})

    def _sender(self, name: str) -> LogSender:
        for sender in self._part.senders.values():
            if sender.watched.name.lower() == name.lower():
                return sender
        known = ", ".join(watched.name for watched in self._part.how.logs) or "none"
        raise CommandError(f"This node has no log '{name[:80]}'; its logs: {known}")

    def _begin(self, key: tuple[str, str, str], reader: LineReader) -> None:
        process = key[0]
        if not is_plain_name(process) or len(self._watches) >= _WATCHES_MAX:
            reader.close()
            raise CommandError(f"At most {_WATCHES_MAX} readers watch the logs of a node at once")
        self._watches[key] = time.monotonic() + _WATCH_S
        task = asyncio.create_task(self._follow(key, reader), name=f"watch {key[1]}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """End every watch."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, key: tuple[str, str, str], reader: LineReader) -> None:
        """Send the lines that arrive, as long as somebody listens."""
        channel = self._keys.tailed(key[0])
        try:
            while time.monotonic() < self._watches[key]:
                await asyncio.sleep(_LOOK_S)
                lines = await asyncio.to_thread(reader.more)
                said = json.dumps({"node": self._node, "lines": lines})
                if not await self._link.publish(channel, said):
                    return
        except (OSError, EccmgrError) as error:
            log.debug("log not watched", log=key[1], reason=str(error))
        finally:
            del self._watches[key]
            reader.close()


def _pattern(text: str) -> Pattern | None:
    try:
        return Pattern.parse(text) if text else None
    except PatternError as error:
        raise UsageError(f"REGEX: {error}") from None


def _name_in(private: str) -> str:
    """The name of a member in its private name."""
    return private.rpartition("#")[2]
