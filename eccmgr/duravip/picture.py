"""The floating addresses as they stand in Redis, read by a process that carries none."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from eccmgr.cluster.roster import read_hash
from eccmgr.cluster.view import View
from eccmgr.duravip.placement import Situation, place
from eccmgr.duravip.records import MOVED, VipRecord
from eccmgr.duravip.shares import Shares
from eccmgr.duravip.statements import Said, Statement, participants
from eccmgr.duravip.states import Agreed, assess, in_order
from eccmgr.errors import Unreadable
from eccmgr.redis import reading, replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

_dropped = reading.Dropped("record of a VIP")
_MARKS = "@~!"


@dataclass(frozen=True)
class VipPicture:
    """The VIPs at one moment: their records, and the situation in the form that placement needs.

    While an era is not open, nothing is granted.
    """

    era: int
    is_open: bool
    records: Mapping[str, VipRecord]
    situation: Situation
    sessions: frozenset[str] = frozenset()
    """The private names of the sessions that carry VIPs, or may."""
    absent: Mapping[str, Shares] = field(default_factory=dict)
    """What the absent nodes stated last, by name."""

    def record(self, address: str) -> VipRecord:
        """The record of a VIP; an empty one if there is none of this era."""
        record = self.records.get(address)
        return record if record is not None and record.era == self.era else VipRecord()

    @cached_property
    def owned(self) -> Mapping[str, Sequence[str]]:
        """The addresses that each node carries, in order."""
        owned: dict[str, list[str]] = {}
        for address in sorted(self.situation.owners, key=in_order):
            owned.setdefault(self.situation.owners[address], []).append(address)
        return owned


NO_VIPS = VipPicture(0, False, {}, Situation(frozenset(), {}))


class VipEffect(NamedTuple):
    """What becomes of the VIPs of nodes that go away: how many another node takes, and how many no other node can."""

    moved: int
    stranded: int

    def __str__(self) -> str:
        moved = f"{self.moved} {'VIP moves' if self.moved == 1 else 'VIPs move'}"
        if not self.stranded:
            return moved if self.moved else ""
        nowhere = f"{'has' if self.stranded == 1 else 'have'} nowhere to go"
        if not self.moved:
            return f"{self.stranded} {'VIP' if self.stranded == 1 else 'VIPs'} {nowhere}"
        return f"{moved}, {self.stranded} {nowhere}"


def effect_of_loss(situation: Situation, nodes: Collection[str]) -> VipEffect:
    """What becomes of the VIPs of `nodes`, which all go away at once."""
    lost = frozenset(nodes)
    return _effect(situation, replace(situation, nodes=situation.nodes - lost), lost)


def effect_of_drain(situation: Situation, nodes: Collection[str]) -> VipEffect:
    """What becomes of the VIPs of `nodes` when these are drained."""
    return _effect(situation, replace(situation, drained=situation.drained.union(nodes)), frozenset(nodes))


def _effect(before: Situation, after: Situation, lost: frozenset[str]) -> VipEffect:
    concerned = {address for address, owner in before.owners.items() if owner in lost}
    if not concerned:
        return VipEffect(0, 0)
    moved = sum(move.address in concerned for move in place(after).moves)
    return VipEffect(moved, len(concerned) - moved)


@dataclass
class VipReader:
    """Reads the VIPs of a cluster. Statements of nodes that have not changed are not read again."""

    link: Link
    keys: Keys
    _statements: dict[str, tuple[str, Statement]] = field(default_factory=dict)
    _assessed: tuple[Mapping[str, Shares], Mapping[str, Agreed]] | None = None

    async def read(self, view: View) -> VipPicture:
        """The VIPs as they stand, with the live nodes of `view`. Raises RedisUnreachable, and Unreadable."""
        (state,) = await self.link.pipeline(("HMGET", self.keys.state, "era", "open"))
        era, opened = replies.values(state, 2)
        if not era:
            return NO_VIPS
        kept = await read_hash(self.link, self.keys.vips)
        return await asyncio.to_thread(self._picture, view, _number(era), opened == b"1", kept)

    def _picture(self, view: View, era: int, opened: bool, kept: Mapping[bytes, bytes]) -> VipPicture:
        said, records, sessions = Said(), {}, set()
        for name, text in _texts(kept):
            if name[0] in _MARKS:
                said.hear(name, text)
            elif name.startswith("#"):
                sessions.add(name)
            else:
                try:
                    records[reading.address(name)] = VipRecord.parse(text)
                except (ValueError, Unreadable) as error:
                    _dropped.say(name, text, str(error))
        self._read_statements(said)
        situation, known = self._situation(view, era, said, records), said.statements
        absent = {seat.name: known[key].shares for key, seat in view.absent.items() if key in known}
        return VipPicture(era, opened, records, situation, frozenset(sessions), absent)

    def _read_statements(self, said: Said) -> None:
        known, self._statements = self._statements, {}
        for node, text in said.unread.items():
            try:
                before = known.get(node)
                statement = before[1] if before is not None and before[0] == text else Statement.parse(text)
            except Unreadable as error:
                _dropped.say(f"@{node}", text, str(error))
            else:
                self._statements[node] = text, statement
                said.statements[node] = statement
        said.unread.clear()

    def _situation(self, view: View, era: int, said: Said, records: Mapping[str, VipRecord]) -> Situation:
        roster = participants(view.live.values(), said)
        stated = {seat.name: said.statements[key].shares for key, seat in roster.items()}
        if self._assessed is None or self._assessed[0] != stated:
            self._assessed = stated, assess(stated)
        named = {seat.key: seat.name for seat in roster.values()}
        by_private = {seat.private_name: seat.name for seat in view.live.values()}
        owners, pins = {}, {}
        for address, record in records.items():
            owner = by_private.get(record.owner) if record.era == era else None
            if owner is not None:
                owners[address] = owner
                if record.reason == MOVED:
                    pins[address] = owner
        return Situation(
            frozenset(named.values()),
            self._assessed[1],
            owners,
            pins,
            frozenset(named[node] for node in said.drained if node in named),
            {named[node]: gone for node, gone in said.unable.items() if node in named and gone},
        )


def _texts(kept: Mapping[bytes, bytes]) -> "list[tuple[str, str]]":
    """The entries of the hash that are texts; the field '' only says that the hash is there."""
    entries = []
    for name, text in kept.items():
        try:
            if name:
                entries.append((name.decode(), text.decode()))
        except UnicodeDecodeError as error:
            _dropped.say(name, text, str(error))
    return entries


def _number(era: bytes) -> int:
    try:
        return reading.whole(era)
    except ValueError:
        return 0
