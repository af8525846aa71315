"""The names in the cluster, as the feed of a manager tells them. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cli.console.node_names import NodeNames
from eccmgr.cluster.names import natural

if TYPE_CHECKING:
    from cli.console.lexicon import Lexicon
    from eccmgr.commands.table import Table

TOPICS = ("members", "vips")


class NamesHeard:
    """Takes the events of `feed members vips`."""

    def __init__(self) -> None:
        self._topics: dict[str, dict[str, str]] = {topic: {} for topic in TOPICS}
        """By topic and key: the name of each node and its subcluster, the address of each VIP."""
        self._subclusters: dict[str, str] = {}
        self._tags: dict[str, tuple[str, ...]] = {}
        self._lexicon: Lexicon | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        """Take an event of the stream; one of another kind changes nothing."""
        if event.get("event") != "feed" or (known := self._topics.get(event["topic"])) is None:
            return
        if event["full"]:
            known.clear()
            self._lexicon = None
        for key in map(str, event["gone"]):
            if known.pop(key, None) is not None:
                self._lexicon = None
        for item in event["items"]:
            self._take_item(known, item)

    def lexicon(self, table: "Table") -> "Lexicon":
        """All that is known. It is made anew only if a name has changed, not for each heartbeat that is late."""
        # Imported only here: the console starts sooner without the table of commands.
        from cli.console.lexicon import Lexicon

        if self._lexicon is None or self._lexicon.table is not table:
            groups = {name.lower(): name for name in self._subclusters.values()}
            self._lexicon = Lexicon(
                table,
                NodeNames(list(self._topics["members"].values())),
                tuple(sorted(groups.values(), key=natural)),
                tuple(sorted({tag for tags in self._tags.values() for tag in tags}, key=natural)),
                tuple(self._topics["vips"].values()),
            )
        return self._lexicon

    def _take_item(self, known: dict[str, str], item: Mapping[str, Any]) -> None:
        group, tags = "", tuple[str, ...]()
        if known is self._topics["vips"]:
            name = str(item["address"])
        else:
            name, group = str(item["name"]), str(item["subcluster"])
            tags = tuple(f"{tag}:{value}" for tag, value in item["tags"].items())
        key = name.lower()
        if (known.get(key), self._subclusters.get(key, ""), self._tags.get(key, ())) != (name, group, tags):
            known[key] = name
            if group:
                self._subclusters[key], self._tags[key] = group, tags
            self._lexicon = None
