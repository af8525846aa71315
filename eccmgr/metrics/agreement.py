"""Whether nodes agree on the floating addresses, as a scrape tells it."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from eccmgr.cluster.view import View
from eccmgr.duravip.picture import VipReader
from eccmgr.duravip.states import Agreement
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys


class AgreementWatch:
    """Reads what nodes state about the addresses, but only if something about them or the view has changed."""

    def __init__(self, link: Link, keys: Keys, view: Callable[[], Awaitable[View]]) -> None:
        self._link, self._keys, self._view = link, keys, view
        self._reader = VipReader(link, keys)
        self._marks: list[bytes | None] = []
        self.disagreeing: Mapping[Agreement, int] = {}
        """The number of addresses on which nodes disagree, by what that means."""

    async def look(self) -> None:
        """Bring `disagreeing` up to date. Raises EccmgrError."""
        kept = await self._link.call("HMGET", self._keys.state, "era", "change", "view")
        marks = list(replies.values(kept, 3))
        if marks == self._marks:
            return
        picture = await self._reader.read(await self._view())
        self.disagreeing = Counter(standing.agreement for standing in picture.situation.standings.values())
        self._marks = marks
