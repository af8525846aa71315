"""Reads what has happened: the audit, the runs of schedules, the latest commands and their outcomes."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from eccmgr.cluster.absence import absent_for
from eccmgr.cluster.audit import PAGE_ENTRIES, AuditEntry, entries_before
from eccmgr.cluster.delivery import Delivery
from eccmgr.cluster.history import PastCommand
from eccmgr.cluster.ids import named_id
from eccmgr.cluster.jobs import read_jobs
from eccmgr.cluster.names import fold, known, public_name
from eccmgr.cluster.results import Entry, Report, State
from eccmgr.cluster.view import Seat
from eccmgr.commands.rendering import header
from eccmgr.commands.secrets import without_secrets
from eccmgr.duravip.holds import Hold
from eccmgr.duravip.records import VipRecord
from eccmgr.errors import CommandError, Unreadable
from eccmgr.feed.happenings import Happening, Subject, merged, of_run, told, when
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.schedules.shelf import Shelf
from eccmgr.schedules.times import shown

_PAGES = 20
"""The audit keeps about as many entries as these pages hold."""
_CONTEXT = 100
"""Older entries say how long a change took."""
_COMMANDS = 200
_COMMANDS_OF_NODE = 50
_RUNS = 1000
_ANSWER_BYTES = 16 * 1024
"""A longer answer is not read, only its state."""
_LISTED = 50
_LINE = 200
TOLD_MAX = 200
"""The most changes that one account tells."""


@dataclass(frozen=True, slots=True)
class Story:
    """An account of one node, floating address, command, job or schedule: how it stands, and what has happened."""

    kind: str
    name: str
    now: str
    happenings: tuple[Happening, ...]


class Chronicle:
    """Reads what has happened in one cluster."""

    def __init__(self, link: Link, keys: Keys, delivery: Delivery) -> None:
        self._link, self._keys, self._delivery = link, keys, delivery
        self._shelf = Shelf(link, keys, "")

    async def latest(self, number: int) -> list[Happening]:
        """The latest `number` changes, the newest last. Raises EccmgrError."""
        entries = await self._audit(number + _CONTEXT)
        commands = await self._delivery.history(max(number, 1))
        return merged(told(entries, commands), await self._runs(number))[-number:]

    async def about(self, asked: str) -> Story:
        """The account of a node, an address, or the id of a command, a job or a schedule. Raises CommandError if there
        is nothing that `asked` names."""
        address = _address(asked)
        if address:
            return await self._about("vip", address, await self._vip_now(address))
        if named_id(asked) and (report := await self._delivery.retrieve(named_id(asked))) is not None:
            return await self._about_command(report)
        view = await self._delivery.view()
        if view.fitting(asked):
            return await self._about_node(view.node(asked))
        made = asked.removeprefix("#").lower()
        for kind, now in (("schedule", await self._schedule_now(made)), ("job", await self._job_now(made))):
            if now:
                return await self._about(kind, made, now)
        if await self._with(made):
            return await self._about("id", asked.removeprefix("#"), "it is over, and its results are no longer kept")
        nodes = known(seat.name for seat in view)
        raise CommandError(f"Nothing is known of '{asked[:80]}': no node, address or id is called so{nodes}")

    async def _about(self, kind: str, name: str, now: str) -> Story:
        happenings = await self._with(name)
        if not happenings and not now:
            raise CommandError(f"Nothing is known of '{name[:80]}': no node states such an address")
        return Story(kind, name, now or "nobody has it", tuple(happenings[-TOLD_MAX:]))

    async def _vip_now(self, address: str) -> str:
        """How a floating address stands; "" if Redis has no record of it."""
        raw, held = await self._link.pipeline(
            ("HGET", self._keys.vips, address), ("HGET", self._keys.vip_holds, address)
        )
        if (written := replies.value(raw)) is None:
            return ""
        record = VipRecord.parse(written.decode(errors="replace"))
        counter = await self._link.call("HGET", self._keys.vips, record.owner) if record.owner else None
        if counter is None:
            return f"free, its last epoch was {record.epoch}" + (f", reserved for {record.to}" if record.to else "")
        kept = replies.value(held)
        since = f" since {when(Hold.parse(kept).since_ms)}" if kept is not None else ""
        return f"held by {public_name(record.owner)}{since}, epoch {record.epoch}"

    async def _schedule_now(self, schedule_id: str) -> str:
        """How a schedule stands; "" if there is none with this id."""
        for schedule, due_ms in await self._shelf.all():
            if schedule.id == schedule_id:
                return f"due at {shown(due_ms)}: {without_secrets(schedule.text)}"
        return ""

    async def _job_now(self, job_id: str) -> str:
        """How a job stands; "" if no node tells of it."""
        for node, jobs in (await read_jobs(self._link, self._keys)).items():
            for job in jobs:
                if job.job == job_id:
                    percent = "" if job.percent is None else f", {job.percent:.0f} %"
                    return f"{job.stage} on {node}{percent}: {job.command}"
        return ""

    async def _about_command(self, report: Report) -> Story:
        happenings = merged(await self._with(report.sent.id), _outcomes(report))
        return Story("command", report.sent.id, header(report), tuple(happenings[-TOLD_MAX:]))

    async def _about_node(self, seat: Seat) -> Story:
        happenings = merged(await self._with(seat.name), await self._answers(seat))
        now = absent_for(seat.since_ms) if seat.absent else f"live, session {seat.private_name}"
        return Story("node", seat.name, f"{now}, subcluster {seat.subcluster}", tuple(happenings[-TOLD_MAX:]))

    async def _with(self, name: str) -> list[Happening]:
        """What has happened to the one with this name."""
        entries = await self._audit(_PAGES * PAGE_ENTRIES)
        commands = await self._delivery.history(_COMMANDS)
        happenings = merged(told(entries, commands), await self._runs(_RUNS))
        return [happening for happening in happenings if name.lower() in happening.names]

    async def _audit(self, most: int) -> list[AuditEntry]:
        """The latest entries but those of accounts, at most about `most`, the oldest first."""
        kept: list[AuditEntry] = []
        before = ""
        for _ in range(_PAGES):
            entries = await entries_before(self._link, self._keys, before)
            kept += (entry for entry in entries if entry.what != "account")
            if not entries or len(kept) >= most:
                break
            before = entries[-1].id
        return kept[most - 1 :: -1] if len(kept) > most else kept[::-1]

    async def _runs(self, number: int) -> list[Happening]:
        return [of_run(run) for run in (*await self._shelf.past(number), *await self._shelf.running())]

    async def _answers(self, seat: Seat) -> list[Happening]:
        """How the node has answered the latest commands."""
        commands = [past for past in await self._delivery.history(_COMMANDS_OF_NODE) if past.target.holds(seat)]
        if not commands:
            return []
        keys = [self._keys.responses(past.id) for past in commands]
        lengths = await self._link.pipeline(*(("HSTRLEN", key, seat.key) for key in keys))
        short = [
            (past, key)
            for past, key, length in zip(commands, keys, lengths, strict=True)
            if 0 < replies.count(length) <= _ANSWER_BYTES
        ]
        kept = await self._link.pipeline(*(("HGET", key, seat.key) for _, key in short)) if short else []
        return [
            answer
            for (past, _), raw in zip(short, kept, strict=True)
            if (answer := _answer(past, seat, replies.value(raw))) is not None
        ]


def _answer(past: PastCommand, seat: Seat, raw: bytes | None) -> Happening | None:
    try:
        entry = Entry.parse(raw) if raw is not None else None
    except Unreadable:
        return None
    if entry is None:
        return None
    said = "" if entry.state is State.OK else _first_line(entry.text)
    what = f"{past.id} {without_secrets(past.text)}: {entry.state}{said}"
    took_ms = entry.took_ms if entry.state.answered else None
    names = frozenset({seat.key, past.id.lower()})
    return Happening(past.issued_wall_ms, Subject.COMMAND, what, "", took_ms, past.issuer, names)


def _outcomes(report: Report) -> Iterable[Happening]:
    """How a command went: the nodes that answered well together, then each of the others."""
    sent_ms, name = report.sent.issued_wall_ms, report.sent.id.lower()
    well = sorted((one for one in report.outcomes if one.state is State.OK), key=lambda one: one.seconds)
    if well:
        slowest, number = well[-1], len(well)
        median = well[number // 2].seconds
        what = f"{fold((one.node for one in well), 20)} answered"
        why = f"median {median:.2f} s, slowest {slowest.node}" if number > 1 else ""
        took_ms = round(slowest.seconds * 1000)
        yield Happening(sent_ms + took_ms, Subject.COMMAND, what, why, took_ms, "", frozenset({name}))
    others = [one for one in report.outcomes if one.state is not State.OK]
    for one in others[:_LISTED]:
        took_ms = round(one.seconds * 1000)
        what = f"{one.node} {one.state}{_first_line(one.text)}"
        answered = took_ms if one.state.answered else None
        yield Happening(sent_ms + (answered or 0), Subject.COMMAND, what, "", answered, "", frozenset({name}))
    if len(others) > _LISTED:
        what = f"and {len(others) - _LISTED} more nodes, see retrieve {report.sent.id}"
        yield Happening(sent_ms, Subject.COMMAND, what, "", None, "", frozenset({name}))


def _first_line(text: str) -> str:
    first = next(iter(text.splitlines()), "")
    return f": {without_secrets(first[:_LINE])}" if first else ""


def _address(asked: str) -> str:
    try:
        return str(ipaddress.ip_address(asked))
    except ValueError:
        return ""
