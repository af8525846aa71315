"""The feed of one manager, wired together."""

from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.publishing import wall_clock_ms
from eccmgr.feed.audit import AuditWatcher
from eccmgr.feed.cluster import ClusterWatcher
from eccmgr.feed.commands_sent import CommandsWatcher
from eccmgr.feed.jobs import JobsWatcher
from eccmgr.feed.members import MembersWatcher
from eccmgr.feed.schedules import SchedulesWatcher
from eccmgr.feed.source import Source, Watcher
from eccmgr.feed.topics import FeedTopic
from eccmgr.feed.vips import VipsWatcher
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys


class Feed:
    """The source of a manager's feed, and what it has to hear of the membership."""

    def __init__(self, link: Link, keys: Keys, options: ClusterOptions, manager: str) -> None:
        vips = VipsWatcher(link, keys)
        self._members = MembersWatcher(link, keys, options, vips)
        watchers: dict[FeedTopic, Watcher] = {
            FeedTopic.CLUSTER: ClusterWatcher(link, keys, self._members, manager),
            FeedTopic.MEMBERS: self._members,
            FeedTopic.VIPS: vips,
            FeedTopic.COMMANDS: CommandsWatcher(link, keys, options),
            FeedTopic.JOBS: JobsWatcher(link, keys),
            FeedTopic.SCHEDULES: SchedulesWatcher(link, keys),
            FeedTopic.AUDIT: AuditWatcher(link, keys),
        }
        self.source = Source(watchers, wall_clock_ms)

    def heard(self, raw: bytes) -> None:
        """Something happened to members: the event as it was published. Raises ValueError if it is broken."""
        self._members.heard(raw)

    def missed(self) -> None:
        """Events may have been missed."""
        self._members.missed()
