"""The latest entries of the audit."""

from collections import deque
from collections.abc import Iterable

from eccmgr.cluster.audit import AuditEntry, entries_after, entries_before
from eccmgr.commands.rendering import iso_time
from eccmgr.feed.happenings import Happening, Teller, facts_of
from eccmgr.feed.picture import Item, Picture
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

ENTRIES_MAX = 200
"""The most entries that the topic shows, and as many lines of accounts: those are many, and must not hide the rest."""
_PAGES_A_LOOK = 4
_ACCOUNT = "account"


class AuditWatcher:
    """Looks at the audit: it reads each entry once."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link, self._keys = link, keys
        self.forget()

    def forget(self) -> None:
        """Forget what was seen."""
        self._last = ""
        self._entries: deque[AuditEntry] = deque(maxlen=ENTRIES_MAX)
        self._accounts: deque[AuditEntry] = deque(maxlen=ENTRIES_MAX)
        self._teller, self._told = Teller(), dict[str, Happening]()

    async def look(self, picture: Picture, at_ms: int) -> None:
        """Bring `picture` up to date. Raises EccmgrError."""
        if not self._last:
            self._take(reversed(await entries_before(self._link, self._keys, "")))
        else:
            for _ in range(_PAGES_A_LOOK):
                entries = await entries_after(self._link, self._keys, self._last)
                self._take(entries)
                if not entries:
                    break
            else:
                # There are more than anybody reads: go on with the latest ones.
                self._last = ""
        kept = sorted((*self._entries, *self._accounts), key=lambda entry: entry.order)
        items = {entry.id: picture.items.get(entry.id) or _item(entry, self._told.get(entry.id)) for entry in kept}
        picture.show(items, at_ms)
        self._told.clear()

    def _take(self, entries: Iterable[AuditEntry]) -> None:
        for entry in entries:
            (self._accounts if entry.what == _ACCOUNT else self._entries).append(entry)
            self._last = entry.id
            if (happening := self._teller.tell(entry)) is not None:
                self._told[entry.id] = happening


def _item(entry: AuditEntry, told: Happening | None) -> Item:
    fields = {name: value for name, value in entry.fields.items() if name != "what"}
    item = {"id": entry.id, "at": iso_time(entry.at_ms), "kind": entry.what, "fields": fields}
    return item if told is None else {**item, **facts_of(told)}
