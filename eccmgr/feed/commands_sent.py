"""The latest commands that were sent to nodes, with the number of nodes that have answered."""

from eccmgr.cluster.history import history
from eccmgr.cluster.options import ClusterOptions
from eccmgr.commands.rendering import past_facts
from eccmgr.feed.picture import Picture
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

COMMANDS_MAX = 100
"""The most commands that the topic shows."""


class CommandsWatcher:
    """Looks at the latest commands."""

    def __init__(self, link: Link, keys: Keys, options: ClusterOptions) -> None:
        self._link, self._keys, self._options = link, keys, options

    def forget(self) -> None:
        """Do nothing: each look reads what it shows."""

    async def look(self, picture: Picture, at_ms: int) -> None:
        """Bring `picture` up to date. Raises EccmgrError."""
        commands = await history(self._link, self._keys, self._options, COMMANDS_MAX)
        picture.show({past.id: past_facts(past) for past in commands}, at_ms)
