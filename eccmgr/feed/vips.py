"""The floating addresses: who holds each, since when. Reads only what has changed."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from eccmgr.cluster.names import public_name
from eccmgr.commands.rendering import iso_time
from eccmgr.duravip.holds import Hold
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
_TURN = 1000
Kept = TypeVar("Kept")


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
        self._holds: dict[str, Hold] = {}
        self._ended: set[str] = set()
        self._checked = 0
        self.owned: dict[str, tuple[str, ...]] = {}
        """The addresses that each node holds; its name is in small letters."""

    async def look(self, picture: Picture, at_ms: int) -> None:
        """Bring `picture` up to date. Raises EccmgrError."""
        era, before = await self._read_era(), self._era
        anew = before is None or era.number != before.number or era.change < before.change
        # Whatever has changed without a record of a VIP is a statement of a node: that it carries other VIPs, cannot
        # carry one, or is drained.
        stated = before is not None and era != before
        if before is None or anew:
            self._seen = await self._read_changes(0)
            changed = self._seen.keys()
        else:
            read = await self._read_changes(before.change) if era.change != before.change else {}
            self._seen |= read
            changed = read.keys() if era.is_open == before.is_open else self._seen.keys()
        ended = self._ended
        await self._check_owners()
        self._era = era
        turned = ended ^ self._ended
        stirred = {address for address, seen in self._seen.items() if seen.owner in turned} | changed
        items: dict[str, Item] = {}
        for number, address in enumerate(stirred):
            if number % _TURN == 0:
                await asyncio.sleep(0)
            items[address] = self._item(address, self._seen[address], era)
        picture.amend(items, picture.items.keys() - self._seen.keys(), at_ms, stirred=stated)
        if stirred:
            self.owned = _owned(picture.items.values())

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
                kept, held = await self._link.pipeline(
                    ("HMGET", self._keys.vips, *addresses), ("HMGET", self._keys.vip_holds, *addresses)
                )
                number = len(addresses)
                records |= _readable(zip(addresses, replies.values(kept, number), strict=True), _record)
                self._holds |= _readable(zip(addresses, replies.values(held, number), strict=True), Hold.parse)
            if len(page) < _AT_ONCE:
                return records
            since = f"({page[-1][1]!r}"

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
        over = {owner for owner, counter in zip(asked, kept, strict=True) if counter is None}
        self._ended = (self._ended - set(asked)) | over

    def _item(self, address: str, seen: VipRecord, era: VipEra) -> Item:
        holds = seen.owner != "" and seen.era == era.number and seen.owner not in self._ended
        hold = self._holds.get(address)
        return {
            "address": address,
            "owner": public_name(seen.owner) if holds else None,
            "session": seen.owner if holds else None,
            "state": _state(seen, era, holds),
            "epoch": seen.epoch,
            "since": iso_time(hold.since_ms) if hold is not None and holds else None,
            "before": ((hold.before if holds else hold.node) or None) if hold is not None else None,
            "reserved_for": seen.to or None,
            "reason": seen.reason,
        }


def _owned(items: Iterable[Item]) -> dict[str, tuple[str, ...]]:
    owned: dict[str, list[str]] = defaultdict(list)
    for item in items:
        if item["state"] == "held":
            owned[str(item["owner"]).lower()].append(str(item["address"]))
    return {node: tuple(addresses) for node, addresses in owned.items()}


def _state(seen: VipRecord, era: VipEra, holds: bool) -> str:
    if holds:
        return "held"
    if not era.is_open:
        return "unsettled"
    return "reserved" if seen.to and seen.era == era.number else "free"


def _record(raw: bytes) -> VipRecord:
    return VipRecord.parse(raw.decode(errors="replace"))


def _readable(kept: Iterable[tuple[bytes, bytes | None]], parse: Callable[[bytes], Kept]) -> dict[str, Kept]:
    records = {}
    for name, raw in kept:
        if raw is None:
            continue
        try:
            records[reading.address(name.decode(errors="replace"))] = parse(raw)
        except (Unreadable, ValueError) as error:
            _dropped.say(name, raw, str(error))
    return records
