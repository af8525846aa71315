"""The floating addresses: who holds each, since when. Reads only what has changed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eccmgr.cluster.audit import AuditEntry, entries_before
from eccmgr.cluster.names import public_name
from eccmgr.commands.rendering import iso_time
from eccmgr.duravip.records import VipRecord
from eccmgr.errors import Unreadable
from eccmgr.feed.picture import Item, Picture
from eccmgr.redis import reading, replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import whole

_dropped = reading.Dropped("record of a VIP")
_LAST_CHANGE = 10**15 - 1
_AT_ONCE = 500
_OWNERS_AT_ONCE = 1000
_AUDIT_PAGES = 20
"""The audit keeps about as many entries as these pages hold."""


@dataclass(frozen=True, slots=True)
class VipEra:
    """The present life of the server's memory of VIPs, and the number of its latest change."""

    number: int
    is_open: bool
    change: int


class VipsWatcher:
    """Looks at the VIPs."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link, self._keys = link, keys
        self.forget()

    def forget(self) -> None:
        """Forget what was seen."""
        self._era: VipEra | None = None
        self._seen: dict[str, VipRecord] = {}
        self._since: dict[str, int] = {}
        self._before: dict[str, str] = {}
        self._ended: set[str] = set()
        self._checked = 0
        self.owned: dict[str, tuple[str, ...]] = {}
        """The addresses that each node holds; its name is in small letters."""

    async def look(self, picture: Picture, at_ms: int) -> None:
        """Bring `picture` up to date. Raises EccmgrError."""
        era = await self._read_era()
        begun = self._era is None
        if self._era is None or era.number != self._era.number or era.change < self._era.change:
            self._seen, after = {}, 0
        else:
            after = self._era.change
        changed = await self._read_changes(after) if era.change != after or not self._seen else {}
        if begun:
            await self._read_audit(changed)
        else:
            self._note(changed, at_ms)
        self._seen |= changed
        await self._check_owners()
        self._era = era
        items = {address: self._item(address, seen, era) for address, seen in self._seen.items()}
        picture.show(items, at_ms)
        owned: dict[str, list[str]] = defaultdict(list)
        for address, item in items.items():
            if item["state"] == "held":
                owned[str(item["owner"]).lower()].append(address)
        self.owned = {node: tuple(addresses) for node, addresses in owned.items()}

    async def _read_era(self) -> VipEra:
        kept = replies.values(await self._link.call("HMGET", self._keys.state, "era", "open", "change"), 3)
        try:
            number, is_open, change = (whole(value or b"0") for value in kept)
        except ValueError as error:
            raise Unreadable(f"The era of the VIPs cannot be read: {error}") from error
        return VipEra(number, is_open == 1, change)

    async def _read_changes(self, after: int) -> dict[str, VipRecord]:
        """The records that have changed after that change number, page by page."""
        records: dict[str, VipRecord] = {}
        since = f"({after}"
        while True:
            words = ("ZRANGEBYSCORE", self._keys.vip_changes, since, _LAST_CHANGE, "WITHSCORES", "LIMIT", 0, _AT_ONCE)
            page = replies.scores(await self._link.call(*words))
            addresses = [name for name, _ in page if name[:1] not in (b"@", b"~", b"!")]
            if addresses:
                kept = replies.values(await self._link.call("HMGET", self._keys.vips, *addresses), len(addresses))
                records |= _readable(zip(addresses, kept, strict=True))
            if len(page) < _AT_ONCE:
                return records
            since = f"({page[-1][1]:.0f}"

    async def _read_audit(self, records: Mapping[str, VipRecord]) -> None:
        """Find in the audit since when each VIP is where it is."""
        before = ""
        for _ in range(_AUDIT_PAGES):
            entries = await entries_before(self._link, self._keys, before)
            for entry in entries:
                if entry.what == "vip" and entry["address"] not in self._since:
                    self._since[entry["address"]] = entry.at_ms
                    self._before[entry["address"]] = _before(entry)
            if not entries or records.keys() <= self._since.keys():
                return
            before = entries[-1].id

    def _note(self, changed: Mapping[str, VipRecord], at_ms: int) -> None:
        for address, record in changed.items():
            earlier = self._seen.get(address)
            if earlier is None or (earlier.owner, earlier.epoch) != (record.owner, record.epoch):
                self._since[address] = at_ms
                if earlier is not None and earlier.owner:
                    self._before[address] = public_name(earlier.owner)

    async def _check_owners(self) -> None:
        """Find the owners whose sessions have ended: their VIPs are free. Of very many owners, some at a time."""
        owners = sorted({seen.owner for seen in self._seen.values() if seen.owner})
        if not owners:
            return
        if self._checked >= len(owners):
            self._checked = 0
        asked = owners[self._checked : self._checked + _OWNERS_AT_ONCE]
        self._checked += len(asked)
        kept = replies.values(await self._link.call("HMGET", self._keys.vips, *asked), len(asked))
        self._ended -= set(asked)
        self._ended |= {owner for owner, counter in zip(asked, kept, strict=True) if counter is None}

    def _item(self, address: str, seen: VipRecord, era: VipEra) -> Item:
        holds = seen.owner != "" and seen.era == era.number and seen.owner not in self._ended
        since = self._since.get(address)
        return {
            "address": address,
            "owner": public_name(seen.owner) if holds else None,
            "session": seen.owner if holds else None,
            "state": _state(seen, era, holds),
            "epoch": seen.epoch,
            "since": None if since is None else iso_time(since),
            "before": self._before.get(address) or None,
            "reserved_for": seen.to or None,
            "reason": seen.reason,
        }


def _state(seen: VipRecord, era: VipEra, holds: bool) -> str:
    if holds:
        return "held"
    if not era.is_open:
        return "unsettled"
    return "reserved" if seen.to and seen.era == era.number else "free"


def _before(entry: AuditEntry) -> str:
    """The node that had the VIP before this entry."""
    return entry["node"] if entry["change"] == "released" else entry["from"]


def _readable(kept: Iterable[tuple[bytes, bytes | None]]) -> dict[str, VipRecord]:
    records = {}
    for name, raw in kept:
        if raw is None:
            continue
        try:
            address = reading.address(name.decode(errors="replace"))
            records[address] = VipRecord.parse(raw.decode())
        except (Unreadable, ValueError) as error:
            _dropped.say(name, raw, str(error))
    return records
