"""The command `feed`: streams what happens to a console."""

from collections.abc import Callable, Iterable

from eccmgr.commands.answer import Answer
from eccmgr.commands.caller import Caller
from eccmgr.commands.rendering import iso_time
from eccmgr.commands.table import Call, Command, Param
from eccmgr.errors import NotAuthorized, UsageError
from eccmgr.feed.picture import FeedChange
from eccmgr.feed.source import Resync, Source
from eccmgr.feed.topics import ALL, EVERY_TOPIC, FeedTopic, read_topics
from eccmgr.text import words

MaySee = Callable[[Caller, str], bool]
"""Answers whether a caller may run a command, which is in normal form."""

_USAGE = "feed TOPIC…"
_ABOUT = (
    f"TOPIC is one or more of {', '.join(EVERY_TOPIC)}; all means every topic.\n"
    "First comes a snapshot of each topic, then its changes, at most twice a second. ec_console\n"
    "prints a JSON object a line, until Ctrl-C; another client has to ask for a stream. A caller\n"
    "whose roles are limited sees a topic if a role allows `feed TOPIC`."
)


class FeedCommands:
    """The command `feed` of one manager."""

    def __init__(self, source: Source, may_see: MaySee) -> None:
        self._source, self._may_see = source, may_see

    def commands(self) -> tuple[Command, ...]:
        """The entry in the table of commands."""
        topics = Param("TOPIC…", rest=True, choices=lambda: (*EVERY_TOPIC, ALL))
        brief = "stream a snapshot of each topic, then its changes"
        return (Command("feed", brief, self._feed, (topics,), idempotent=True, about=_ABOUT),)

    async def _feed(self, call: Call) -> Answer:
        topics = read_topics(word.text for word in words.split(call.args[0]))
        emit, caller = call.caller.emit, call.caller
        if emit is None:
            raise UsageError(f"Usage: {_USAGE} (only for a client that asks for a stream; see help feed)")
        self._check(caller, topics)
        async with self._source.reader(topics) as changes:
            async for change in changes:
                # A role may have been taken away meanwhile.
                self._check(caller, (change.topic,))
                await emit(event_of(change))
        return Answer("The feed has ended, because the manager ends")

    def _check(self, caller: Caller, topics: Iterable[FeedTopic]) -> None:
        for topic in topics:
            if not self._may_see(caller, f"feed {topic}"):
                raise NotAuthorized(f"Not Authorized for this command: no role of yours allows feed {topic}")


def event_of(change: FeedChange | Resync) -> dict[str, object]:
    """The fields of a CHUNK frame with this change."""
    if isinstance(change, Resync):
        return {"event": "resync", "topic": change.topic.value}
    event: dict[str, object] = {
        "event": "feed",
        "topic": change.topic.value,
        "serial": change.serial,
        "at": iso_time(change.at_ms),
        "full": change.full,
        "items": list(change.items),
        "gone": list(change.gone),
    }
    return {**event, "more": True} if change.more else event
