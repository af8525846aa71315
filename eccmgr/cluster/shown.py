"""The certificates that nodes show in Redis, as one manager knows them. They are not verified here."""

from collections.abc import Iterable

from eccmgr.access.certificates import Certificate
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

_PAGE = 500
_KNOWN_MAX = 100_000


class ShownCertificates:
    """The certificates of nodes, by their names in small letters."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._known: dict[str, Certificate] = {}

    def __contains__(self, node: str) -> bool:
        return node in self._known

    def get(self, node: str) -> Certificate | None:
        """The certificate of a node, as it was read last; None if the node has shown none."""
        return self._known.get(node)

    async def read(self, nodes: Iterable[str]) -> None:
        """Read the certificates of `nodes` anew. Raises RedisUnreachable."""
        if len(self._known) > _KNOWN_MAX:
            self._known.clear()
        listed = list(nodes)
        for start in range(0, len(listed), _PAGE):
            page = listed[start : start + _PAGE]
            shown = replies.values(await self._link.call("MGET", *map(self._keys.certificate, page)), len(page))
            for node, line in zip(page, shown, strict=True):
                try:
                    self._known[node] = Certificate.parse(line or b"")
                except ValueError:
                    self._known.pop(node, None)
