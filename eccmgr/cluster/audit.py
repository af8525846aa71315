"""The audit of the cluster: reads its entries, which scripts and daemons have written."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eccmgr.errors import Unreadable
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import LATEST_MS, Dropped, command

_dropped = Dropped("entry of the audit")
_ID = re.compile("([0-9]{1,14})-[0-9]{1,20}")
_FIELDS_MAX = 40
_TEXT_MAX = 4096
PAGE_ENTRIES = 500
"""The most entries that are read in one call."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry. `at_ms` is the server's wall clock, and `fields` are the entry's own."""

    id: str
    at_ms: int
    fields: Mapping[str, str]

    @property
    def what(self) -> str:
        """The kind of the entry: `command`, `vip`, `account` …"""
        return self.fields["what"]

    @property
    def order(self) -> tuple[int, ...]:
        """Entries are in the order of this."""
        return tuple(map(int, self.id.split("-")))

    def __getitem__(self, field: str) -> str:
        return self.fields.get(field, "")

    @classmethod
    def parse(cls, reply: object) -> "AuditEntry":
        """Read an entry of a stream. Raises Unreadable."""
        match reply:
            case [bytes(raw_id), list(flat)] if len(flat) <= 2 * _FIELDS_MAX:
                fields = replies.fields([word[:_TEXT_MAX] if isinstance(word, bytes) else word for word in flat])
            case _:
                raise Unreadable("An entry of the audit cannot be read: it is no entry of a stream")
        made = _ID.fullmatch(raw_id.decode(errors="replace"))
        read = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
        try:
            _ = [command(text) for text in (*read, *read.values())]
        except ValueError as error:
            raise Unreadable(f"An entry of the audit cannot be read: {error}") from error
        if made is None or int(made[1]) > LATEST_MS or "what" not in read:
            raise Unreadable("An entry of the audit cannot be read: it does not say what happened, or when")
        return cls(made[0], int(made[1]), read)


def _readable(entries: object) -> Iterable[AuditEntry]:
    for raw in entries if isinstance(entries, list) else ():
        try:
            yield AuditEntry.parse(raw)
        except Unreadable as error:
            _dropped.say(str(raw)[:100], str(raw), str(error))


async def entries_before(link: Link, keys: Keys, before: str, most: int = PAGE_ENTRIES) -> list[AuditEntry]:
    """At most `most` entries before the one with the id `before` ("" for the latest ones), the newest first."""
    end = f"({before}" if before else "+"
    return list(_readable(await link.call("XREVRANGE", keys.audit, end, "-", "COUNT", most)))


async def entries_after(link: Link, keys: Keys, after: str, most: int = PAGE_ENTRIES) -> list[AuditEntry]:
    """At most `most` entries after the one with the id `after`, the oldest first."""
    return list(_readable(await link.call("XRANGE", keys.audit, f"({after}", "+", "COUNT", most)))
