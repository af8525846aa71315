"""`vips [ADDRESS]`: the floating addresses in a table, or one with its participants and its changes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from eccmgr.cluster import names
from eccmgr.cluster.audit import AuditEntry, entries_before
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.view import Seat, View
from eccmgr.commands.answer import Answer, Facts, Format
from eccmgr.commands.columns import columns
from eccmgr.commands.rendering import iso_time, local_time
from eccmgr.commands.standing import duration
from eccmgr.commands.table import Call, Command, Param
from eccmgr.duravip.beliefs import Belief
from eccmgr.duravip.believed import Accord, SaidOfVip, accord, read_beliefs
from eccmgr.duravip.finding import find_vip
from eccmgr.duravip.holds import Hold, read_holds
from eccmgr.duravip.picture import VipPicture, VipReader
from eccmgr.duravip.placement import place, preferred_node
from eccmgr.duravip.states import Agreed, Ownership, in_order
from eccmgr.errors import CommandError
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

_HEADINGS = ("ADDRESS", "NAME", "OWNER", "EPOCH", "HELD FOR", "BEFORE", "STATE")
_WIDEST = 40
_NONE = "-"
_PAGES_MAX = 20
"""The audit keeps about as many entries as these pages hold."""
_CHANGES = 20
_CHANGES_MAX = 200
"""The most changes of the JSON form: those of 24 hours, unless the address changes its owner all the time."""
_ABOUT = (
    "BEFORE is the node that held the VIP before. ADDRESS may be the name of a binding; with it the\n"
    f"answer has the nodes that may carry the VIP, and its latest {_CHANGES} changes in the audit.\n"
    "The states are those of cluster duravip show. A node `differs` if the belief that it\n"
    "has stated last is not the same as the record in Redis."
)

_UNTOLD = {
    Accord.UNAWARE: "it does not know the VIP",
    Accord.UNSAID: "it has not said what it believes",
    Accord.UNREAD: "what it believes cannot be read",
}


@dataclass(frozen=True)
class VipRow:
    """A VIP as the table shows it."""

    address: str
    standing: Agreed | None
    owner: str | None
    ownership: Ownership
    epoch: int
    held_ms: int | None
    since_ms: int | None
    before: str
    target: str | None
    reason: str

    @property
    def state(self) -> str:
        """`owned,safe`."""
        return f"{self.ownership},{self.standing.agreement}" if self.standing is not None else str(self.ownership)

    @property
    def name(self) -> str:
        """The names of its bindings."""
        return ",".join(self.standing.names) if self.standing is not None else ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of its line."""
        held = duration(self.held_ms / 1000) if self.held_ms is not None else _NONE
        epoch = str(self.epoch) if self.epoch else _NONE
        where = self.owner or (f"(to {self.target})" if self.target else _NONE)
        return self.address, self.name or _NONE, where, epoch, held, self.before or _NONE, self.state

    @property
    def facts(self) -> Facts:
        """The fields of the JSON form."""
        return {
            "address": self.address,
            "names": list(self.standing.names) if self.standing is not None else [],
            "owner": self.owner,
            "target": self.target,
            "epoch": self.epoch,
            "since": None if self.since_ms is None else iso_time(self.since_ms),
            "held_s": None if self.held_ms is None else self.held_ms / 1000,
            "before": self.before or None,
            "ownership": self.ownership.value,
            "agreement": self.standing.agreement.value if self.standing is not None else None,
            "reason": self.reason or None,
        }


class VipsCommand:
    """The handler of one manager. Everything is read from Redis page by page."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        _options: ClusterOptions,
        view: Callable[[], Awaitable[View]],
        vips: VipReader,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._link, self._keys = link, keys
        self._view, self._vips, self._wall_ms = view, vips, wall_ms
        self._known: tuple[str, ...] = ()

    def command(self) -> Command:
        """The entry in the table of commands."""
        address = Param("ADDRESS", kind="vip", optional=True, choices=lambda: self._known)
        brief = "the floating addresses: owner, epoch, held for how long, state"
        return Command("vips", brief, self._show, (address,), about=_ABOUT, heavy=True, reads=True)

    async def _show(self, call: Call) -> Answer:
        view = await self._view()
        picture = await self._vips.read(view)
        holds = await read_holds(self._link, self._keys)
        rows = await asyncio.to_thread(rows_of, picture, holds, self._wall_ms())
        standings = picture.situation.standings
        self._known = (*standings, *dict.fromkeys(name for known in standings.values() for name in known.names))
        if call.args:
            return await self._one(call.args[0], view, picture, rows)
        return await asyncio.to_thread(_table, rows, picture, call.caller.form)

    async def _one(self, word: str, view: View, picture: VipPicture, rows: Sequence[VipRow]) -> Answer:
        address = find_vip(word, picture.situation.standings)
        row = next((row for row in rows if row.address == (address or word)), None)
        if row is None:
            raise CommandError(f"Unknown VIP '{word[:80]}'{names.known(self._known)}")
        seats = _seats(row, view, picture)
        sessions = {seat.key: seat.private_name for seat in seats}
        said = await read_beliefs(self._link, self._keys, row.address, sessions)
        taking_part = _participants(row, seats, picture, said)
        changes = await self._changes(row.address)
        lines = [columns(_HEADINGS, [row.cells], _WIDEST)]
        if row.reason:
            lines.append(f"  {row.reason}")
        lines.append("Participants:" if taking_part else "Participants: none")
        lines += [_participant_line(fields) for fields in taking_part]
        lines.append("Changes, the latest last:" if changes else "Changes: none in the audit")
        lines += [_change_line(change) for change in changes[-_CHANGES:]]
        takeovers = await asyncio.to_thread(_takeovers, row.owner, picture)
        lines += _takeover_lines(row.owner, takeovers)
        facts = {**row.facts, "participants": taking_part, "takeovers": takeovers}
        facts["changes"] = [_change_facts(change) for change in changes]
        return Answer("\n".join(lines), facts=facts, structured=True)

    async def _changes(self, address: str) -> list[AuditEntry]:
        """The latest changes of a VIP, the latest last."""
        changes: list[AuditEntry] = []
        before = ""
        for _ in range(_PAGES_MAX):
            page = await entries_before(self._link, self._keys, before)
            changes += [entry for entry in page if entry.what == "vip" and entry["address"] == address]
            if not page or len(changes) >= _CHANGES_MAX:
                break
            before = page[-1].id
        return changes[:_CHANGES_MAX][::-1]


def _table(rows: Sequence[VipRow], picture: VipPicture, form: Format) -> Answer:
    # The facts of thousands of VIPs are costly, and the text form drops them.
    facts = {"era_open": picture.is_open, "vips": [] if form is Format.TEXT else [row.facts for row in rows]}
    table = columns(_HEADINGS, [row.cells for row in rows], _WIDEST) if rows else "No node states a VIP"
    return Answer(table, facts=facts, structured=True)


def rows_of(picture: VipPicture, holds: Mapping[str, Hold], now_ms: int) -> list[VipRow]:
    """A row for each VIP that a live node states or holds, in order of address."""
    situation = picture.situation
    addresses = {*situation.standings, *situation.owners}
    return [_row(address, picture, holds.get(address), now_ms) for address in sorted(addresses, key=in_order)]


def _row(address: str, picture: VipPicture, hold: Hold | None, now_ms: int) -> VipRow:
    record, standing = picture.record(address), picture.situation.standings.get(address)
    owner = picture.situation.owners.get(address)
    target = record.to if not record.owner and record.to else None
    ownership = Ownership.OWNED if owner else Ownership.MOVING if target else Ownership.UNOWNED
    known = hold if hold is not None and hold.epoch == record.epoch else None
    since = known.since_ms if known is not None and owner is not None else None
    before = "" if known is None else known.before if owner is not None else known.node
    return VipRow(
        *(address, standing, owner, ownership, record.epoch),
        None if since is None else max(0, now_ms - since),
        *(since, before, target, standing.reason if standing is not None else ""),
    )


def _seats(row: VipRow, view: View, picture: VipPicture) -> list[Seat]:
    """The nodes that take part in a VIP, in order of name, and behind them the absent ones that did."""
    nodes = row.standing.nodes if row.standing is not None else ()
    absent = [node for node, shares in picture.absent.items() if row.address in shares]
    return [
        seats[node.lower()]
        for seats, some in ((view.live, nodes), (view.absent, absent))
        for node in sorted(some, key=names.natural)
    ]


def _participants(
    row: VipRow, seats: Sequence[Seat], picture: VipPicture, said: Mapping[str, SaidOfVip]
) -> list[Facts]:
    """The JSON form of the nodes at `seats`. `said` is what each last said of the VIP."""
    situation, standing = picture.situation, row.standing
    preferred = preferred_node(standing, situation.nodes) if standing is not None else None
    return [
        {
            "node": seat.name,
            "owner": seat.name == row.owner,
            "preferred": seat.name == preferred,
            "drained": seat.name in situation.drained,
            "moved_here": situation.pins.get(row.address) == seat.name,
            "unable": situation.unable.get(seat.name, {}).get(row.address),
            "absent": seat.absent,
            "believes": _belief_facts(said[seat.key]),
            "belief": _accord(row, said[seat.key]).value,
        }
        for seat in seats
    ]


def _belief_facts(said: SaidOfVip) -> Facts | None:
    if not isinstance(said, Belief):
        return None
    return {"owner": said.owner, "ownership": said.ownership.value, "agreement": said.agreement.value}


def _accord(row: VipRow, said: SaidOfVip) -> Accord:
    agreement = row.standing.agreement if row.standing is not None else None
    return accord(said, row.owner, row.target, row.ownership, agreement)


def _participant_line(fields: Facts) -> str:
    remarks = [word.replace("_", " ") for word in ("preferred", "drained", "moved_here", "absent") if fields[word]]
    if fields["unable"] is not None:
        remarks.append(f"cannot carry it: {fields['unable'] or 'it does not say why'}")
    if fields["belief"] != Accord.SAME:
        remarks.append(f"{'differs: ' if differs(fields) else ''}{belief_text(fields)}")
    said = f" ({', '.join(remarks)})" if remarks else ""
    return f"  {'*' if fields['owner'] else ' '} {fields['node']}{said}"


def differs(participant: Facts) -> bool:
    """Whether a participant believes something else of the VIP than what Redis has on record."""
    return participant["belief"] in (Accord.DIFFERS, Accord.UNAWARE)


def belief_text(participant: Facts) -> str:
    """What a participant believes, in words: `owned,safe by east1`."""
    match participant["believes"]:
        case {"ownership": ownership, "agreement": agreement, "owner": None}:
            return f"{ownership},{agreement}"
        case {"ownership": Ownership.OWNED, "agreement": agreement, "owner": owner}:
            return f"owned,{agreement} by {owner}"
        case {"ownership": ownership, "agreement": agreement, "owner": owner}:
            return f"{ownership},{agreement} ({owner})"
        case _:
            return _UNTOLD[participant["belief"]]


def _takeovers(owner: str | None, picture: VipPicture) -> list[Facts]:
    """Where each VIP of a node would go if the node died now; `to` is None if no other node can carry it."""
    if owner is None:
        return []
    after = replace(picture.situation, nodes=picture.situation.nodes - {owner})
    targets = {move.address: move.target for move in place(after).moves}
    return [{"address": address, "to": targets.get(address)} for address in picture.owned.get(owner, ())]


def _takeover_lines(owner: str | None, takeovers: Sequence[Facts]) -> list[str]:
    if not takeovers:
        return []
    lines = [f"  {each['address']} to {each['to'] or 'nobody'}" for each in takeovers[:_CHANGES]]
    rest = len(takeovers) - len(lines)
    return [f"If {owner} died:", *lines, *([f"  … and {rest} more"] if rest else [])]


def _change_line(change: AuditEntry) -> str:
    other = next((f" {side} {change[side]}" for side in ("from", "to") if change[side]), "")
    why = f": {change['reason']}" if change["reason"] else ""
    what = f"{change['change']} {change['node']}{other}, epoch {change['epoch']}"
    return f"  {local_time(change.at_ms)}  {what}{why}"


def _change_facts(change: AuditEntry) -> Facts:
    known = ("change", "node", "from", "to", "reason")
    epoch = int(change["epoch"]) if change["epoch"].isdecimal() else None
    return {"at": iso_time(change.at_ms), "epoch": epoch, **{name: change[name] or None for name in known}}
