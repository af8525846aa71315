"""`show logs` and `cluster show logs`: each log, who has how much of it, and how far behind that is."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eccmgr.commands.answer import Answer
from eccmgr.commands.columns import columns
from eccmgr.commands.danger import Danger
from eccmgr.commands.table import Call, Command, Param
from eccmgr.errors import CommandError
from eccmgr.logs.collection.gathering.catalogue import LogCatalogue, PipeState, read_catalogue
from eccmgr.logs.collection.gathering.checkpoint import Checkpoint
from eccmgr.logs.collection.gathering.following import GatheringPart
from eccmgr.logs.collection.gathering.stand import Unit
from eccmgr.logs.collection.news import LogNews
from eccmgr.logs.collection.pipe import calls
from eccmgr.logs.collection.pipe.calls import ForgottenVerdict, PipeKeys, place_in
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.text.counting import counted
from eccmgr.text.naming import is_plain_name
from eccmgr.text.unseen import visible_line

_HEADINGS = ("NODE", "LOG", "SIZE", "SUBSCRIBER", "MANAGER", "AT", "BEHIND", "LOST", "FAULT")
_HEADINGS_OF_NODE = _HEADINGS[1:]
_ABOUT = (
    "For each log and subscriber: the size of the log's present file, the manager that collects it (- if\n"
    "no manager does), the place in the file up to which it is written there, how far this place is behind\n"
    "in bytes and in seconds, and the bytes that were removed before the node read them."
)
_ABOUT_FORGET = (
    "Its places in all logs are forgotten, so that show logs no longer counts its missing bytes. If a manager\n"
    "subscribes again, it goes on where its own files end; without such files it begins with the lines in\n"
    "the pipes."
)


@dataclass(frozen=True)
class LogRow:
    """One log for one subscriber."""

    node: str
    log: str
    size: int
    subscriber: str
    manager: str
    at: int | None
    """The offset up to which it is written; None if nothing is."""
    behind: int
    behind_s: float
    lost: int
    fault: str

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        behind = f"{self.behind} B, {self.behind_s:.0f} s" if self.behind else "0"
        at = "-" if self.at is None else str(self.at)
        return (
            *(self.node, visible_line(self.log), str(self.size), self.subscriber, self.manager or "-", at),
            *(behind, str(self.lost), visible_line(self.fault)),
        )

    def facts(self) -> dict[str, object]:
        """The fields of the JSON form."""
        return {
            "node": self.node,
            "log": self.log,
            "size": self.size,
            "subscriber": self.subscriber,
            "manager": self.manager or None,
            "at": self.at,
            "behind": self.behind,
            "behind_seconds": round(self.behind_s, 3),
            "lost": self.lost,
            "fault": self.fault,
        }


def log_row(unit: Unit, news: LogNews, state: PipeState, manager: str, fault: str, now_ms: int) -> LogRow:
    """The row of a log for a subscriber. Pure."""
    checkpoint, tail = Checkpoint.parse(state.checkpoint), place_in(state.tail)
    place = checkpoint.at() if checkpoint is not None else None
    behind = news.behind
    if tail is not None and place is not None:
        # Bytes of another file are not counted: what was sent of it is at least this file's beginning.
        behind += max(0, tail.offset - (place.offset if place.turn == tail.turn else 0))
    elif tail is not None:
        # A subscriber that has nothing yet begins with what is in the pipe.
        behind += min(tail.offset, max(0, state.sent - state.has))
    # A place that is sent again adds to the other counts once more. That of the checkpoint is exact.
    lost = checkpoint.lost if checkpoint is not None else max(state.lost, news.lost)
    seconds = max(0, now_ms - checkpoint.wall_ms) / 1000 if checkpoint is not None and behind else 0.0
    return LogRow(
        *(unit.node, news.name, news.size, unit.subscriber, manager, place.offset if place is not None else None),
        *(behind, max(0.0, seconds), lost, fault or news.fault),
    )


def log_rows(catalogue: LogCatalogue, faults: Mapping[Unit, str], now_ms: int) -> list[LogRow]:
    """All rows. Pure."""
    rows = []
    for unit, state in catalogue.states.items():
        news, wishes = catalogue.logs[unit.node, unit.log], catalogue.managers.get(state.holder)
        manager = wishes.manager if wishes is not None else ""
        rows.append(log_row(unit, news, state, manager, faults.get(unit, ""), now_ms))
    return sorted(rows, key=lambda row: (row.node, row.log, row.subscriber))


def shown(rows: list[LogRow], *, of_node: bool = False, remarks: Iterable[str] = ()) -> Answer:
    """The answer with these rows."""
    cells = [row.cells()[1:] if of_node else row.cells() for row in rows]
    text = columns(_HEADINGS_OF_NODE if of_node else _HEADINGS, cells, 60) if rows else "No log is collected"
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return Answer("\n".join((lines, *remarks)), facts={"logs": [row.facts() for row in rows]})


class LogCommands:
    """The commands of a manager about the logs of all nodes, other than `logs tail`."""

    def __init__(self, link: Link, keys: Keys, part: GatheringPart) -> None:
        self._link, self._keys, self._part = link, keys, part

    def commands(self) -> tuple[Command, ...]:
        """The entries in the table of commands."""
        return (
            Command(
                "show logs", "the collected logs, and how far each is written", self._show, reads=True, about=_ABOUT
            ),
            Command(
                "logs forget",
                "forget how far a subscriber has the logs",
                self._forget,
                (Param("SUBSCRIBER"),),
                danger=Danger.ASKS,
                about=_ABOUT_FORGET,
            ),
        )

    async def _show(self, _call: Call) -> Answer:
        catalogue = await read_catalogue(self._link, self._keys)
        fault = self._part.fault
        remarks = (f"Nothing is collected here: {fault}",) if fault else ()
        return shown(log_rows(catalogue, self._part.faults(), int(time.time() * 1000)), remarks=remarks)

    async def _forget(self, call: Call) -> str:
        (subscriber,) = call.args
        if not is_plain_name(subscriber):
            raise CommandError(f"'{visible_line(subscriber[:80])}' is no name of a subscriber")
        catalogue = await read_catalogue(self._link, self._keys)
        forgotten = 0
        for node, log in catalogue.logs:
            verdict = await self._link.run(calls.forget(PipeKeys.of(self._keys, node, log), subscriber))
            forgotten += verdict is ForgottenVerdict.FORGOTTEN
        if not forgotten:
            raise CommandError(f"No log has a subscriber '{subscriber}'; show logs lists them")
        return f"Forgot {subscriber} in {counted(forgotten, 'log')}"
