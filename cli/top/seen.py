"""What the feed has told so far. Pure."""

from collections.abc import Mapping

Item = Mapping[str, object]
Event = Mapping[str, object]

TOPICS = ("cluster", "members", "vips", "commands", "jobs", "schedules", "audit")
_NAMED_BY = {"cluster": "cluster", "members": "name", "vips": "address"}


class FeedSeen:
    """The items of each topic, by name, as the events of the feed have made them."""

    def __init__(self) -> None:
        self.topics: dict[str, dict[str, Item]] = {topic: {} for topic in TOPICS}
        self.changes = dict.fromkeys(TOPICS, 0)
        """The number of changes of each topic; it tells one state of a topic from another."""
        self.heard_s: float | None = None
        """When the last event came, on the reader's clock; None before the first one."""

    def take(self, event: Event, now_s: float) -> None:
        """Take an event of the feed. What is no event of a known topic is left out."""
        topic = event.get("topic")
        items, gone = event.get("items"), event.get("gone")
        if event.get("event") != "feed" or topic not in TOPICS or not isinstance(items, list):
            return
        known = self.topics[str(topic)]
        if event.get("full"):
            known = self.topics[str(topic)] = {}
        for name in gone if isinstance(gone, list) else ():
            known.pop(str(name), None)
        for item in items:
            if isinstance(item, dict):
                known[str(item.get(_NAMED_BY.get(str(topic), "id"), ""))] = item
        self.changes[str(topic)] += 1
        self.heard_s = now_s

    @property
    def cluster(self) -> Item:
        """The one item of the topic `cluster`; empty before it came."""
        return next(iter(self.topics["cluster"].values()), {})

    @property
    def subclusters(self) -> list[Item]:
        """The subclusters of that item."""
        subclusters = self.cluster.get("subclusters")
        return [item for item in subclusters if isinstance(item, dict)] if isinstance(subclusters, list) else []

    def frozen(self) -> "FeedSeen":
        """A copy that no later event changes."""
        copy = FeedSeen()
        copy.topics = {topic: dict(items) for topic, items in self.topics.items()}
        copy.changes, copy.heard_s = dict(self.changes), self.heard_s
        return copy
