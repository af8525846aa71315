"""The topics of the feed."""

import enum
from collections.abc import Iterable

from eccmgr.errors import UsageError

ALL = "all"


class FeedTopic(enum.StrEnum):
    """A topic of the feed. Each has a snapshot and changes of its own."""

    CLUSTER = "cluster"
    """One item: the cluster as a whole, with its subclusters."""
    MEMBERS = "members"
    """An item for each node, live or absent."""
    VIPS = "vips"
    """An item for each floating address."""
    COMMANDS = "commands"
    """The latest commands that were sent to nodes."""
    JOBS = "jobs"
    """Long commands that nodes run."""
    SCHEDULES = "schedules"
    """The managers' schedules."""
    AUDIT = "audit"
    """The latest entries of the audit."""


EVERY_TOPIC = tuple(FeedTopic)


def read_topics(words: Iterable[str]) -> tuple[FeedTopic, ...]:
    """The topics that `words` name, each once; `all` names every topic. Raises UsageError."""
    topics: dict[FeedTopic, None] = {}
    for word in words:
        if word.lower() == ALL:
            topics.update(dict.fromkeys(EVERY_TOPIC))
            continue
        try:
            topics[FeedTopic(word.lower())] = None
        except ValueError:
            raise UsageError(f"No topic '{word[:80]}'; the topics are {', '.join(EVERY_TOPIC)}, and all") from None
    return tuple(topics)
